//! The history file: one operation per line of JSON, so that it can be read by eye, cut by line
//! and written by anything. Lines with a `mark` say what was done to the servers.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    base64,
    history::{Action, Answer, Operation, Outcome, Step, Text, Verb},
};

/// The format this crate reads and writes.
pub const FORMAT: u64 = 1;

/// The longest line a reader accepts, in bytes: a value of 1 MiB in any spelling fits many times.
pub const LINE_LIMIT: usize = 64 << 20;

/// Why a history file could not be read or written.
#[derive(Debug, Error)]
pub enum Error {
    /// The file itself.
    #[error("the history could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// One of its lines.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from one.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// The optional first line: where a history comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The file format, [`FORMAT`].
    pub synod_history: u64,
    /// The version of the program that recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The seed that replays it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The command that recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The commit the program was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Its first line, if it has one.
    pub header: Option<Header>,
    /// What clients asked and heard, in the order of the file.
    pub operations: Vec<Operation>,
    /// What was done to the servers, in the order of the file. No verdict rests on it.
    pub marks: Vec<Mark>,
}

/// Something that was done to the servers or happened to them, for people to see beside what
/// clients heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What, in a few words: `killed replica 2`.
    pub mark: String,
    /// When it was or began, on the clock of the operations.
    pub at: u64,
    /// When it ended, if it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Of which kind it is.
    #[serde(default)]
    pub kind: MarkKind,
}

/// Of which kind a mark is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// A server stopped.
    Kill,
    /// It is back.
    Back,
    /// Servers cannot hear each other, or can again.
    Cut,
    /// Another server leads.
    Leader,
    /// Anything else.
    #[default]
    Note,
}

/// Reads a whole history. Blank lines are skipped; a malformed one ends with its number.
///
/// # Errors
///
/// [`Error::Line`] for the first line that is no operation, [`Error::Io`] if reading fails.
pub fn read(mut from: impl BufRead) -> Result<History, Error> {
    let mut history = History::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let fault = |why: String| Error::Line { line: number, why };
        if from.by_ref().take(LINE_LIMIT as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() > LINE_LIMIT {
            return Err(fault(format!("longer than {LINE_LIMIT} bytes")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if number == 1
            && let Some(header) = header_of(&line).map_err(fault)?
        {
            history.header = Some(header);
            continue;
        }
        match serde_json::from_slice::<Spelled>(&line) {
            Ok(spelled) => history.operations.push(spelled.operation().map_err(fault)?),
            Err(error) => match serde_json::from_slice::<Mark>(&line) {
                Ok(mark) => history.marks.push(mark),
                Err(_) => return Err(fault(error.to_string())),
            },
        }
    }
    Ok(history)
}

/// The header in a first line, if it is one.
fn header_of(line: &[u8]) -> Result<Option<Header>, String> {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return Ok(None) };
    let Some(format) = value.get("synod_history") else { return Ok(None) };
    if format != FORMAT {
        return Err(format!("format {format} is not known here, only {FORMAT}"));
    }
    serde_json::from_value(value).map(Some).map_err(|e| e.to_string())
}

/// Writes a history line by line, as its operations end.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `to`, whose first line is `header`.
    ///
    /// # Errors
    ///
    /// If `to` cannot be written.
    pub fn new(mut to: W, header: &Header) -> Result<Self, Error> {
        let header = Header { synod_history: FORMAT, ..header.clone() };
        serde_json::to_writer(&mut to, &header).map_err(std::io::Error::from)?;
        to.write_all(b"\n")?;
        Ok(Self { to })
    }

    /// Adds one operation.
    ///
    /// # Errors
    ///
    /// If the line cannot be written.
    pub fn record(&mut self, operation: &Operation) -> Result<(), Error> {
        serde_json::to_writer(&mut self.to, &Spelled::of(operation))
            .map_err(std::io::Error::from)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Adds one mark.
    ///
    /// # Errors
    ///
    /// If the line cannot be written.
    pub fn mark(&mut self, mark: &Mark) -> Result<(), Error> {
        serde_json::to_writer(&mut self.to, mark).map_err(std::io::Error::from)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Hands back what was written to, flushed.
    ///
    /// # Errors
    ///
    /// If the last bytes cannot be written.
    pub fn finish(mut self) -> Result<W, Error> {
        self.to.flush()?;
        Ok(self.to)
    }
}

/// One line as it is spelled: every field of every kind of operation.
#[derive(Serialize, Deserialize)]
struct Spelled {
    id: u64,
    client: u64,
    call: u64,
    #[serde(rename = "return", default)]
    finish: Option<u64>,
    op: Op,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Blob>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    expect: Option<Option<Blob>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Blob>,
    outcome: Heard,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    result: Option<Option<Blob>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swapped: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ops: Option<Vec<Value>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Get,
    Put,
    Append,
    Delete,
    Cas,
    Txn,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Heard {
    Ok,
    Fail,
    Unknown,
}

/// Bytes as the file spells them: a string where they are UTF-8, `{"b64":"..."}` where not. For
/// whoever shows bytes in JSON, so that there is one spelling.
#[must_use]
pub fn spell(bytes: &[u8]) -> Value {
    Blob::json(bytes)
}

/// The bytes that [`spell`] spelt; `None` for anything it would not have written.
#[must_use]
pub fn unspell(value: &Value) -> Option<Text> {
    Blob::of_json(value).map(|blob| blob.0)
}

/// Tells a field that is `null` from one that is not there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Blob>>, D::Error> {
    Option::<Blob>::deserialize(from).map(Some)
}

/// Bytes: a string where they are UTF-8, `{"b64":"..."}` where not.
struct Blob(Text);

impl Blob {
    fn of_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self(text.clone().into_bytes())),
            Value::Object(fields) if fields.len() == 1 => {
                base64::decode(fields.get("b64")?.as_str()?).map(Self)
            }
            _ => None,
        }
    }

    fn json(text: &[u8]) -> Value {
        match std::str::from_utf8(text) {
            Ok(text) => json!(text),
            Err(_) => json!({ "b64": base64::encode(text) }),
        }
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_) => Self::json(&self.0).serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        Self::of_json(&value)
            .ok_or_else(|| de::Error::custom("bytes are a string or {\"b64\":\"...\"}"))
    }
}

