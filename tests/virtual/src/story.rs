//! What happened, in order: the evidence that two runs were the same run.
//!
//! Every event is one line with its virtual time, who it happened to and what; some carry bytes.
//! The story is the hash over all lines and all bytes, and, if somebody wants to read it, a file
//! in which each line ends with the hash of everything up to it: the first line that differs
//! between two files is the first difference between two runs.

use std::{
    fmt,
    fs::File,
    hash::{DefaultHasher, Hasher},
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The story of one run. Clones tell the same one.
#[derive(Clone)]
pub(crate) struct Story(Arc<Mutex<Book>>);

struct Book {
    hash: DefaultHasher,
    events: u64,
    connections: u64,
    line: String,
    file: Option<BufWriter<File>>,
}

/// The virtual time on the host that asks; zero outside of a simulation.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Story {
    /// A story that nobody has told anything yet, written to `file` too.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub(crate) fn new(file: Option<&Path>) -> std::io::Result<Self> {
        let file = file.map(File::create).transpose()?.map(BufWriter::new);
        let hash = DefaultHasher::new();
        let book = Book { hash, events: 0, connections: 0, line: String::new(), file };
        Ok(Self(Arc::new(Mutex::new(book))))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A story whose teller panicked is told to its end: that end is what one wants to read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened at `at`, with these bytes.
    pub(crate) fn tell(&self, at: Duration, what: fmt::Arguments<'_>, bytes: &[u8]) {
        use fmt::Write as _;
        let book = &mut *self.book();
        book.events += 1;
        book.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(book.line, "{:>12.6} {what}", at.as_secs_f64());
        book.hash.write(book.line.as_bytes());
        book.hash.write_usize(bytes.len());
        book.hash.write(bytes);
        if let Some(file) = &mut book.file {
            let told = writeln!(file, "{} ={:016x}", book.line, book.hash.finish());
            // A trace with a hole would be taken for a difference.
            told.and_then(|()| file.flush()).expect("the trace can be written");
        }
    }

    /// The number of the next connection end.
    pub(crate) fn connection(&self) -> u64 {
        let mut book = self.book();
        book.connections += 1;
        book.connections
    }

    /// The hash of everything so far, and of how many events.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let book = self.book();
        (book.hash.finish(), book.events)
    }
}
