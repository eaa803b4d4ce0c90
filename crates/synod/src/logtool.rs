//! `synod wal`: looking at a node's log. Read only, without a lock: a running server is neither
//! hindered nor a hindrance.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use wal::{
    OpenError, RealDisk, Report, Snapshots, StreamId, Verdict,
    survey::{Entry, What},
};

use crate::{
    cli::Format,
    failure::{Exit, Failure},
    print,
    records::{Guess, Said, Writer},
};

/// `synod wal`
#[derive(Args, Clone, Debug)]
pub struct LogTool {
    /// What to look at.
    #[command(subcommand)]
    pub what: Looking,
}

/// What can be done with a log.
#[derive(Clone, Debug, Subcommand)]
pub enum Looking {
    /// Show every record, in order.
    #[command(after_help = "Example:\n  synod wal dump data/1 -o json")]
    Dump {
        /// The directory of a node; its server may be running.
        #[arg(env = "SYNOD_DATA")]
        dir: PathBuf,
        /// Only the records of this stream.
        #[arg(long, env = "SYNOD_STREAM")]
        stream: Option<u32>,
    },
    /// Is it whole? Ends with 0 if it is, or if only its last, unacknowledged batch is torn; with
    /// 1 if it is corrupt or cannot be read.
    #[command(after_help = "Example:\n  synod wal verify data/1")]
    Verify {
        /// The directory of a node; its server may be running.
        #[arg(env = "SYNOD_DATA")]
        dir: PathBuf,
    },
    /// How large it is, what its streams keep, which snapshots there are.
    #[command(after_help = "Example:\n  synod wal stats data/1")]
    Stats {
        /// The directory of a node; its server may be running.
        #[arg(env = "SYNOD_DATA")]
        dir: PathBuf,
    },
}

/// `synod wal`
///
/// # Errors
///
/// If there is no log, or it is corrupt or cannot be read.
pub fn run(flags: &LogTool, format: Format) -> Result<(), Failure> {
    match &flags.what {
        Looking::Dump { dir, stream } => dump(dir, *stream, format),
        Looking::Verify { dir } => verify(dir, format),
        Looking::Stats { dir } => stats(dir, format),
    }
}

/// What is wrong with a directory, for somebody who only wanted to look.
pub(crate) fn trouble(dir: &Path, error: OpenError) -> Failure {
    match error {
        OpenError::Empty { .. } => {
            let dir = dir.display();
            let why =
                format!("{dir} holds no node: name a directory that `synod init --data` made");
            Failure::new(Exit::Environment, why)
        }
        error @ OpenError::HalfCreated { .. } => Failure::new(Exit::Environment, error),
        error => Failure::new(Exit::Failed, error),
    }
}

/// The report on a log that is whole, or the sentence that says where it is not.
fn sound(dir: &Path, looked: Result<Report, OpenError>) -> Result<Report, Failure> {
    let report = looked.map_err(|error| trouble(dir, error))?;
    match &report.verdict {
        Verdict::Corrupt(damage) => {
            let dir = dir.display();
            let why = format!(
                "the log in {dir} is corrupt: {damage}; restore the file from a copy, or replace the node"
            );
            Err(Failure::new(Exit::Failed, why))
        }
        Verdict::Clean | Verdict::TornTail { .. } => Ok(report),
    }
}

fn verdict(report: &Report) -> String {
    match &report.verdict {
        Verdict::Clean => "clean".to_owned(),
        Verdict::TornTail { file, offset } => format!(
            "torn tail in {file} at byte {offset}: the last batch was cut off, or is being written now; it was acknowledged to nobody"
        ),
        Verdict::Corrupt(damage) => format!("corrupt: {damage}"),
    }
}

fn verdict_json(report: &Report) -> Json {
    let (word, place) = match &report.verdict {
        Verdict::Clean => ("clean", Json::Null),
        Verdict::TornTail { file, offset } => ("torn", json!({"file": file, "offset": offset})),
        Verdict::Corrupt(damage) => (
            "corrupt",
            json!({"file": damage.file, "offset": damage.offset, "position": damage.position,
                "why": damage.why}),
        ),
    };
    json!({"verdict": word, "place": place, "segments": report.segments,
        "records": report.streams.iter().map(|s| s.records).sum::<u64>(),
        "live_bytes": report.live_bytes(), "position": report.position, "durable": report.mark})
}

fn verify(dir: &Path, format: Format) -> Result<(), Failure> {
    let report = wal::verify_dir(dir).map_err(|error| trouble(dir, error))?;
    match format {
        Format::Json => print::json(&verdict_json(&report))?,
        Format::Plain | Format::Table if !matches!(report.verdict, Verdict::Corrupt(_)) => {
            let records: u64 = report.streams.iter().map(|s| s.records).sum();
            let (segments, bytes) = (report.segments, report.live_bytes());
            print::line(verdict(&report))?;
            print::line(format!(
                "{records} records of {bytes} bytes are kept, in {segments} segments"
            ))?;
        }
        Format::Plain | Format::Table => {}
    }
    sound(dir, Ok(report)).map(|_| ())
}

/// Who wrote the log in this directory. A look of its own, since a record means nothing before that
/// is known.
fn writer(dir: &Path) -> Result<Writer, Failure> {
    let mut guess = Guess::default();
    let mut look = |entry: &Entry<'_>| {
        if let What::Data { payload, .. } = entry.what {
            guess.look(payload);
        }
    };
    let report = wal::survey_dir(dir, &mut look).map_err(|error| trouble(dir, error))?;
    Ok(guess.writer(report.identity.node))
}

