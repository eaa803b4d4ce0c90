//! `synod version` and `synod completions`: what this program is, and what it understands.

use clap::CommandFactory;
use serde_json::json;

use crate::{
    cli::{self, Cli, Format},
    failure::Failure,
    print,
};

/// `synod version`
///
/// # Errors
///
/// If it cannot be written.
pub fn run(flags: &cli::Version, format: Format) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let facts = if flags.verbose { facts() } else { Vec::new() };
    match format {
        Format::Json => {
            let mut object = json!({"version": version});
            for (name, value) in facts {
                object[name.replace(' ', "_")] = value;
            }
            print::json(&object)
        }
        Format::Plain if !flags.verbose => print::line(version),
        Format::Plain | Format::Table => {
            print::line(format!("synod {version}"))?;
            for (name, value) in facts {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                print::line(format!("{name:<16} {value}"))?;
            }
            Ok(())
        }
    }
}

/// What two programs must share to be able to work on the same directory, or with each other.
fn facts() -> Vec<(&'static str, serde_json::Value)> {
    let build = if cfg!(debug_assertions) { "checked, for tests" } else { "release" };
    vec![
        ("build", json!(build)),
        ("system", json!(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))),
        ("rust at least", json!(env!("CARGO_PKG_RUST_VERSION"))),
        ("log format", json!(wal::format::VERSION)),
        ("wire format", json!(net::hello::VERSION)),
        ("longest key", json!(kvpaxos::MAX_KEY)),
        ("longest value", json!(kvpaxos::MAX_VALUE)),
    ]
}

/// `synod completions`
///
/// # Errors
///
/// If it cannot be written.
pub fn completions(flags: &cli::Completions, format: Format) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "synod", &mut script);
    match format {
        Format::Json => {
            let script = print::text(&script);
            print::json(&json!({"shell": flags.shell.to_string(), "script": script}))
        }
        Format::Table | Format::Plain => print::line(script.trim_ascii_end()),
    }
}
