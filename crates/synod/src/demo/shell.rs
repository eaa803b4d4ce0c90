//! A small prompt on the demo's store: everything said at it is on record and judged with the
//! rest.

use clap::{CommandFactory, Parser, Subcommand};
use histcheck::{Action, Answer, Outcome};
use kvpaxos::Connections;
use protocol::NodeId;

use crate::{
    failure::{Exit, Failure},
    print,
    prompt::{Heard, Prompt, Seen, words},
    shell::parse,
    trial::{Cluster, Recorder, Witness},
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
    /// How the replicas are doing.
    Status,
    /// Stop a replica without warning.
    Kill {
        /// Which.
        replica: u16,
    },
    /// Start a replica again.
    Start {
        /// Which.
        replica: u16,
    },
    /// Cut a replica off from everybody.
    Cut {
        /// Which.
        replica: u16,
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
/// If a replica cannot be killed or started, or if somebody pressed Ctrl-C.
pub(super) async fn run(
    replicas: &mut Cluster,
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
                What::Status => status(replicas, connections).await,
                What::Heal => replicas.heal(),
                What::Kill { replica } => treat(replicas, Treatment::Kill, replica).await?,
                What::Start { replica } => treat(replicas, Treatment::Start, replica).await?,
                What::Cut { replica } => treat(replicas, Treatment::Cut, replica).await?,
                What::Deed(deed) => {
                    deed.keys().for_each(|key| seen.remember(key));
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

/// What can be done to a replica.
enum Treatment {
    Kill,
    Start,
    Cut,
}

async fn treat(replicas: &mut Cluster, what: Treatment, replica: u16) -> Result<(), Failure> {
    let node = NodeId(replica);
    if !replicas.nodes().contains(&node) {
        eprintln!("there is no replica {replica}; status lists them");
        return Ok(());
    }
    match what {
        Treatment::Kill => replicas.kill(node).await?,
        Treatment::Start if replicas.is_down(node) => replicas.start(node).await?,
        Treatment::Start => eprintln!("replica {replica} runs already"),
        Treatment::Cut if replicas.can_cut() => replicas.cut(node),
        Treatment::Cut => eprintln!("processes cannot be cut off; kill one instead"),
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