impl Spelled {
    fn of(operation: &Operation) -> Self {
        let blob = |text: &Text| Some(Blob(text.clone()));
        let maybe = |text: &Option<Text>| Some(text.clone().map(Blob));
        let (op, expect, value, ops) = match &operation.action {
            Action::Get { .. } => (Op::Get, None, None, None),
            Action::Put { value, .. } => (Op::Put, None, blob(value), None),
            Action::Append { value, .. } => (Op::Append, None, blob(value), None),
            Action::Delete { .. } => (Op::Delete, None, None, None),
            Action::Cas { expect, value, .. } => (Op::Cas, maybe(expect), blob(value), None),
            Action::Txn { steps } => {
                (Op::Txn, None, None, Some(steps.iter().map(step_json).collect()))
            }
        };
        let (outcome, result, swapped) = match &operation.outcome {
            Outcome::Ok(Answer::Done) => (Heard::Ok, None, None),
            Outcome::Ok(Answer::Value(seen)) => (Heard::Ok, maybe(seen), None),
            Outcome::Ok(Answer::Swapped(swapped)) => (Heard::Ok, None, Some(*swapped)),
            Outcome::Fail => (Heard::Fail, None, None),
            Outcome::Unknown => (Heard::Unknown, None, None),
        };
        Self {
            id: operation.id,
            client: operation.client,
            call: operation.call,
            finish: operation.finish,
            op,
            key: operation.key().map(|key| Blob(key.to_vec())),
            expect,
            value,
            outcome,
            result,
            swapped,
            version: operation.version,
            ops,
        }
    }

    fn operation(self) -> Result<Operation, String> {
        let lacks = |field: &str| format!("lacks the field \"{field}\"");
        if self.outcome == Heard::Ok && self.finish.is_none() {
            return Err("an answer that arrived has a time in \"return\"".into());
        }
        if self.finish.is_some_and(|finish| finish < self.call) {
            return Err("the answer came before the question".into());
        }
        let answer = match self.op {
            Op::Get => self.result.map(|seen| Answer::Value(seen.map(|blob| blob.0))),
            Op::Cas => self.swapped.map(Answer::Swapped),
            Op::Put | Op::Append | Op::Delete | Op::Txn => Some(Answer::Done),
        };
        let outcome = match self.outcome {
            Heard::Ok => {
                let field = if matches!(self.op, Op::Get) { "result" } else { "swapped" };
                Outcome::Ok(answer.ok_or_else(|| lacks(field))?)
            }
            Heard::Fail => Outcome::Fail,
            Heard::Unknown => Outcome::Unknown,
        };
        let key = || self.key.map(|blob| blob.0).ok_or_else(|| lacks("key"));
        let value = || self.value.map(|blob| blob.0).ok_or_else(|| lacks("value"));
        let action = match self.op {
            Op::Get => Action::Get { key: key()? },
            Op::Put => Action::Put { key: key()?, value: value()? },
            Op::Append => Action::Append { key: key()?, value: value()? },
            Op::Delete => Action::Delete { key: key()? },
            Op::Cas => Action::Cas {
                key: key()?,
                expect: self.expect.ok_or_else(|| lacks("expect"))?.map(|blob| blob.0),
                value: value()?,
            },
            Op::Txn => {
                let ops = self.ops.ok_or_else(|| lacks("ops"))?;
                Action::Txn { steps: ops.iter().map(step_of_json).collect::<Result<_, _>>()? }
            }
        };
        let Self { id, client, call, finish, version, .. } = self;
        Ok(Operation { id, client, call, finish, action, outcome, version })
    }
}

/// How each verb is spelled.
const VERBS: [(&str, Verb); 5] = [
    ("r", Verb::Read),
    ("append", Verb::Append),
    ("w", Verb::Write),
    ("add", Verb::Add),
    ("cond", Verb::Condition),
];

fn step_json(step: &Step) -> Value {
    let spelled = VERBS.iter().find(|(_, verb)| *verb == step.verb).map(|(word, _)| *word);
    json!([spelled, Blob::json(&step.key), step.with])
}

fn step_of_json(value: &Value) -> Result<Step, String> {
    let parts = value.as_array().map(Vec::as_slice);
    let Some([word, key, with]) = parts else {
        return Err("a step of a transaction has three parts".into());
    };
    let verb = VERBS.iter().find(|(known, _)| word == known).map(|(_, verb)| *verb);
    let verb = verb.ok_or_else(|| format!("a transaction cannot {word}"))?;
    let key = Blob::of_json(key).ok_or("the key of a step is no bytes")?.0;
    Ok(Step { verb, key, with: with.clone() })
}
