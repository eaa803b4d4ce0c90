//! Every reason why a log, an identity or a snapshot does not open, each in one sentence that
//! names the directory or file and the next step.

use std::io;

/// Why a directory did not open. Nothing was acknowledged and nothing was destroyed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing is there: a first start, or a lost disk, and only a person can know which.
    #[error(
        "{dir} holds no node yet: run `synod init` once if this is a new node; if it had data, its disk is lost and it must not vote"
    )]
    Empty {
        /// The directory.
        dir: String,
    },
    /// Some files of a node are there, but not all that `init` writes.
    #[error(
        "{dir} is half created ({what}): if this node never ran, empty the directory and run `synod init`; otherwise restore the missing file"
    )]
    HalfCreated {
        /// The directory.
        dir: String,
        /// What is missing, or what is there that should not be.
        what: String,
    },
    /// `init` was asked to create a node where one lives already.
    #[error(
        "{dir} already holds a node ({what}): start it without `synod init`, or choose another directory"
    )]
    AlreadyInitialised {
        /// The directory.
        dir: String,
        /// The file that proves it.
        what: String,
    },
    /// The data belongs to somebody else.
    #[error(
        "{file} in {dir} belongs to {found}, not to {expected}: start the node that owns it, or choose another directory"
    )]
    Foreign {
        /// The directory.
        dir: String,
        /// The file that says so.
        file: String,
        /// Whose it is.
        found: String,
        /// Who asked.
        expected: String,
    },
    /// The identity file does not verify.
    #[error(
        "the identity in {dir} is damaged ({why}): restore it from a copy, or replace the node; it must not vote as it is"
    )]
    DamagedIdentity {
        /// The directory.
        dir: String,
        /// What did not fit.
        why: String,
    },
    /// Another process has the directory open.
    #[error(
        "{dir} is in use by another process: stop that process first, or choose another directory"
    )]
    Locked {
        /// The directory.
        dir: String,
    },
    /// A file of a format this program does not know.
    #[error(
        "{file} in {dir} has format version {found} and this program reads version {known}: use the version of synod that wrote it"
    )]
    UnknownVersion {
        /// The directory.
        dir: String,
        /// The file.
        file: String,
        /// The version found.
        found: u32,
        /// The version known.
        known: u32,
    },
    /// Acknowledged data is missing or spoilt. Nothing was truncated.
    #[error(
        "acknowledged data is corrupt in {dir}: {damage}; nothing was changed: run `synod wal verify`, then restore the file or replace the node"
    )]
    Corrupt {
        /// The directory.
        dir: String,
        /// Where, and what.
        damage: Damage,
    },
    /// A knob is out of its range.
    #[error("the log's configuration is wrong: {0}")]
    Config(String),
    /// The disk refused. The kind of the source is kept.
    #[error("cannot {what} in {dir}: {source}")]
    Io {
        /// The directory.
        dir: String,
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Where acknowledged data is spoilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file name.
    pub file: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// The position (the count over all streams) of the record that should be there.
    pub position: u64,
    /// The stream and the record's number in it, where they could still be read.
    pub record: Option<(u32, u64)>,
    /// What did not fit.
    pub why: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}, position {}", self.file, self.offset, self.position)?;
        if let Some((stream, lsn)) = self.record {
            write!(f, ", stream {stream} record {lsn}")?;
        }
        write!(f, " ({})", self.why)
    }
}

impl OpenError {
    pub(crate) fn io(dir: &str, what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let (dir, what) = (dir.to_owned(), what.into());
        move |source| Self::Io { dir, what, source }
    }
}
