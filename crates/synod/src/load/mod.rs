//! `synod load`: a file of millions of lines into a store, by several clients, and again from
//! where it stopped.
//!
//! ```text
//!   file ── reader (a thread) ── batches in order ──▶ dispatcher ──▶ client ──▶ put_many
//!                                                     │      ▲        client ──▶ put_many
//!                                                     │      └──────── done ◀───┘
//!                                                     ▼
//!                                                  journal: what is certain
//! ```
//!
//! Batches are under way beside each other, yet the last line about a key wins, as in the file: a
//! batch waits while another with one of its keys is under way, and a batch whose outcome nobody
//! knows is loaded again before anything after it that shares a key.

mod journal;
mod lines;
mod progress;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use kvpaxos::{Client, Connections};
use net::Tcp;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    cli::{self, Format, Servers, StoreKind},
    failure::{Exit, Failure},
    print,
    settings::Addresses,
    store,
};
use journal::Journal;
use lines::{Batch, Lines, Span};
use progress::Progress;

/// Batches that were read and wait for a client, at most.
const READ_AHEAD: usize = 8;

/// Batches from the first that is not loaded to the last that is under way, at most: so much may
/// the journal hold beyond its mark.
const SPREAD: usize = 256;

/// Clients that share a connection: a server takes so many requests at a time on one.
const PER_CONNECTION: usize = 64;

/// The most clients: more would only wait for each other.
const MOST_CLIENTS: usize = 256;

/// `synod load`
///
/// # Errors
///
/// If a line cannot be loaded, the store cannot be reached, or it was interrupted. What is
/// certainly loaded is in the journal then.
pub async fn run(
    flags: &cli::Load,
    servers: &Servers,
    (kind, format): (StoreKind, Format),
) -> Result<(), Failure> {
    let peers = store::kv_only(kind, "load", servers)?;
    let Input { input, name, total } = Input::open(&flags.file)?;
    let store = format!("{} {}", servers.cluster, peers);
    let mut journal = match journal_path(flags) {
        Some(path) => Journal::open(&path, &store, flags.restart)?,
        None => Journal::nowhere(),
    };
    let before = journal.lines();
    if before > 0 {
        eprintln!("{before} lines of {name} are loaded already; going on");
    }
    let mut progress = Progress::new(flags.progress, total, before);
    let batches = read(Lines::new(input, &name, flags.format, flags.batch), &journal)?;
    let mut work = Work::new(flags, (servers, peers), &mut journal);
    let ended = tokio::select! {
        ended = work.all(batches, &mut progress) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Unknown, "interrupted")),
    };
    progress.end();
    let (lines, bytes) = (work.lines, work.bytes);
    if let Err(failure) = ended {
        return Err(explained(failure, &journal));
    }
    journal.finish();
    let seconds = progress.elapsed().as_secs_f64();
    let rate = lines as f64 / seconds.max(1e-9);
    match format {
        Format::Json => print::json(&json!({
            "loaded": lines, "before": journal.mark.line - lines, "bytes": bytes,
            "seconds": seconds, "per_second": rate,
        })),
        Format::Plain | Format::Table => {
            let known = journal.mark.line - lines;
            let known = if known > 0 { format!(" ({known} were before)") } else { String::new() };
            print::line(format!(
                "loaded {lines} lines{known} in {seconds:.1} s, {rate:.0} a second"
            ))
        }
    }
}

/// The same failure, and how to go on after it.
fn explained(failure: Failure, journal: &Journal) -> Failure {
    let lines = journal.lines();
    let why = failure.why.trim_end_matches('.');
    let next = match journal.path() {
        Some(_) => "the same command goes on from there",
        None => "nothing was kept for going on; --resume FILE does",
    };
    Failure::new(failure.exit, format!("{why}; {lines} lines are loaded, and {next}"))
}

/// What is loaded.
struct Input {
    input: Box<dyn BufRead + Send>,
    /// For people.
    name: String,
    /// Its length, where that is known.
    total: Option<u64>,
}

impl Input {
    fn open(file: &Path) -> Result<Self, Failure> {
        if file == Path::new("-") {
            let input = Box::new(BufReader::new(std::io::stdin()));
            return Ok(Self { input, name: "standard input".to_owned(), total: None });
        }
        let name = file.display().to_string();
        let failed =
            |error| Failure::new(Exit::Environment, format!("cannot read {name}: {error}"));
        let open = File::open(file).map_err(failed)?;
        let about = open.metadata().map_err(failed)?;
        if about.is_dir() {
            let why = format!("{name} is a directory: name a file, or - for standard input");
            return Err(Failure::new(Exit::Environment, why));
        }
        let total = about.is_file().then_some(about.len());
        Ok(Self { input: Box::new(BufReader::with_capacity(256 << 10, open)), name, total })
    }
}

