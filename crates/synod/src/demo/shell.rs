//! A small prompt on the demo's store: everything said at it is on record and judged with the
//! rest.

use clap::{CommandFactory, Parser, Subcommand};
use histcheck::{Action, Answer, Outcome};
use protocol::NodeId;

use crate::{
    failure::{Exit, Failure},
    print,
    prompt::{Heard, Prompt, Seen, words},
    shell::parse,
    store::Connections,
    trial::{Cluster, Party, Recorder, Witness, pair},
    verbs::Deed,
};

/// A command at the prompt.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_help_flag = true, help_template = "{subcommands}")]
struct Line {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Deed(Deed),
    /// How the nodes are doing.
    Status,
    /// Stop a node without warning.
    Kill {
        /// Which.
        node: u16,
    },
    /// Start a node again.
    Start {
        /// Which.
        node: u16,
    },
    /// Cut a node off from everybody, or from one other.
    Cut {
        /// Which.
        node: u16,
        /// From whom.
        from: Option<u16>,
    },
    /// End every cut.
    Heal,
    /// Leave; then comes the verdict.
    #[command(alias = "exit")]
    Quit,
}

/// Reads commands until there are no more.
///
/// # Errors
///
/// If a node cannot be killed or started, or if somebody pressed Ctrl-C.
pub(super) async fn run(
    nodes: &mut Cluster,
    recorder: &std::rc::Rc<Recorder>,
    connections: &Connections,
) -> Result<(), Failure> {
    eprintln!("break things yourself: kill 1, put a b, status; help lists all; quit: the verdict");
    let seen = Seen::default();
    let names = Line::command();
    let names = names.get_subcommands().map(|command| command.get_name().to_owned());
    let mut prompt =
        Prompt::terminal(None, names.chain(["help".to_owned()]).collect(), seen.clone())?;
    let mut witness = Witness::new(recorder, connections, 0x5E11);
    loop {
        let text = match prompt.next("synod> ").await {
            Heard::Text(text) => text,
            Heard::Interrupted => {
                return Err(Failure::new(Exit::Failed, "interrupted: no verdict"));
            }
            Heard::End => return Ok(()),
            Heard::Broken(why) => return Err(Failure::new(Exit::Environment, why)),
        };
        for command in words::commands(&text).unwrap_or_default() {
            let what = match parse::<Line>(&command) {
                Ok(Some(line)) => line.what,
                Ok(None) => continue,
                Err(failure) => {
                    failure.tell();
                    break;
                }
            };
            match what {
                What::Quit => return Ok(()),
                What::Status => status(nodes, connections).await,
                What::Heal => nodes.heal(),
                What::Kill { node } => treat(nodes, Treatment::Kill, node).await?,
                What::Start { node } => treat(nodes, Treatment::Start, node).await?,
                What::Cut { node, from } => treat(nodes, Treatment::Cut(from), node).await?,
                What::Deed(deed) => {
                    deed.keys().for_each(|key| seen.remember(key));
                    if let (Connections::Pb(_), Err(failure)) = (connections, deed.is_for_pairs()) {
                        failure.tell();
                        continue;
                    }
                    match action(deed) {
                        Some(action) => ask(&mut witness, action).await,
                        None => eprintln!(
                            "the judge knows only get, put, append, delete, and cas with a value"
                        ),
                    }
                }
            }
        }
    }
}

/// What goes on record; `None` for what the judge has no words for.
fn action(deed: Deed) -> Option<Action> {
    Some(match deed {
        Deed::Get(what) => Action::Get { key: what.key.into() },
        Deed::Put(what) => Action::Put { key: what.key.into(), value: what.value.into() },
        Deed::Append(what) => Action::Append { key: what.key.into(), value: what.value.into() },
        Deed::Delete(what) => Action::Delete { key: what.key.into() },
        Deed::Cas(what) if what.expected.version.is_none() => {
            let expect = what.expected.expect.map(String::into_bytes);
            Action::Cas { key: what.key.into(), expect, value: what.value.into() }
        }
        Deed::Cas(_) | Deed::Mget(_) | Deed::Mset(_) | Deed::ScanAll(_) => return None,
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

/// What can be done to a node.
enum Treatment {
    Kill,
    Start,
    /// From this one, or from everybody.
    Cut(Option<u16>),
}

async fn treat(nodes: &mut Cluster, what: Treatment, node: u16) -> Result<(), Failure> {
    let node = NodeId(node);
    let other = if let Treatment::Cut(Some(other)) = what { NodeId(other) } else { node };
    let known = nodes.nodes();
    if let Some(stranger) = [node, other].iter().find(|node| !known.contains(node)) {
        eprintln!("there is no {}; status lists them", nodes.name(*stranger));
        return Ok(());
    }
    match what {
        Treatment::Kill => nodes.kill(node).await?,
        Treatment::Start if nodes.is_down(node) => nodes.start(node).await?,
        Treatment::Start => eprintln!("{} runs already", nodes.name(node)),
        Treatment::Cut(_) if !nodes.can_cut() => {
            eprintln!("processes cannot be cut off; kill one instead");
        }
        Treatment::Cut(Some(_)) => nodes.part(Party::Node(node), Party::Node(other)),
        Treatment::Cut(None) => nodes.cut(node),
    }
    Ok(())
}

async fn status(nodes: &Cluster, connections: &Connections) {
    let connections = match connections {
        Connections::Kv(connections) => connections,
        Connections::Pb(connections) => {
            eprintln!("{}", pair::describe(connections).await.trim_start_matches('\n'));
            return;
        }
    };
    for node in nodes.nodes() {
        let limit = std::time::Duration::from_millis(500);
        let line = match tokio::time::timeout(limit, connections.status(node)).await {
            Ok(Ok(status)) => {
                let (replica, agreement) = (&status.replica, &status.replica.agreement);
                format!(
                    "{}, ballot {}, applied {}",
                    agreement.role, agreement.ballot, replica.applied.0
                )
            }
            _ if nodes.is_down(node) => "down".to_owned(),
            _ => "no answer".to_owned(),
        };
        eprintln!("{}: {line}", nodes.name(node));
    }
}
