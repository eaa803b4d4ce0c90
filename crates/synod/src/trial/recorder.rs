//! What every client asked and heard, on one clock.

use std::{
    cell::{Cell, Ref, RefCell},
    collections::BTreeMap,
    fs::File,
    io::BufWriter,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use histcheck::{Action, Answer, Header, Mark, MarkKind, Operation, Outcome, Writer};
use kvpaxos::{Expect, Version};

use crate::{
    failure::{Exit, Failure},
    store::{Client, Connections},
};

/// How long one operation is tried for. Longer than any silence that the trial provokes, so that
/// most outcomes are known.
const BUDGET: Duration = Duration::from_secs(5);

/// Everything that was asked and heard.
pub struct Recorder {
    start: Instant,
    operations: RefCell<Vec<Operation>>,
    /// When each acknowledgement came, in nanoseconds, in order.
    acknowledged: RefCell<Vec<u64>>,
    /// What was asked and not answered yet, by its number.
    open: RefCell<BTreeMap<u64, Operation>>,
    /// What was done to the replicas.
    marks: RefCell<Vec<Mark>>,
    next_id: Cell<u64>,
    next_client: Cell<u64>,
}

impl Recorder {
    /// An empty record whose clock begins now.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            start: Instant::now(),
            operations: RefCell::default(),
            acknowledged: RefCell::default(),
            open: RefCell::default(),
            marks: RefCell::default(),
            next_id: Cell::new(1),
            next_client: Cell::new(1),
        })
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Everything recorded so far.
    pub fn operations(&self) -> Ref<'_, Vec<Operation>> {
        self.operations.borrow()
    }

    /// When each acknowledgement came, in order.
    pub fn acknowledged(&self) -> Ref<'_, Vec<u64>> {
        self.acknowledged.borrow()
    }

    /// What was asked and not answered yet, in the order of the questions.
    #[must_use]
    pub fn open(&self) -> Vec<Operation> {
        self.open.borrow().values().cloned().collect()
    }

    /// Something was done to the replicas, or happened to them, just now.
    pub fn mark(&self, kind: MarkKind, mark: String) {
        self.mark_at(self.now(), kind, mark);
    }

    /// The same, at a time a moment ago.
    pub fn mark_at(&self, at: u64, kind: MarkKind, mark: String) {
        self.marks.borrow_mut().push(Mark { mark, at, until: None, kind });
    }

    /// The latest thing of this kind is over.
    pub fn over(&self, kind: MarkKind) {
        let mut marks = self.marks.borrow_mut();
        if let Some(mark) = marks.iter_mut().rev().find(|mark| mark.kind == kind) {
            mark.until = Some(self.now());
        }
    }

    /// What was done to the replicas so far.
    pub fn marks(&self) -> Ref<'_, Vec<Mark>> {
        self.marks.borrow()
    }

    fn fresh(counter: &Cell<u64>) -> u64 {
        counter.replace(counter.get() + 1)
    }

    /// Writes everything recorded so far to `path`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path, seed: u64, command: &str) -> Result<(), Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Environment, format!("cannot write {}: {why}", path.display()))
        };
        let file = File::create(path).map_err(|error| failed(&error))?;
        let header = Header {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            seed: Some(seed),
            command: Some(command.to_owned()),
            ..Header::default()
        };
        let mut writer =
            Writer::new(BufWriter::new(file), &header).map_err(|error| failed(&error))?;
        for mark in self.marks().iter() {
            writer.mark(mark).map_err(|error| failed(&error))?;
        }
        for operation in self.operations().iter() {
            writer.record(operation).map_err(|error| failed(&error))?;
        }
        writer.finish().map_err(|error| failed(&error))?;
        Ok(())
    }
}

/// A client under oath: whatever it asks and hears is on record.
pub struct Witness {
    client: Client,
    recorder: Rc<Recorder>,
    number: u64,
}

impl Witness {
    /// A client over these connections.
    #[must_use]
    pub fn new(recorder: &Rc<Recorder>, connections: &Connections, seed: u64) -> Self {
        let client = Client::new(connections, seed, BUDGET);
        let number = Recorder::fresh(&recorder.next_client);
        Self { client, recorder: Rc::clone(recorder), number }
    }

    /// Asks, records, and tells what was heard; the failure is there for people to read.
    pub async fn ask(&mut self, action: Action) -> (Outcome, Option<Failure>) {
        let id = Recorder::fresh(&self.recorder.next_id);
        let asked = Operation::asked(id, self.number, self.recorder.now(), action);
        self.recorder.open.borrow_mut().insert(id, asked.clone());
        let heard = self.perform(&asked.action).await;
        self.recorder.open.borrow_mut().remove(&id);
        let now = self.recorder.now();
        let (operation, failure) = match heard {
            Ok((answer, version)) => {
                self.recorder.acknowledged.borrow_mut().push(now);
                let answered = asked.answered(now, answer);
                let versioned = match version {
                    Some(version) => answered.at_version(version.0),
                    None => answered,
                };
                (versioned, None)
            }
            Err(failure) if failure.exit == Exit::Unknown => {
                // It may still happen: whoever goes on from here is somebody else, or it would
                // seem to have two requests open.
                self.number = Recorder::fresh(&self.recorder.next_client);
                (asked, Some(failure))
            }
            Err(failure) => (asked.refused(now), Some(failure)),
        };
        let outcome = operation.outcome.clone();
        self.recorder.operations.borrow_mut().push(operation);
        (outcome, failure)
    }

    /// The value of a key, asked until it is known or `patience` is over.
    pub async fn value(&mut self, key: &[u8], patience: Duration) -> Option<Option<Vec<u8>>> {
        let deadline = Instant::now() + patience;
        loop {
            let (outcome, _) = self.ask(Action::Get { key: key.to_vec() }).await;
            if let Outcome::Ok(Answer::Value(value)) = outcome {
                return Some(value);
            }
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    async fn perform(&mut self, action: &Action) -> Result<(Answer, Option<Version>), Failure> {
        let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
        let client = &mut self.client;
        match action {
            Action::Get { key } => {
                let found = client.get(bytes(key)).await?;
                let version = found.as_ref().and_then(|(_, version)| *version);
                Ok((Answer::Value(found.map(|(value, _)| value.to_vec())), version))
            }
            Action::Put { key, value } => {
                Ok((Answer::Done, client.put(bytes(key), bytes(value)).await?))
            }
            Action::Append { key, value } => {
                Ok((Answer::Done, client.append(bytes(key), bytes(value)).await?))
            }
            Action::Delete { key } => {
                client.delete(bytes(key)).await?;
                Ok((Answer::Done, None))
            }
            Action::Cas { key, expect, value } => {
                let expect = match expect {
                    Some(expect) => Expect::Value(bytes(expect)),
                    None => Expect::Absent,
                };
                match client.kv("cas")?.cas(bytes(key), expect, bytes(value)).await? {
                    Ok(version) => Ok((Answer::Swapped(true), Some(version))),
                    Err(_) => Ok((Answer::Swapped(false), None)),
                }
            }
            Action::Txn { .. } => unreachable!("no client here asks for a transaction"),
        }
    }
}
