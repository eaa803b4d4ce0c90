//! A small prompt on the demo's store: everything said at it is on record and judged with the
//! rest.

use std::io::{BufRead, Write};

use histcheck::{Action, Answer, Outcome};
use kvpaxos::Connections;
use protocol::NodeId;
use tokio::sync::mpsc;

use crate::{
    failure::Failure,
    print,
    trial::{Cluster, Recorder, Witness},
};

const HELP: &str = "get K | put K V | append K V | delete K | cas K OLD NEW (OLD - : nothing)\n\
    status | kill N | start N | cut N | heal | quit (then comes the verdict)";

/// Reads commands until there are no more.
///
/// # Errors
///
/// If a replica cannot be killed or started.
pub(super) async fn run(
    replicas: &mut Cluster,
    recorder: &std::rc::Rc<Recorder>,
    connections: &Connections,
) -> Result<(), Failure> {
    eprintln!("{HELP}");
    let mut lines = lines()?;
    let mut witness = Witness::new(recorder, connections, 0x5E11);
    loop {
        eprint!("synod> ");
        std::io::stderr().flush()?;
        let Some(line) = lines.recv().await else { return Ok(()) };
        let words: Vec<&str> = line.split_whitespace().collect();
        match &words[..] {
            [] => {}
            ["quit" | "exit"] => return Ok(()),
            ["status"] => status(replicas, connections).await,
            ["heal"] => replicas.heal(),
            [what @ ("kill" | "start" | "cut"), node] => {
                match node.parse().map(NodeId).ok().filter(|id| replicas.nodes().contains(id)) {
                    Some(node) => treat(replicas, what, node).await?,
                    None => eprintln!("there is no replica {node}"),
                }
            }
            words => match action(words) {
                Some(action) => ask(&mut witness, action).await,
                None => eprintln!("{HELP}"),
            },
        }
    }
}

/// Lines of standard input, read on a thread of its own: a terminal cannot be waited for.
fn lines() -> Result<mpsc::Receiver<String>, Failure> {
    let (send, lines) = mpsc::channel(1);
    std::thread::Builder::new().name("prompt".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

fn action(words: &[&str]) -> Option<Action> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Some(match words {
        ["get", key] => Action::Get { key: bytes(key) },
        ["put", key, value] => Action::Put { key: bytes(key), value: bytes(value) },
        ["append", key, value] => Action::Append { key: bytes(key), value: bytes(value) },
        ["delete", key] => Action::Delete { key: bytes(key) },
        ["cas", key, expect, value] => {
            let expect = (*expect != "-").then(|| bytes(expect));
            Action::Cas { key: bytes(key), expect, value: bytes(value) }
        }
        _ => return None,
    })
}

async fn ask(witness: &mut Witness, action: Action) {
    let began = std::time::Instant::now();
    let (outcome, error) = witness.ask(action).await;
    let answer = match outcome {
        Outcome::Ok(Answer::Value(Some(value))) => print::text(&value),
        Outcome::Ok(Answer::Value(None)) => "nothing there".to_owned(),
        Outcome::Ok(Answer::Swapped(false)) => "not done: something else is there".to_owned(),
        Outcome::Ok(_) => "done".to_owned(),
        Outcome::Fail | Outcome::Unknown => {
            error.map_or_else(|| "unknown".to_owned(), |error| error.to_string())
        }
    };
    eprintln!("{answer}  ({:.1} ms)", began.elapsed().as_secs_f64() * 1e3);
}

async fn treat(replicas: &mut Cluster, what: &str, node: NodeId) -> Result<(), Failure> {
    match what {
        "kill" => replicas.kill(node).await?,
        "start" if replicas.is_down(node) => replicas.start(node).await?,
        "start" => eprintln!("replica {} runs already", node.0),
        _ if replicas.can_cut() => replicas.cut(node),
        _ => eprintln!("processes cannot be cut off; kill one instead"),
    }
    Ok(())
}

async fn status(replicas: &Cluster, connections: &Connections) {
    for node in replicas.nodes() {
        let limit = std::time::Duration::from_millis(500);
        let line = match tokio::time::timeout(limit, connections.status(node)).await {
            Ok(Ok(status)) => {
                let (replica, agreement) = (&status.replica, &status.replica.agreement);
                format!(
                    "{}, ballot {}, applied {}",
                    agreement.role, agreement.ballot, replica.applied.0
                )
            }
            _ if replicas.is_down(node) => "down".to_owned(),
            _ => "no answer".to_owned(),
        };
        eprintln!("replica {}: {line}", node.0);
    }
}
