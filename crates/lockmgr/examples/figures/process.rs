//! The lock server in a process of its own: this program again.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use lockmgr::{
    Rule,
    core::Config,
    server::{Home, Service, Storage},
};
use net::{Addr, Tcp};

use crate::Outcome;

/// The number that every process here shares.
pub(crate) const CLUSTER: u64 = 9;

/// A lock server. Killed when dropped, and it ends by itself if we do.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) addr: Addr,
}

impl Process {
    /// Durable if it has a home.
    pub(crate) fn start(home: Option<&Path>) -> Outcome<Self> {
        let home = home.map(|home| home.display().to_string()).unwrap_or_default();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["child", &home])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        let said = child.stdout.take().ok_or("it says where it listens")?;
        BufReader::new(said).read_line(&mut addr)?;
        let process = Self { child, addr: Addr::from(addr.trim()) };
        if addr.is_empty() { Err("the lock server did not start".into()) } else { Ok(process) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// What that process does, until whoever started it is gone.
pub(crate) async fn live(home: &str) -> Outcome<()> {
    std::thread::spawn(|| {
        // Its end is all that is ever heard there.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let storage = if home.is_empty() {
        Storage::memory()
    } else {
        let config = wal::Config::default();
        Storage::init(Path::new(home), CLUSTER, &config)?;
        Storage::open(Path::new(home), CLUSTER, config)?
    };
    let home = Home { network: Arc::new(Tcp), cluster: CLUSTER, addr: Addr::any(), storage };
    let mut service =
        Service::open(Config { rule: Some(Rule::Detect), ..Config::default() }, home).await?;
    println!("{}", service.addr);
    Ok(service.ended().await?)
}
