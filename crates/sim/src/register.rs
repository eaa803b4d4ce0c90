//! What a scenario did, for the record: a table of what is covered is generated, not claimed.

use std::{fs, path::PathBuf};

/// The environment variable that names the folder of the records.
pub const VARIABLE: &str = "SYNOD_SCENARIOS";

/// What one scenario of the acceptance list did.
#[derive(Debug, Default)]
pub struct Scenario {
    /// Runs with different seeds.
    pub seeds: u64,
    /// Simulated events, over all runs.
    pub events: u64,
    /// Operations that were acknowledged, over all runs.
    pub acknowledged: u64,
    /// The scenario's own figure, in words.
    pub figure: String,
}

impl Scenario {
    /// Writes the record under the scenario's name. Without the variable, into the build folder.
    ///
    /// # Panics
    ///
    /// If the folder cannot be written: a record that is silently missing would read as a
    /// scenario that never ran.
    pub fn write(&self, name: &str) {
        let folder = std::env::var_os(VARIABLE).map_or_else(default_folder, PathBuf::from);
        fs::create_dir_all(&folder).expect("the folder of scenario records can be made");
        let figure = self.figure.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!(
            "{{\"name\":\"{name}\",\"seeds\":{},\"events\":{},\"acknowledged\":{},\"figure\":\"{figure}\"}}\n",
            self.seeds, self.events, self.acknowledged
        );
        fs::write(folder.join(format!("{name}.json")), line).expect("the record can be written");
    }
}

/// `target/scenarios` beside the running test: its executable lies in `target/PROFILE/deps`.
fn default_folder() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), PathBuf::from).join("scenarios")
}
