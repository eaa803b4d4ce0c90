//! The load: a closed loop of logical clients, the same for every store.

use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use peers::{processor, rounds::at};
use protocol::Rng;
use serde::Deserialize;
use tokio::task::JoinSet;

/// Keys are written once by so many clients before anything is measured.
const FILLERS: u64 = 64;
/// A measurement with more failures than this share of its operations is none.
const FAILURES: f64 = 0.01;

/// What every client does, over and over.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    Put,
    Get,
}

impl Op {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) op: Op,
    pub(crate) clients: usize,
    pub(crate) size: usize,
    pub(crate) keys: u64,
    pub(crate) warmup: Duration,
    pub(crate) time: Duration,
}

impl Load {
    /// Connections that these clients share.
    pub(crate) fn connections(&self) -> usize {
        if self.clients < 64 { 1 } else { 4 }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} clients", self.op.word(), self.clients)
    }
}

/// A client of some store, with one request under way at a time.
pub(crate) trait Client: 'static {
    /// Durable at a majority when it returns.
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<()>;

    /// Linearizable. The size of the value.
    async fn get(&mut self, key: Bytes) -> Result<usize>;
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Processor time of all servers for one operation.
    pub(crate) server_us: f64,
    /// Processor time of the process with all clients for one operation.
    pub(crate) client_us: f64,
    pub(crate) errors: usize,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, p50_ms, p99_ms, server_us, client_us, errors } = self;
        write!(
            f,
            "{per_second:.0}/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, servers {server_us:.1} us, \
             clients {client_us:.1} us, {errors} errors"
        )
    }
}

#[derive(Default)]
struct Tally {
    nanoseconds: Vec<u64>,
    errors: usize,
    first_error: Option<String>,
}

/// Writes every key, warms up, measures. `client` makes the clients, by number; `servers` are the
/// process ids.
pub(crate) async fn measured<C: Client>(
    load: Load,
    servers: &[u32],
    client: impl Fn(u64) -> C,
) -> Result<Measured> {
    fill(load, &client).await?;
    let until = Instant::now() + load.warmup + load.time;
    let tally = Rc::new(RefCell::new(Tally::default()));
    // Dropped with this future: no client outlives it.
    let mut tasks = JoinSet::new();
    for number in 0..load.clients as u64 {
        let client = client(FILLERS + number);
        tasks.spawn_local(one(client, Rng::new(number), load, until, Rc::clone(&tally)));
    }
    tokio::time::sleep(load.warmup).await;
    tally.take();
    let (began, server, own) = (Instant::now(), processor::of(servers), processor::own());
    tokio::time::sleep(load.time).await;
    let Tally { mut nanoseconds, errors, first_error } = tally.take();
    let seconds = began.elapsed().as_secs_f64();
    let (server, own) = (processor::of(servers) - server, processor::own() - own);
    while tasks.join_next().await.is_some() {}

    let done = nanoseconds.len() as f64;
    if nanoseconds.is_empty() || errors as f64 > FAILURES * done {
        let why = first_error.unwrap_or_else(|| "nobody was answered".to_owned());
        bail!("{errors} failures beside {done} successes; the first: {why}");
    }
    Ok(Measured {
        per_second: done / seconds,
        p50_ms: at(0.5, &mut nanoseconds) as f64 / 1e6,
        p99_ms: at(0.99, &mut nanoseconds) as f64 / 1e6,
        server_us: server.as_secs_f64() * 1e6 / done,
        client_us: own.as_secs_f64() * 1e6 / done,
        errors,
    })
}

async fn fill<C: Client>(load: Load, client: impl Fn(u64) -> C) -> Result<()> {
    let mut tasks = JoinSet::new();
    for filler in 0..FILLERS {
        let mut client = client(filler);
        tasks.spawn_local(async move {
            for number in (filler..load.keys).step_by(FILLERS as usize) {
                client.put(key(number), value(load.size)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(filled) = tasks.join_next().await {
        filled??;
    }
    Ok(())
}

async fn one<C: Client>(
    mut client: C,
    mut rng: Rng,
    load: Load,
    until: Instant,
    tally: Rc<RefCell<Tally>>,
) {
    let value = value(load.size);
    while Instant::now() < until {
        let key = key(rng.below(load.keys));
        let began = Instant::now();
        let done = match load.op {
            Op::Put => client.put(key, value.clone()).await,
            Op::Get => client.get(key).await.and_then(|size| {
                ensure!(size == load.size, "a value of {size} bytes was never written");
                Ok(())
            }),
        };
        let took = began.elapsed().as_nanos() as u64;
        let mut tally = tally.borrow_mut();
        match done {
            Ok(()) => tally.nanoseconds.push(took),
            Err(error) => {
                tally.errors += 1;
                tally.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{number:08}"))
}

fn value(size: usize) -> Bytes {
    Bytes::from(vec![b'v'; size])
}