/// Where the journal is: as asked, else beside the file; standard input has no beside.
fn journal_path(flags: &cli::Load) -> Option<PathBuf> {
    if let Some(path) = &flags.resume {
        return Some(path.clone());
    }
    if flags.file == Path::new("-") {
        return None;
    }
    let mut name = flags.file.clone().into_os_string();
    name.push(".synod-load");
    Some(PathBuf::from(name))
}

/// Reads batches on a thread of its own: a file cannot be waited for.
fn read(
    mut lines: Lines<Box<dyn BufRead + Send>>,
    journal: &Journal,
) -> Result<mpsc::Receiver<Result<Batch, Failure>>, Failure> {
    let (send, batches) = mpsc::channel(READ_AHEAD);
    let (mark, crc, known) = (journal.mark, journal.crc, journal.known.clone());
    std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
        if let Err(failure) = lines.skip(mark, crc) {
            // Whoever waits for batches may have gone; then nobody wants to know.
            let _ = send.blocking_send(Err(failure));
            return;
        }
        loop {
            let batch = match lines.batch(&known) {
                Ok(Some(batch)) => Ok(batch),
                Ok(None) => return,
                Err(failure) => Err(failure),
            };
            let last = batch.is_err();
            if send.blocking_send(batch).is_err() || last {
                return;
            }
        }
    })?;
    Ok(batches)
}

/// What came of a batch, and the client that is free again.
type Ended = (Client, Span, BTreeSet<Bytes>, Result<(), kvpaxos::Error>);

/// Batches on their way into the store.
struct Work<'a> {
    journal: &'a mut Journal,
    free: Vec<Client>,
    under_way: JoinSet<Ended>,
    /// The keys of every batch under way; no two have one in common.
    keys: BTreeSet<Bytes>,
    /// What this run has loaded.
    lines: u64,
    bytes: u64,
}

impl<'a> Work<'a> {
    fn new(
        flags: &cli::Load,
        (servers, peers): (&Servers, &Addresses),
        journal: &'a mut Journal,
    ) -> Self {
        let connect =
            |seed| Connections::new(Arc::new(Tcp), servers.cluster, peers.0.clone(), seed);
        let count = flags.clients.clamp(1, MOST_CLIENTS);
        let seed = u64::from(std::process::id()) << 16;
        let shared: Vec<_> = (0..count.div_ceil(PER_CONNECTION) as u64)
            .map(|number| connect(seed ^ number))
            .collect();
        let clients = (0..count).map(|number| {
            let connections = shared[number % shared.len()].clone();
            let mut client = Client::new(connections, seed ^ ((number as u64) << 8));
            client.budget = servers.budget();
            client
        });
        let (free, keys) = (clients.collect(), BTreeSet::new());
        Self { journal, free, under_way: JoinSet::new(), keys, lines: 0, bytes: 0 }
    }

    /// Loads every batch. After a failure nothing new is begun, and what is under way is waited
    /// for, so that as much as possible is certain.
    async fn all(
        &mut self,
        mut batches: mpsc::Receiver<Result<Batch, Failure>>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut failed = None;
        while failed.is_none() {
            let batch = match batches.recv().await {
                None => break,
                Some(Ok(batch)) => batch,
                Some(Err(failure)) => {
                    failed = Some(failure);
                    break;
                }
            };
            if let Err(failure) = self.begin(batch, progress).await {
                failed = Some(failure);
            }
        }
        while !self.under_way.is_empty() {
            if let Err(failure) = self.one_ends(progress).await {
                failed.get_or_insert(failure);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sends a batch on its way as soon as it may go.
    async fn begin(&mut self, batch: Batch, progress: &mut Progress) -> Result<(), Failure> {
        let Batch { span, pairs } = batch;
        if pairs.is_empty() {
            return self.journal.done(span);
        }
        let keys: BTreeSet<Bytes> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let mut client = loop {
            let spread = self.journal.beyond.len() + self.under_way.len();
            let alone = keys.is_disjoint(&self.keys);
            if let Some(client) =
                self.free.pop_if(|_| alone && (spread < SPREAD || self.under_way.is_empty()))
            {
                break client;
            }
            self.one_ends(progress).await?;
        };
        self.keys.extend(keys.iter().cloned());
        self.under_way.spawn(async move {
            let done = client.put_many(pairs).await.map(|_| ());
            (client, span, keys, done)
        });
        Ok(())
    }

    /// Waits until a batch has ended, and notes it.
    async fn one_ends(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let ended = self.under_way.join_next().await;
        let Some(ended) = ended else { return Ok(()) };
        let (client, span, keys, done) =
            ended.map_err(|error| Failure::new(Exit::Unknown, error))?;
        self.free.push(client);
        for key in &keys {
            self.keys.remove(key);
        }
        done?;
        self.lines += span.to.line - span.from.line;
        self.bytes += span.to.byte - span.from.byte;
        self.journal.done(span)?;
        progress.at(self.journal.mark.byte, self.journal.mark.line);
        Ok(())
    }
}
