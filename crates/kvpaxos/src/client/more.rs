//! Calls beyond one key at a time: many keys, scans, and puts over a version.

use bytes::Bytes;
use paxosrsm::Coded;

use super::{Client, Error};
use crate::{
    command::{Command, Expect, Response, Version},
    question::{Cursor, Found, Page, Question, Show, Value},
    versioned::{self, PutError},
};

impl Client {
    /// Sets every key to its value: all of them at one moment, or none. The versions are those of
    /// the pairs, in their order; of a key that comes twice the later value stays. At most
    /// [`MAX_KEYS_PER_CALL`](crate::MAX_KEYS_PER_CALL) pairs of [`MAX_COMMAND`](crate::MAX_COMMAND) bytes, eight for each pair included; without
    /// pairs nothing is asked of anybody.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn put_many(&mut self, pairs: Vec<(Bytes, Bytes)>) -> Result<Vec<Version>, Error> {
        let count = pairs.len() as u64;
        if count == 0 {
            return Ok(Vec::new());
        }
        // Each pair was a write of its own, and none came between.
        let Version(last) = self.written(Command::PutMany(pairs)).await?;
        Ok((0..count).rev().map(|before| Version(last.saturating_sub(before))).collect())
    }

    /// The values of these keys and their versions, in their order and all as of one moment during
    /// the call. At most [`MAX_KEYS_PER_CALL`](crate::MAX_KEYS_PER_CALL) keys, whose values have at most [`MAX_ANSWER`](crate::MAX_ANSWER) bytes
    /// together; without keys nothing is asked of anybody.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_many(&mut self, keys: Vec<Bytes>) -> Result<Vec<Option<Value>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let count = keys.len();
        match self.look(&Question::GetMany(keys)).await? {
            Found::Many(found) if found.len() == count => Ok(found),
            _ => Err(Error::Malformed),
        }
    }

    /// A page of the keys that begin with `prefix`. Begin with [`Cursor::START`] and go on with
    /// what each page names as next, until one names nothing. A key that is there from the first
    /// call to the last is found at least once; one that came or went meanwhile may be found or
    /// not, and any may be found again. A page may be empty and not the last.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn scan(&mut self, prefix: Bytes, from: Cursor, show: Show) -> Result<Page, Error> {
        match self.look(&Question::Scan { prefix, from, show }).await? {
            Found::Page(page) => Ok(page),
            _ => Err(Error::Malformed),
        }
    }

    /// Sets `key` to `value` if it has this version; version 0 means that it must not be there.
    /// The new version. See [`versioned`]: over a version nothing of this client
    /// is remembered by the servers. To create a key is remembered, for the key might be deleted
    /// before a repetition arrives, which would make it again.
    ///
    /// # Errors
    ///
    /// See [`PutError`]; each says whether it may have happened.
    pub async fn put_if_version(
        &mut self,
        key: Bytes,
        value: Bytes,
        version: Version,
    ) -> Result<Version, PutError> {
        if version == Version(0) {
            let response = self.change(&Command::Cas(key, Expect::Absent, value)).await?;
            return versioned::verdict(&response, false);
        }
        let command = Command::Cas(key, Expect::Version(version), value);
        if !command.fits() {
            return Err(Error::TooLarge.into());
        }
        let first = self.clerk.bare(command.to_bytes());
        let response = self.errand(first).await?;
        let repeated = self.clerk.exposed();
        let response = Response::decode(&response).ok_or(Error::Unknown)?;
        versioned::verdict(&response, repeated)
    }
}
