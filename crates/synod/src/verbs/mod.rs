//! The verbs of a key/value store: put, append, get, delete, cas, and those of many keys.

mod many;

use std::{io::Read, slice};

use bytes::Bytes;
use clap::Subcommand;
use kvpaxos::{Expect, Version};
use serde_json::json;

use crate::{
    cli::{Cas, Format, Key, Keys, Pairs, Scan, Write},
    failure::{Exit, Failure},
    print,
    store::{Client, lacks},
};

/// What a client of a store can be told to do, from the command line or at a prompt.
#[derive(Clone, Debug, Subcommand)]
pub enum Deed {
    /// Set a key.
    Put(Write),
    /// Add to the end of a key's value.
    Append(Write),
    /// Show a key's value.
    Get(Key),
    /// Forget a key.
    Delete(Key),
    /// Set a key if its value is what you expect.
    Cas(Cas),
    /// Show several keys' values, all of one moment.
    Mget(Keys),
    /// Set several keys at once, or none of them.
    Mset(Pairs),
    /// Show every key, or those that begin alike.
    ScanAll(Scan),
}

impl Deed {
    /// The keys it names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let (one, every, step): (&[String], &[String], usize) = match self {
            Self::Put(write) | Self::Append(write) => (slice::from_ref(&write.key), &[], 1),
            Self::Get(what) | Self::Delete(what) => (slice::from_ref(&what.key), &[], 1),
            Self::Cas(cas) => (slice::from_ref(&cas.key), &[], 1),
            Self::Mget(what) => (&[], &what.keys, 1),
            Self::Mset(what) => (&[], &what.pairs, 2),
            Self::ScanAll(_) => (&[], &[], 1),
        };
        one.iter().chain(every.iter().step_by(step)).map(String::as_str)
    }

    /// Whether a primary/backup store has it.
    ///
    /// # Errors
    ///
    /// If not: one sentence.
    pub fn is_for_pairs(&self) -> Result<(), Failure> {
        match self {
            Self::Put(_) | Self::Append(_) | Self::Get(_) | Self::Delete(_) => Ok(()),
            Self::Cas(_) => Err(lacks("cas")),
            Self::Mget(_) => Err(lacks("mget")),
            Self::Mset(_) => Err(lacks("mset")),
            Self::ScanAll(_) => Err(lacks("scan-all")),
        }
    }

    /// Fills in what stands on standard input: a value of `-`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn filled_in(self) -> Result<Filled, Failure> {
        let dash = match &self {
            Self::Put(write) | Self::Append(write) => write.value == "-",
            Self::Cas(cas) => cas.value == "-",
            Self::Get(_) | Self::Delete(_) | Self::Mget(_) | Self::Mset(_) | Self::ScanAll(_) => {
                false
            }
        };
        if !dash {
            return Ok(Filled { deed: self, value: None });
        }
        let mut bytes = Vec::new();
        // One byte more than may be stored is enough to refuse it.
        let limit = kvpaxos::MAX_VALUE as u64 + 1;
        std::io::stdin().take(limit).read_to_end(&mut bytes)?;
        Ok(Filled { deed: self, value: Some(Bytes::from(bytes)) })
    }
}

/// A deed and the value that it takes from elsewhere, if it does.
pub struct Filled {
    deed: Deed,
    value: Option<Bytes>,
}

/// A deed as it is written: at a prompt a `-` is a dash.
impl From<Deed> for Filled {
    fn from(deed: Deed) -> Self {
        Self { deed, value: None }
    }
}

impl Filled {
    /// Does it, and shows what came of it.
    ///
    /// # Errors
    ///
    /// Each exit code says whether it may have happened.
    pub async fn perform(self, client: &mut Client, format: Format) -> Result<(), Failure> {
        let value = |text: &str| self.value.clone().unwrap_or_else(|| bytes(text));
        match &self.deed {
            Deed::Put(write) => {
                let version = client.put(bytes(&write.key), value(&write.value)).await?;
                written(format, version)
            }
            Deed::Append(write) => {
                let version = client.append(bytes(&write.key), value(&write.value)).await?;
                written(format, version)
            }
            Deed::Get(what) => get(client, what, format).await,
            Deed::Delete(what) => delete(client, what, format).await,
            Deed::Cas(what) => cas(client.kv("cas")?, what, value(&what.value), format).await,
            Deed::Mget(what) => many::get(client.kv("mget")?, &what.keys, format).await,
            Deed::Mset(what) => many::set(client.kv("mset")?, &what.pairs, format).await,
            Deed::ScanAll(what) => many::scan(client.kv("scan-all")?, what, format).await,
        }
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn written(format: Format, version: Option<Version>) -> Result<(), Failure> {
    let Some(version) = version else {
        return match format {
            Format::Json => print::json(&json!({"written": true})),
            Format::Plain => Ok(()),
            Format::Table => print::line("ok"),
        };
    };
    match format {
        Format::Json => print::json(&json!({"version": version.0.to_string()})),
        Format::Plain => print::line(version.0.to_string()),
        Format::Table => print::line(format!("ok, version {}", version.0)),
    }
}

async fn get(client: &mut Client, what: &Key, format: Format) -> Result<(), Failure> {
    let Some((value, version)) = client.get(bytes(&what.key)).await? else {
        let why = format!("there is no key {:?}", what.key);
        return Err(Failure::new(Exit::NotFound, why));
    };
    match format {
        Format::Json => {
            let mut found = json!({"key": what.key, "value": histcheck::spell(&value)});
            if let Some(version) = version {
                found["version"] = json!(version.0.to_string());
            }
            print::json(&found)
        }
        Format::Plain => print::line(value),
        Format::Table => print::line(print::text(&value)),
    }
}

async fn delete(client: &mut Client, what: &Key, format: Format) -> Result<(), Failure> {
    if !client.delete(bytes(&what.key)).await? {
        let why = format!("there was no key {:?}", what.key);
        return Err(Failure::new(Exit::NotFound, why));
    }
    match format {
        Format::Json => print::json(&json!({"deleted": true})),
        Format::Plain => Ok(()),
        Format::Table => print::line("ok, deleted"),
    }
}

async fn cas(
    client: &mut kvpaxos::Client,
    what: &Cas,
    value: Bytes,
    format: Format,
) -> Result<(), Failure> {
    let expect = match (&what.expected.expect, what.expected.version) {
        (Some(value), _) => Expect::Value(bytes(value)),
        (None, Some(version)) => Expect::Version(Version(version)),
        (None, None) => Expect::Absent,
    };
    match client.cas(bytes(&what.key), expect, value).await? {
        Ok(version) => written(format, Some(version)),
        Err(found) => {
            let has = found.map_or("is not there".to_owned(), |v| format!("has version {}", v.0));
            let why = format!(
                "not done: key {:?} {has}, which is not what you expect; look: synod get {0:?} -o json",
                what.key
            );
            Err(Failure::new(Exit::Refused, why))
        }
    }
}
