//! The end of the day: is what clients heard, what disks hold and what was agreed one story?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use histcheck::{Action, Operation, Verdict, appends::each_once, check};
use kvpaxos::{Command, Store};
use paxos::{Slot, Value, batch};
use paxosrsm::{
    Coded, Sessions, StateMachine,
    sessions::{self, ClientId, RequestNo},
};

use crate::kv::Kv;

/// The longest the checker may think about one day. Days take it a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the log of a day held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Slots chosen.
    pub slots: u64,
    /// Slots chosen to hold nothing.
    pub noops: u64,
    /// Commands in them.
    pub commands: u64,
    /// Requests that came again and were answered from memory.
    pub from_memory: u64,
    /// Bytes of all commands.
    pub bytes: u64,
}

/// Builds the machine once more from what the judge saw chosen, and compares it with every image
/// that any disk held (S16).
///
/// # Errors
///
/// The first image that differs.
pub fn replay(kv: &Kv) -> Result<(Replayed, Store), String> {
    let mut machine = Sessions::with_limit(Store::default(), kv.shape.sessions);
    let mut replayed = Replayed::default();
    let mut done = BTreeSet::<(ClientId, RequestNo)>::new();
    let mut images = kv.disks.images().peekable();
    let mut next = Slot(0);
    for (slot, value) in kv.judge.decisions() {
        while let Some((upto, image)) = images.next_if(|(upto, _)| upto.0 <= slot.0) {
            compare(upto.0, &machine, image)?;
        }
        if slot != next {
            return Err(format!("S12 order: slot {next} is open, but {slot} is chosen"));
        }
        next = slot.next();
        replayed.slots += 1;
        let Value::Data(packed) = value else {
            replayed.noops += 1;
            continue;
        };
        for command in batch::unpack(packed).ok_or("S2 validity: a value is not a batch")? {
            replayed.commands += 1;
            replayed.bytes += command.len() as u64;
            let command = sessions::Command::<Command>::decode(&command)
                .ok_or("S2 validity: a command is not one of ours")?;
            let whose = match &command {
                sessions::Command::Register | sessions::Command::Bare(_) => None,
                sessions::Command::Do { client, request, .. } => Some((*client, *request)),
            };
            let answered = matches!(machine.apply(command), sessions::Response::Done(_));
            if whose.is_some_and(|whose| answered && !done.insert(whose)) {
                replayed.from_memory += 1;
            }
        }
    }
    for (upto, image) in images {
        compare(upto.0, &machine, image)?;
    }
    Ok((replayed, machine.machine().clone()))
}

/// An image is its form (one byte), an index, a fingerprint, the machine and a seal.
fn compare(upto: u64, machine: &Sessions<Store>, image: &Bytes) -> Result<(), String> {
    let inside = image.len().checked_sub(8).and_then(|end| image.get(17..end));
    if inside == Some(&machine.freeze().write()) {
        return Ok(());
    }
    Err(format!("S16 apply determinism: an image of everything below {upto} is another machine's"))
}

/// S20 exactly once: in every key that was only appended to, each acknowledged append is there
/// once, and each unknown one at most once. `value` is what the store holds under a key.
///
/// # Errors
///
/// The append that is missing, there twice, or nobody's.
pub fn tokens(history: &[Operation], value: impl Fn(&[u8]) -> Bytes) -> Result<u64, String> {
    let mut keys = BTreeMap::<&[u8], Vec<&Operation>>::new();
    let mut others = BTreeSet::<&[u8]>::new();
    for operation in history {
        match &operation.action {
            Action::Append { key, .. } => keys.entry(key).or_default().push(operation),
            Action::Put { key, .. } | Action::Delete { key } | Action::Cas { key, .. } => {
                others.insert(key);
            }
            Action::Get { .. } | Action::Txn { .. } => {}
        }
    }
    let mut checked = 0;
    for (key, appends) in keys.iter().filter(|(key, _)| !others.contains(*key)) {
        each_once(&value(key), b']', appends).map_err(|why| format!("S2 or S20: {why}"))?;
        checked += appends.len() as u64;
    }
    Ok(checked)
}

/// S17 and more: one honest map could have given every answer.
///
/// # Errors
///
/// The operations that contradict each other, or that the checker gave up, or that a day with
/// answers left nothing to check.
pub fn linearizable(history: &[Operation]) -> Result<(), String> {
    let report = check(history, PATIENCE);
    match &report.verdict {
        Verdict::Ok => {}
        Verdict::Illegal(violation) => {
            let mut lines = String::from("S17 linearizability: these contradict each other:");
            for operation in &violation.window {
                lines.push_str(&format!("\n    {operation}"));
            }
            return Err(lines);
        }
        Verdict::Unknown(why) => return Err(format!("the checker gave up: {why:?}")),
    }
    // A handful of answers may all be to writes; many are never.
    if report.is_vacuous() && report.counts.ok > 50 {
        return Err("a day full of answers left nothing to check".into());
    }
    Ok(())
}

/// Everything at once.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn judge(kv: &Kv) -> Result<Replayed, String> {
    let (replayed, store) = replay(kv)?;
    let record = kv.clients.record();
    let value = |key: &[u8]| store.get(key).map(|(value, _)| value.clone()).unwrap_or_default();
    tokens(&record, value)?;
    linearizable(&record)?;
    Ok(replayed)
}
