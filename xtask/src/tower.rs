//! The tower as data: its layers from the ground up, and what each may stand on.

/// One layer.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The package.
    pub(crate) name: &'static str,
    /// The packages of ours it may depend on.
    pub(crate) on: &'static [&'static str],
}

const fn layer(name: &'static str, on: &'static [&'static str]) -> Layer {
    Layer { name, on }
}

/// Every layer, those below first. A layer that does not exist yet is simply skipped.
pub(crate) const TOWER: [Layer; 15] = [
    layer("protocol", &[]),
    layer("net", &["protocol"]),
    layer("sim", &["protocol"]),
    layer("histcheck", &[]),
    layer("wal", &["protocol"]),
    layer("lockmgr", &["wal", "net", "protocol"]),
    layer("viewservice", &["wal", "net", "protocol"]),
    layer("pbservice", &["viewservice", "wal", "net", "protocol"]),
    layer("paxos", &["wal", "net", "protocol"]),
    layer("paxosrsm", &["paxos", "wal", "net", "protocol"]),
    layer("kvpaxos", &["paxosrsm", "net", "protocol"]),
    layer("shardmaster", &["paxosrsm", "net", "protocol"]),
    layer("shardkv", &["kvpaxos", "shardmaster", "paxosrsm", "lockmgr", "net", "protocol"]),
    layer("txn2pc", &["shardkv", "shardmaster", "paxosrsm", "lockmgr", "net", "protocol"]),
    layer(
        "synod",
        &[
            "protocol",
            "net",
            "sim",
            "histcheck",
            "wal",
            "lockmgr",
            "viewservice",
            "pbservice",
            "paxos",
            "paxosrsm",
            "kvpaxos",
            "shardmaster",
            "shardkv",
            "txn2pc",
        ],
    ),
];

/// What every layer may use in its tests: tools, not layers.
pub(crate) const TEST_TOOLS: [&str; 2] = ["sim", "histcheck"];

/// Packages beside the tower, which may use whatever they like.
pub(crate) const FREE_PACKAGES: [&str; 3] = ["synod-tests", "synod-virtual", "xtask"];

/// Where a package stands: layers from the ground up, then what stands beside the tower.
pub(crate) fn rank(package: &str) -> usize {
    let names = TOWER.iter().map(|layer| layer.name).chain(FREE_PACKAGES);
    names.clone().position(|name| name == package).unwrap_or_else(|| names.count())
}

#[cfg(test)]
mod tests {
    use super::{TOWER, rank};

    #[test]
    fn every_arrow_points_down() {
        for (at, layer) in TOWER.iter().enumerate() {
            for below in layer.on {
                let at_below = TOWER.iter().position(|other| other.name == *below);
                assert!(at_below.is_some_and(|below| below < at), "{} on {below}", layer.name);
            }
        }
    }

    #[test]
    fn strangers_come_last() {
        assert!(rank("protocol") < rank("synod"));
        assert!(rank("synod") < rank("synod-tests") && rank("xtask") < rank("stranger"));
    }
}
