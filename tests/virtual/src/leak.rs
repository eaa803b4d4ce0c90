//! Leaks on purpose: what the comparison of two runs must notice.
//!
//! Each lets something of the real machine into a host, in a way a careless change might.

use std::{fs, io, time::UNIX_EPOCH};

/// What leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leak {
    /// The log's writer is a thread, and the scheduler of the machine says when it is done.
    Threads,
    /// The real clock, by way of a file's time: no override of the C library sees that.
    Clock,
    /// Where things lie in memory, which the kernel draws anew for each process.
    Addresses,
}

impl Leak {
    /// All leaks by their names.
    pub(crate) const ALL: [(&str, Self); 3] =
        [("threads", Self::Threads), ("clock", Self::Clock), ("addresses", Self::Addresses)];

    /// A number that leaks into the pace of a host's disk.
    ///
    /// # Errors
    ///
    /// If the machine cannot be asked.
    pub(crate) fn number(self) -> io::Result<u64> {
        match self {
            // The thread is the leak.
            Self::Threads => Ok(0),
            Self::Clock => {
                let name = format!("synod-virtual-{}", std::process::id());
                let path = std::env::temp_dir().join(name);
                fs::write(&path, "what time is it?")?;
                let time = fs::metadata(&path)?.modified()?;
                fs::remove_file(&path)?;
                let since = time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
                Ok(since.as_nanos() as u64)
            }
            Self::Addresses => {
                let here = Box::new(0_u8);
                Ok(&raw const *here as u64)
            }
        }
    }
}