fn dump(dir: &Path, only: Option<u32>, format: Format) -> Result<(), Failure> {
    let writer = writer(dir)?;
    let mut shown = Ok(());
    let mut show = |entry: &Entry<'_>| {
        let stream = match entry.what {
            What::Data { stream, .. } | What::Forget { stream, .. } => Some(stream.0),
            What::Mark => None,
        };
        if shown.is_ok() && (only.is_none() || stream == only) {
            shown = line(entry, writer, format);
        }
    };
    let surveyed = wal::survey_dir(dir, &mut show);
    shown?;
    let report = sound(dir, surveyed)?;
    if format != Format::Json {
        eprintln!("{}", verdict(&report));
    }
    Ok(())
}

fn line(entry: &Entry<'_>, writer: Writer, format: Format) -> Result<(), Failure> {
    let Entry { file, offset, position, mark, what } = *entry;
    let place = json!({"file": file, "offset": offset, "position": position, "durable": mark});
    let (text, more) = match what {
        What::Data { stream, lsn, payload } => {
            let said = writer.read(payload);
            let length = payload.len();
            let text =
                format!("stream {} record {} ({length} bytes): {}", stream.0, lsn.0, said.text);
            let more = json!({"kind": "record", "stream": stream.0, "lsn": lsn.0,
                "length": length, "content": said.content});
            (text, more)
        }
        What::Forget { stream, keep } => (
            format!("stream {} needs nothing below record {}", stream.0, keep.0),
            json!({"kind": "forget", "stream": stream.0, "keep": keep.0}),
        ),
        What::Mark => (format!("all up to {mark} is durable"), json!({"kind": "mark"})),
    };
    if format != Format::Json {
        return print::line(format!("{file} {offset:>9} {position:>8}  {text}"));
    }
    let mut object = place;
    if let (Some(into), Json::Object(more)) = (object.as_object_mut(), more) {
        into.extend(more);
    }
    print::json(&object)
}

/// What is known of a stream beyond what its log counts.
#[derive(Default)]
struct Seen {
    /// The kind of each record; the last copy counts.
    kinds: BTreeMap<u64, &'static str>,
    checkpoint: Option<(u64, Said)>,
}

impl Seen {
    fn look(&mut self, lsn: u64, said: Said) {
        self.kinds.insert(lsn, said.kind);
        if said.kind == "checkpoint" && self.checkpoint.as_ref().is_none_or(|(at, _)| *at <= lsn) {
            self.checkpoint = Some((lsn, said));
        }
    }

    fn kept(&self, first: u64) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for kind in self.kinds.range(first..).map(|(_, kind)| *kind) {
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }
}

fn stats(dir: &Path, format: Format) -> Result<(), Failure> {
    let writer = writer(dir)?;
    let mut seen: BTreeMap<StreamId, Seen> = BTreeMap::new();
    let mut look = |entry: &Entry<'_>| {
        if let What::Data { stream, lsn, payload } = entry.what {
            seen.entry(stream).or_default().look(lsn.0, writer.read(payload));
        }
    };
    let report = sound(dir, wal::survey_dir(dir, &mut look))?;
    let snapshots = Snapshots::new(Arc::new(RealDisk::read_only(dir)));
    let mut kept = Vec::new();
    for snapshot in snapshots.list_all()? {
        // One that a running server has just removed is no finding.
        let Ok(bytes) = snapshots.size(&snapshot) else { continue };
        let sound = snapshots.read(&snapshot).is_ok();
        kept.push((snapshot, bytes, sound));
    }
    let identity = report.identity;
    if format == Format::Json {
        let streams: Vec<Json> = report
            .streams
            .iter()
            .map(|s| {
                let seen = seen.get(&s.stream);
                json!({"stream": s.stream.0, "first": s.first.0, "records": s.records,
                "live_bytes": s.live_bytes, "kinds": seen.map(|seen| seen.kept(s.first.0)),
                "checkpoint": seen.and_then(|seen| seen.checkpoint.as_ref()).map(|(lsn, said)| {
                    json!({"lsn": lsn, "content": said.content})
                })})
            })
            .collect();
        let snapshots: Vec<Json> = kept.iter().map(|(snapshot, bytes, sound)| {
            json!({"stream": snapshot.stream.0, "below": snapshot.index, "bytes": bytes, "sound": sound})
        }).collect();
        print::json(&json!({"node": identity.node.0, "cluster": identity.cluster.0.to_string(),
            "life": identity.incarnation, "log": verdict_json(&report), "spare": report.spares,
            "streams": streams, "snapshots": snapshots}))?;
        return Ok(());
    }
    print::line(format!(
        "node {} of cluster {}, life {}",
        identity.node.0, identity.cluster.0, identity.incarnation
    ))?;
    print::line(verdict(&report))?;
    print::line(format!("segments: {} in use, {} spare", report.segments, report.spares))?;
    print::line(format!(
        "positions: written up to {}, proven durable up to {}",
        report.position, report.mark
    ))?;
    for stream in &report.streams {
        let (first, id) = (stream.first.0, stream.stream);
        print::line(format!(
            "{id}: {} records from {first}, {} live bytes",
            stream.records, stream.live_bytes
        ))?;
        let Some(seen) = seen.get(&id) else { continue };
        let kinds: Vec<String> =
            seen.kept(first).iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        print::line(format!("  {}", kinds.join(", ")))?;
        if let Some((lsn, said)) = &seen.checkpoint {
            print::line(format!("  record {lsn}: {}", said.text))?;
        }
    }
    kept.iter().try_for_each(|(snapshot, bytes, sound)| {
        let (word, stream) = (if *sound { "sound" } else { "DAMAGED" }, snapshot.stream);
        let below = snapshot.index;
        print::line(format!("snapshot of {stream} below slot {below}: {bytes} bytes, {word}"))
    })
}
