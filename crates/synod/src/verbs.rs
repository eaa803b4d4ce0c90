//! The verbs of a key/value store: put, append, get, delete, cas.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use kvpaxos::{Client, Connections, Expect, Version};
use net::Tcp;
use serde_json::json;

use crate::{
    cli::{Cas, Format, Key, Servers, Write},
    failure::{Exit, Failure},
    print,
};

/// A client of the store that these flags name.
#[must_use]
pub fn client(servers: &Servers) -> Client {
    // Differs from call to call, so that one command does not always ask the same node first.
    let seed = u64::from(std::process::id());
    let addrs = servers.peers.0.clone();
    let mut client =
        Client::new(Connections::new(Arc::new(Tcp), servers.cluster, addrs, seed), seed);
    client.budget = servers.budget();
    client
}

fn value(text: &str) -> Result<Bytes, Failure> {
    if text != "-" {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    let mut bytes = Vec::new();
    // One byte more than may be stored is enough to refuse it.
    let limit = kvpaxos::MAX_VALUE as u64 + 1;
    std::io::stdin().take(limit).read_to_end(&mut bytes)?;
    Ok(Bytes::from(bytes))
}

fn key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn written(format: Format, version: Version) {
    match format {
        Format::Json => print::json(&json!({"version": version.0.to_string()})),
        Format::Plain => println!("{}", version.0),
        Format::Table => println!("ok, version {}", version.0),
    }
}

/// `synod put`
///
/// # Errors
///
/// Each exit code says whether it may have happened.
pub async fn put(write: &Write, format: Format) -> Result<(), Failure> {
    let version = client(&write.servers).put(key(&write.key), value(&write.value)?).await?;
    written(format, version);
    Ok(())
}

/// `synod append`
///
/// # Errors
///
/// Each exit code says whether it may have happened.
pub async fn append(write: &Write, format: Format) -> Result<(), Failure> {
    let version = client(&write.servers).append(key(&write.key), value(&write.value)?).await?;
    written(format, version);
    Ok(())
}

/// `synod get`
///
/// # Errors
///
/// If the key is not there, or nobody could be asked.
pub async fn get(flags: &Key, format: Format) -> Result<(), Failure> {
    let found = client(&flags.servers).get(key(&flags.key)).await?;
    let Some((value, version)) = found else {
        let why = format!("there is no key {:?}", flags.key);
        return Err(Failure::new(Exit::NotFound, why));
    };
    match format {
        Format::Json => {
            let value = print::text(&value);
            let version = version.0.to_string();
            print::json(&json!({"key": flags.key, "value": value, "version": version}));
        }
        Format::Plain | Format::Table => println!("{}", print::text(&value)),
    }
    Ok(())
}

/// `synod delete`
///
/// # Errors
///
/// If the key is not there, or it may not have been done.
pub async fn delete(flags: &Key, format: Format) -> Result<(), Failure> {
    if !client(&flags.servers).delete(key(&flags.key)).await? {
        let why = format!("there was no key {:?}", flags.key);
        return Err(Failure::new(Exit::NotFound, why));
    }
    match format {
        Format::Json => print::json(&json!({"deleted": true})),
        Format::Plain => {}
        Format::Table => println!("ok, deleted"),
    }
    Ok(())
}

/// `synod cas`
///
/// # Errors
///
/// If something else was there, or it may not have been done.
pub async fn cas(flags: &Cas, format: Format) -> Result<(), Failure> {
    let expect = match (&flags.expect, flags.version) {
        (Some(value), _) => Expect::Value(key(value)),
        (None, Some(version)) => Expect::Version(Version(version)),
        (None, None) => Expect::Absent,
    };
    let value = value(&flags.value)?;
    match client(&flags.servers).cas(key(&flags.key), expect, value).await? {
        Ok(version) => {
            written(format, version);
            Ok(())
        }
        Err(found) => {
            let has = found.map_or("is not there".to_owned(), |v| format!("has version {}", v.0));
            let why = format!("not done: key {:?} {has}, which is not what you expect", flags.key);
            Err(Failure::new(Exit::Refused, why))
        }
    }
}
