//! `synod chaos`: replicas as processes, killed at random under load, and judged.

use std::{rc::Rc, time::Duration};

use histcheck::MarkKind;
use protocol::Rng;
use tokio::time::Instant;

use crate::{
    cli::{self, Format, StoreKind},
    demo::{save, seed_of_the_day, settle, until_interrupted},
    failure::{Exit, Failure},
    store::{self, Connections},
    trial::{
        Cluster, Recorder, Verdict, Workload, cluster, say,
        verdict::{Case, Kill},
        watch,
        watchdog::{WATCHDOG, watched},
    },
};

/// Replicas of the store.
const REPLICAS: u16 = 3;

/// From one kill to the next, in milliseconds, if the killed replica is back by then.
const BETWEEN_KILLS_MS: (u64, u64) = (1000, 3000);

/// How long a killed replica is gone, in milliseconds.
const GONE_MS: (u64, u64) = (200, 1500);

/// Of a thousand kills, those that look for the leader; the others take anyone.
const AT_THE_LEADER: u64 = 500;

/// Runs the chaos that the flags describe.
///
/// # Errors
///
/// If it cannot be run, was interrupted, or what the store promises does not hold.
pub async fn run(flags: &cli::Chaos, (store, format): (StoreKind, Format)) -> Result<(), Failure> {
    if store == StoreKind::Pb {
        return Err(store::lacks("chaos"));
    }
    until_interrupted(rage(flags, format)).await
}

async fn rage(flags: &cli::Chaos, format: Format) -> Result<(), Failure> {
    let seed = flags.seed.unwrap_or_else(seed_of_the_day);
    let (seconds, clients) = (flags.seconds, flags.clients.max(1));
    let command = format!("synod chaos --seconds {seconds} --clients {clients} --seed {seed}");
    let dir = cluster::directory(flags.dir.as_deref(), "synod-chaos-")?;
    let recorder = Recorder::new();
    say(&recorder, format_args!("seed {seed}, {REPLICAS} processes, data in {}", dir.display()));
    let mut replicas = Cluster::processes(&dir, REPLICAS)?;
    replicas.start_all().await?;
    let connections = replicas.connections(seed);
    watch::wait_for_leader(&connections, None).await?;
    let work = Workload::start(&recorder, &connections, seed, clients);
    say(
        &recorder,
        format_args!("{clients} clients at work for {seconds} s; a kill every 1 to 3 s"),
    );
    let until = Instant::now() + Duration::from_secs(seconds);
    let rage = kill_at_random(&mut replicas, &connections, &recorder, seed, until);
    let kills = watched(&recorder, &connections, WATCHDOG, rage).await?;
    let worked = work.stop().await;
    settle(&mut replicas, &connections, &recorder).await?;
    let case = Case {
        recorder: &recorder,
        connections: &connections,
        input: None,
        clients,
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

/// Kills one replica after the other until the time is over. At most one is down at a time, so
/// that a majority always is up and everything must go on.
async fn kill_at_random(
    replicas: &mut Cluster,
    connections: &Connections,
    recorder: &Rc<Recorder>,
    seed: u64,
    until: Instant,
) -> Result<Vec<Kill>, Failure> {
    let mut rng = Rng::new(seed).fork(0xC4A05);
    let nodes = replicas.nodes();
    let mut kills: Vec<Kill> = Vec::new();
    let mut known = None;
    let mut next = Instant::now() + pause(&mut rng, BETWEEN_KILLS_MS);
    while next < until {
        tokio::time::sleep_until(next).await;
        next = Instant::now() + pause(&mut rng, BETWEEN_KILLS_MS);
        if let Some(node) = replicas.deserter() {
            let why = format!("replica {} ended by itself: its log file says why", node.0);
            return Err(Failure::new(Exit::Failed, why));
        }
        let any = nodes[rng.below(nodes.len() as u64) as usize];
        let leader = watch::leader(connections).await;
        if let Some(node) = leader.filter(|_| leader != known) {
            recorder.mark(MarkKind::Leader, format!("replica {} leads", node.0));
            known = leader;
        }
        let victim = leader.filter(|_| rng.chance(AT_THE_LEADER)).unwrap_or(any);
        let at = recorder.now();
        replicas.kill(victim).await?;
        let led = leader == Some(victim);
        kills.push(Kill { at, led });
        recorder.mark_at(at, MarkKind::Kill, format!("killed replica {}", victim.0));
        let gone = pause(&mut rng, GONE_MS);
        let role = if led { ", the leader," } else { "" };
        say(
            recorder,
            format_args!("killed replica {}{role} for {} ms", victim.0, gone.as_millis()),
        );
        tokio::time::sleep(gone).await;
        replicas.start(victim).await?;
        watch::wait_until_up(connections, victim).await?;
        recorder.over(MarkKind::Kill);
        recorder.mark(MarkKind::Back, format!("replica {} is back", victim.0));
        // It is up when it answers, and only then may another go.
        next = next.max(Instant::now());
    }
    tokio::time::sleep_until(until).await;
    Ok(kills)
}

fn pause(rng: &mut Rng, (low, high): (u64, u64)) -> Duration {
    Duration::from_millis(rng.range(low, high))
}
