//! `synod demo`: three nodes, real input, clients at work, a kill or two, a cut, a verdict.

mod pair;
mod replicas;
mod shell;

use std::{io::IsTerminal, path::Path, time::Duration};

use crate::{
    cli::{self, Format, StoreKind},
    failure::{Exit, Failure},
    store::Connections,
    trial::{
        Cluster, Recorder, Verdict, Workload, cluster,
        input::Input,
        say,
        verdict::{Case, Kill},
        watch,
        watchdog::{WATCHDOG, watched},
    },
};

/// Replicas of the demo's store, or servers beside its view service.
const NODES: u16 = 3;

/// Clients at work at the same time.
const CLIENTS: usize = 16;

/// How long the clients work undisturbed between two events.
const CALM: Duration = Duration::from_millis(1500);

/// How long a node is gone or cut off.
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
    let layer = if flags.layer == StoreKind::Pb { " --layer pb" } else { "" };
    let mut command = format!("synod demo{layer} --no-shell --seed {seed}");
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
    let mut nodes = match (flags.layer, flags.processes) {
        (StoreKind::Kv, false) => Cluster::threads(&dir, NODES)?,
        (StoreKind::Kv, true) => Cluster::processes(&dir, NODES)?,
        (StoreKind::Pb, false) => Cluster::pair_threads(&dir, NODES)?,
        (StoreKind::Pb, true) => Cluster::pair_processes(&dir, NODES)?,
    };
    let (what, verbs) = match flags.layer {
        StoreKind::Kv => ("3 replicas", "put, get, append, delete and compare"),
        StoreKind::Pb => ("a view service and 3 servers", "put, get, append and delete"),
    };
    let as_what = if flags.processes { "each a process" } else { "each a thread" };
    say(&recorder, format_args!("seed {seed}, {what}, {as_what}, data in {}", dir.display()));
    nodes.start_all().await?;
    let connections = nodes.connections(seed);
    match flags.layer {
        StoreKind::Kv => replicas::ready(&recorder, &connections).await?,
        StoreKind::Pb => pair::ready(&recorder, &connections).await?,
    }

    say(&recorder, format_args!("loading {}", input.about));
    input.load(&recorder, &connections, seed).await?;
    say(&recorder, format_args!("loaded; {CLIENTS} clients {verbs}"));
    let work = Workload::start(&recorder, &connections, seed, CLIENTS);
    let mut play = Play { recorder: &recorder, connections: &connections, kills: Vec::new() };
    let blows = async {
        match flags.layer {
            StoreKind::Kv => play.break_replicas(&mut nodes).await,
            StoreKind::Pb => play.break_pairs(&mut nodes).await,
        }
    };
    watched(&recorder, &connections, WATCHDOG, blows).await?;
    tokio::time::sleep(CALM).await;
    let worked = work.stop().await;
    let kills = play.kills;
    say(&recorder, "the clients have stopped");

    if !flags.no_shell && std::io::stdin().is_terminal() {
        shell::run(&mut nodes, &recorder, &connections).await?;
    }
    settle(&mut nodes, &connections, &recorder).await?;
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
    drop(nodes);
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
/// If a node cannot be started.
pub async fn settle(
    nodes: &mut Cluster,
    connections: &Connections,
    recorder: &Recorder,
) -> Result<(), Failure> {
    nodes.heal();
    if let Some(node) = nodes.deserter() {
        let name = nodes.name(node);
        let why = format!("{name} ended by itself: its log file says why");
        return Err(Failure::new(Exit::Failed, why));
    }
    nodes.start_all().await?;
    for node in nodes.nodes() {
        watch::wait_until_up(connections, node).await?;
    }
    match watch::wait_until_equal(connections).await {
        Some(together) => say(recorder, format_args!("{}; judging", together.point)),
        None => say(recorder, "not all have caught up; judging all the same"),
    }
    Ok(())
}

/// A seed that differs from run to run; it is printed, so that a run can be repeated.
#[must_use]
pub fn seed_of_the_day() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_millis() as u64 % 1_000_000)
}

/// What is done to the nodes while clients work.
struct Play<'a> {
    recorder: &'a Recorder,
    connections: &'a Connections,
    kills: Vec<Kill>,
}
