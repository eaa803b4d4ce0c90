//! Verbs of many keys at once: mget, mset, scan-all.

use bytes::Bytes;
use kvpaxos::{Client, Cursor, Entry, Show, Version};
use serde_json::{Value, json};

use super::bytes;
use crate::{
    cli::{Format, Scan},
    failure::{Exit, Failure},
    print::{self, Results},
};

/// `synod mget`
pub(super) async fn get(
    client: &mut Client,
    keys: &[String],
    format: Format,
) -> Result<(), Failure> {
    let found = client.get_many(keys.iter().map(|key| bytes(key)).collect()).await?;
    let both = keys.iter().zip(&found);
    match format {
        Format::Json => {
            for (key, found) in both {
                let found = found.as_ref().map(|(value, version)| (Some(value), *version));
                print::json(&object(key.as_bytes(), found))?;
            }
        }
        Format::Plain => {
            for (key, found) in both {
                if let Some((value, _)) = found {
                    print::line([key.as_bytes(), b"\t", value].concat())?;
                }
            }
        }
        Format::Table => {
            let rows = both.filter_map(|(key, found)| {
                let (value, version) = found.as_ref()?;
                Some(row(key.as_bytes(), *version, Some(value)))
            });
            print::table(&["KEY", "VERSION", "VALUE"], &rows.collect::<Vec<_>>())?;
        }
    }
    let both = keys.iter().zip(&found);
    let missing: Vec<String> =
        both.filter(|(_, found)| found.is_none()).map(|(key, _)| format!("{key:?}")).collect();
    match &missing[..] {
        [] => Ok(()),
        [one] => Err(Failure::new(Exit::NotFound, format!("there is no key {one}"))),
        more => {
            let why = format!("there are no keys {}", more.join(", "));
            Err(Failure::new(Exit::NotFound, why))
        }
    }
}

/// `synod mset`
pub(super) async fn set(
    client: &mut Client,
    pairs: &[String],
    format: Format,
) -> Result<(), Failure> {
    let (chunks, odd) = pairs.as_chunks::<2>();
    if let [key] = odd {
        let why = format!("key {key:?} has no value: write KEY VALUE KEY VALUE ...");
        return Err(Failure::new(Exit::Usage, why));
    }
    let both = chunks.iter().map(|[key, value]| (bytes(key), bytes(value))).collect();
    let versions = client.put_many(both).await?;
    match format {
        Format::Json => {
            for ([key, _], version) in chunks.iter().zip(versions) {
                print::json(&json!({"key": key, "version": version.0.to_string()}))?;
            }
            Ok(())
        }
        Format::Plain => versions.iter().try_for_each(|version| print::line(version.0.to_string())),
        Format::Table => {
            let last = versions.last().map_or(0, |version| version.0);
            print::line(format!("ok, {} keys, up to version {last}", chunks.len()))
        }
    }
}

/// `synod scan-all`
pub(super) async fn scan(client: &mut Client, what: &Scan, format: Format) -> Result<(), Failure> {
    let prefix = bytes(&what.prefix);
    let show = if what.keys_only { Show::Keys } else { Show::Values };
    let mut left = what.limit.unwrap_or(u64::MAX);
    let mut from = Cursor::START;
    let (mut shown, mut torn) = (0_u64, 0_u64);
    if format == Format::Table {
        let heading = if what.keys_only { "VERSION   KEY" } else { "VERSION   KEY = VALUE" };
        print::line(heading)?;
    }
    while left > 0 {
        let page = client.scan(prefix.clone(), from, show).await?;
        // Opened for each page: while the next one is asked for, nothing is held back.
        let mut results = Results::open();
        for entry in page.found.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            torn += u64::from(format == Format::Plain && is_torn(entry));
            results.line(&line(entry, format))?;
            shown += 1;
            left -= 1;
        }
        results.flush()?;
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    if torn > 0 {
        eprintln!("{torn} of them hold tabs or line ends: -o json keeps them apart");
    }
    if format == Format::Table {
        eprintln!("{shown} keys");
    }
    Ok(())
}

/// Whether a line of key, tab, value cannot be read back.
fn is_torn(entry: &Entry) -> bool {
    let ends = |bytes: &Bytes| bytes.contains(&b'\n');
    entry.key.contains(&b'\t') || ends(&entry.key) || entry.value.as_ref().is_some_and(ends)
}

/// What stands in one line: a table whose rows come as they are found has no widths to keep.
fn line(Entry { key, version, value }: &Entry, format: Format) -> Vec<u8> {
    let value = value.as_ref();
    match format {
        Format::Json => object(key, Some((value, *version))).to_string().into_bytes(),
        Format::Plain => match value {
            Some(value) => [key, &b"\t"[..], value].concat(),
            None => key.to_vec(),
        },
        Format::Table => {
            let value = value.map_or(String::new(), |value| format!(" = {}", print::cell(value)));
            format!("{:<9} {}{value}", version.0, print::cell(key)).into_bytes()
        }
    }
}

fn row(key: &[u8], version: Version, value: Option<&Bytes>) -> Vec<String> {
    let value = value.map(|value| print::cell(value)).unwrap_or_default();
    vec![print::cell(key), version.0.to_string(), value]
}

/// A key as an object: its value is there if it was asked for, and `null` if the key is not.
fn object(key: &[u8], found: Option<(Option<&Bytes>, Version)>) -> Value {
    let mut object = json!({"key": histcheck::spell(key)});
    match found {
        None => object["value"] = Value::Null,
        Some((value, version)) => {
            if let Some(value) = value {
                object["value"] = histcheck::spell(value);
            }
            object["version"] = json!(version.0.to_string());
        }
    }
    object
}
