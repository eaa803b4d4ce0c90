//! The log's promises, one test each, named by the scenario they cover.

use std::path::Path;
use std::sync::Arc;

use protocol::NodeId;
use wal::{ClusterId, Config, Disk, Identity, OpenError, Recovered, SimDisk, Wal, init};

mod durable;

mod faults;

mod identity;

mod portable;

mod recycling;

mod seams;

mod snapshots;

mod spoilt;

mod survey;

mod sweeps;

const CLUSTER: ClusterId = ClusterId(0xC1);
const NODE: NodeId = NodeId(1);

/// A log in a directory, created at the first call.
fn open_dir(dir: &Path, config: Config) -> (Wal, Vec<Recovered>) {
    match wal::init_dir(dir, CLUSTER, NODE, &config) {
        Ok(_) | Err(OpenError::AlreadyInitialised { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    Wal::open_dir(dir, CLUSTER, NODE, config).unwrap_or_else(|error| panic!("{error}"))
}

/// A log on a simulated disk, created before.
fn try_open_sim(disk: &SimDisk, config: Config) -> Result<(Wal, Vec<Recovered>), OpenError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let identity = Identity::open(&*shared, CLUSTER, NODE)?;
    Wal::open(shared, &identity, config)
}

fn open_sim(disk: &SimDisk, config: Config) -> (Wal, Vec<Recovered>) {
    match init(disk, CLUSTER, NODE, &config) {
        Ok(_) | Err(OpenError::AlreadyInitialised { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    try_open_sim(disk, config).unwrap_or_else(|error| panic!("{error}"))
}

/// Small segments and no threads: the same disk calls every time.
fn inline() -> Config {
    Config { segment_bytes: 16 << 10, max_segments: 3, inline: true, ..Config::default() }
}

/// Records that a scenario ran to its end, and how long it took. Its cases are enumerated, not
/// drawn, so there are no seeds to count.
struct Recorded {
    name: &'static str,
    began: std::time::Instant,
}

impl Recorded {
    fn begin(name: &'static str) -> Self {
        Self { name, began: std::time::Instant::now() }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let figure = format!("every case, in {} ms", self.began.elapsed().as_millis());
            sim::Scenario { figure, ..sim::Scenario::default() }.write(self.name);
        }
    }
}
