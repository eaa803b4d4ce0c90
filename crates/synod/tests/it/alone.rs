//! A role started alone, in one command: `synod kv` without anybody beside it.

use std::path::Path;

use synod::processes::Processes;

use crate::tool::{NODES, SYNOD, serving, statuses, told};

#[test]
fn a_node_by_itself_is_a_whole_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Processes::new(dir.path(), 1, 1).expect("a port").program(Path::new(SYNOD));
    store.start(NODES[0]).expect("one process");
    serving(&store);
    told(&store, &["put", "k", "alone"]);
    let up = statuses(&store);
    assert_eq!(up.len(), 1, "{up:?}");
    assert_eq!(up[0]["role"], "leader", "{up:?}");
    store.kill(NODES[0]).expect("killed");
    store.start(NODES[0]).expect("one process");
    serving(&store);
    assert_eq!(told(&store, &["get", "k"]), "alone");
}
