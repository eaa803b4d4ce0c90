//! `synod demo`: three replicas, real input, clients at work, a killed leader, a cut, a verdict.

mod shell;

use std::{io::IsTerminal, path::Path, time::Duration};

use histcheck::MarkKind;
use kvpaxos::Connections;
use protocol::NodeId;

use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    trial::{
        Cluster, Recorder, Verdict, Workload, cluster,
        input::Input,
        say,
        verdict::{Case, Kill},
        watchdog::{WATCHDOG, watched},
    },
};

/// Replicas of the demo's store.
const REPLICAS: u16 = 3;

/// Clients at work at the same time.
const CLIENTS: usize = 16;

/// How long the clients work undisturbed between two events.
const CALM: Duration = Duration::from_millis(1500);

/// How long a replica is gone.
const GONE: Duration = Duration::from_millis(1500);

/// Runs the demo that the flags describe.
///
/// # Errors
///
/// If it cannot be run, was interrupted, or what it promises does not hold.
pub async fn run(flags: &cli::Demo, format: Format) -> Result<(), Failure> {
    until_interrupted(play(flags, format)).await
}

/// Runs a trial in a `LocalSet` until it ends or somebody wants it to.
///
/// # Errors
///
/// If it fails or is interrupted. Whatever it started is gone by then.
pub async fn until_interrupted(
    trial: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let interrupted = || Err(Failure::new(Exit::Failed, "interrupted: no verdict"));
    let local = tokio::task::LocalSet::new();
    tokio::select! {
        ended = local.run_until(trial) => ended,
        _ = tokio::signal::ctrl_c() => interrupted(),
        _ = terminate.recv() => interrupted(),
    }
}

/// The command that does the same again.
fn again(flags: &cli::Demo, seed: u64) -> String {
    let mut command = format!("synod demo --no-shell --seed {seed}");
    if flags.processes {
        command.push_str(" --processes");
    }
    if let Some(load) = &flags.load {
        command.push_str(&format!(" --load {}", load.display()));
    }
    command
}

async fn play(flags: &cli::Demo, format: Format) -> Result<(), Failure> {
    let seed = flags.seed.unwrap_or_else(seed_of_the_day);
    let command = again(flags, seed);
    let input = Input::find(flags.load.as_deref())?;
    let dir = cluster::directory(flags.dir.as_deref(), "synod-demo-")?;
    let recorder = Recorder::new();
    let mut replicas = if flags.processes {
        Cluster::processes(&dir, REPLICAS)?
    } else {
        Cluster::threads(&dir, REPLICAS)?
    };
    let as_what = if flags.processes { "each a process" } else { "each a thread" };
    say(
        &recorder,
        format_args!("seed {seed}, {REPLICAS} replicas, {as_what}, data in {}", dir.display()),
    );
    replicas.start_all().await?;
    let connections = replicas.connections(seed);
    let leader = cluster::wait_for_leader(&connections, None).await?;
    say(
        &recorder,
        format_args!("replica {} leads: any one of the {REPLICAS} may fail now", leader.0),
    );

    say(&recorder, format_args!("loading {}", input.about));
    input.load(&recorder, &connections, seed).await?;
    say(&recorder, format_args!("loaded; {CLIENTS} clients put, get, append, delete and compare"));
    let work = Workload::start(&recorder, &connections, seed, CLIENTS);
    let mut play = Play { recorder: &recorder, connections: &connections, kills: Vec::new() };
    let blows = async {
        play.kill_leader(&mut replicas, leader).await?;
        play.second_blow(&mut replicas).await
    };
    watched(&recorder, &connections, WATCHDOG, blows).await?;
    tokio::time::sleep(CALM).await;
    let worked = work.stop().await;
    let kills = play.kills;
    say(&recorder, "the clients have stopped");

    if !flags.no_shell && std::io::stdin().is_terminal() {
        shell::run(&mut replicas, &recorder, &connections).await?;
    }
    settle(&mut replicas, &connections, &recorder).await?;
    let case = Case {
        recorder: &recorder,
        connections: &connections,
        input: Some(&input),
        clients: CLIENTS,
        worked,
        kills: &kills,
        seed,
        command: &command,
        dir: &dir,
        kept: flags.dir.is_some(),
    };
    let verdict = Verdict::of(&case).await;
    save(&recorder, flags.history.as_deref(), seed, &command)?;
    let ended = verdict.deliver(&case, format);
    drop(replicas);
    cluster::tidy_up(&dir, flags.dir.is_some(), ended)
}

/// Writes the history, if somebody wants it.
///
/// # Errors
///
/// If it cannot be written.
pub fn save(
    recorder: &Recorder,
    path: Option<&Path>,
    seed: u64,
    command: &str,
) -> Result<(), Failure> {
    if let Some(path) = path {
        recorder.save(path, seed, command)?;
        let check = format!("synod check history {}", path.display());
        say(recorder, format_args!("history written; judge it yourself: {check}"));
    }
    Ok(())
}

/// Starts and heals whatever is not well, and waits until all have the same state.
///
/// # Errors
///
/// If a replica cannot be started.
pub async fn settle(
    replicas: &mut Cluster,
    connections: &Connections,
    recorder: &Recorder,
) -> Result<(), Failure> {
    replicas.heal();
    if let Some(node) = replicas.deserter() {
        let why = format!("replica {} ended by itself: its log file says why", node.0);
        return Err(Failure::new(Exit::Failed, why));
    }
    replicas.start_all().await?;
    for node in replicas.nodes() {
        cluster::wait_until_up(connections, node).await?;
    }
    match cluster::wait_until_equal(connections).await {
        Some((_, applied)) => {
            say(recorder, format_args!("every replica has applied {applied} slots; judging"));
        }
        None => say(recorder, "not every replica has caught up; judging all the same"),
    }
    Ok(())
}

/// A seed that differs from run to run; it is printed, so that a run can be repeated.
#[must_use]
pub fn seed_of_the_day() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_millis() as u64 % 1_000_000)
}

/// What is done to the replicas while clients work.
struct Play<'a> {
    recorder: &'a Recorder,
    connections: &'a Connections,
    kills: Vec<Kill>,
}

impl Play<'_> {
    /// The leader goes without a word, another takes over, the old one comes back.
    async fn kill_leader(&mut self, replicas: &mut Cluster, leader: NodeId) -> Result<(), Failure> {
        tokio::time::sleep(CALM).await;
        let at = self.recorder.now();
        replicas.kill(leader).await?;
        self.kills.push(Kill { at, led: true });
        let mark = |kind, what| self.recorder.mark(kind, what);
        self.recorder.mark_at(at, MarkKind::Kill, format!("killed replica {}", leader.0));
        say(
            self.recorder,
            format_args!("killed replica {}, the leader, in mid-sentence", leader.0),
        );
        let next = cluster::wait_for_leader(self.connections, Some(leader)).await?;
        mark(MarkKind::Leader, format!("replica {} leads", next.0));
        say(self.recorder, format_args!("replica {} leads now", next.0));
        tokio::time::sleep(GONE).await;
        replicas.start(leader).await?;
        cluster::wait_until_up(self.connections, leader).await?;
        self.recorder.over(MarkKind::Kill);
        mark(MarkKind::Back, format!("replica {} is back", leader.0));
        say(self.recorder, format_args!("replica {} is back, out of its own files", leader.0));
        tokio::time::sleep(CALM).await;
        Ok(())
    }

    /// The new leader is cut off for a while. Processes have the system's network, which is not
    /// ours to cut: there a follower is killed instead.
    async fn second_blow(&mut self, replicas: &mut Cluster) -> Result<(), Failure> {
        let leader = cluster::wait_for_leader(self.connections, None).await?;
        if replicas.can_cut() {
            replicas.cut(leader);
            self.recorder.mark(MarkKind::Cut, format!("cut replica {} off", leader.0));
            say(
                self.recorder,
                format_args!("cut replica {}, the leader, off from everybody", leader.0),
            );
            let next = cluster::wait_for_leader(self.connections, Some(leader)).await?;
            self.recorder.mark(MarkKind::Leader, format!("replica {} leads", next.0));
            say(self.recorder, format_args!("replica {} leads now", next.0));
            tokio::time::sleep(GONE).await;
            replicas.heal();
            self.recorder.over(MarkKind::Cut);
            say(self.recorder, format_args!("healed: replica {} hears the others again", leader.0));
            return Ok(());
        }
        let follower = replicas.nodes().into_iter().find(|node| *node != leader);
        let Some(follower) = follower else { return Ok(()) };
        let at = self.recorder.now();
        replicas.kill(follower).await?;
        self.kills.push(Kill { at, led: false });
        self.recorder.mark_at(at, MarkKind::Kill, format!("killed replica {}", follower.0));
        let instead = "a follower (processes cannot be cut off, so one is killed)";
        say(self.recorder, format_args!("killed replica {}, {instead}", follower.0));
        tokio::time::sleep(GONE).await;
        replicas.start(follower).await?;
        cluster::wait_until_up(self.connections, follower).await?;
        self.recorder.over(MarkKind::Kill);
        self.recorder.mark(MarkKind::Back, format!("replica {} is back", follower.0));
        say(self.recorder, format_args!("replica {} is back, out of its own files", follower.0));
        Ok(())
    }
}
