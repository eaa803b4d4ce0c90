//! How far a load has surely got, on disk, so that the same command goes on from there.
//!
//! A text file: a head, then a line for each batch that was acknowledged. Lines are only added, so
//! whatever stops the program leaves at worst a piece of a line at the end, which is not believed;
//! now and then the file is written anew, shorter, beside itself and put in its own place.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::lines::{Place, Span};
use crate::failure::{Exit, Failure};

/// The first line: what this file is, and the version of its form.
const HEAD: &str = "synod load, form 1";

/// Lines that are added before the file is written anew.
const COMPACT: usize = 1024;

/// How far a load has got.
pub(super) struct Journal {
    /// Everything before this is loaded.
    pub(super) mark: Place,
    /// The sum over everything before it.
    pub(super) crc: u32,
    /// What this run has loaded beyond it, by its first byte.
    pub(super) beyond: BTreeMap<u64, Span>,
    /// What earlier runs had loaded beyond the mark. Whoever reads the input compares: only what
    /// is still the same is done.
    pub(super) known: BTreeMap<u64, Span>,
    file: Option<OnDisk>,
}

struct OnDisk {
    path: PathBuf,
    /// The store that is loaded.
    store: String,
    file: File,
    added: usize,
}

impl Journal {
    /// A journal that is nowhere: it only counts.
    pub(super) fn nowhere() -> Self {
        let (beyond, known) = (BTreeMap::new(), BTreeMap::new());
        Self { mark: Place::default(), crc: 0, beyond, known, file: None }
    }

    /// The journal at `path` of a load into `store`, as it was left or new. `restart` forgets
    /// what it says.
    pub(super) fn open(path: &Path, store: &str, restart: bool) -> Result<Self, Failure> {
        let named = |error: std::io::Error| {
            let why = format!(
                "cannot keep {}: {error}; name another place with --resume",
                path.display()
            );
            Failure::new(Exit::Environment, why)
        };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path).map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!("another load is at work with {}: wait for it", path.display());
                return Err(Failure::new(Exit::Environment, why));
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(named)?;
        let mut journal = Self::nowhere();
        if !text.is_empty() && !text.starts_with(HEAD) {
            // Not even to begin anew: it may be something that somebody needs.
            let why = format!(
                "{} is not the journal of a load: name another place with --resume",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        if !restart && !text.is_empty() {
            journal.recall(&text, store).map_err(|why| {
                let why = format!(
                    "{} {why}: begin anew with --restart, or name another place with --resume",
                    path.display()
                );
                Failure::new(Exit::Usage, why)
            })?;
        }
        let (path, store) = (path.to_owned(), store.to_owned());
        journal.file = Some(OnDisk { path, store, file, added: 0 });
        journal.write_anew()?;
        Ok(journal)
    }

    /// Believes what a journal says, up to the first line that is not whole.
    fn recall(&mut self, text: &str, store: &str) -> Result<(), String> {
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        match lines.nth(1).and_then(|line| line.strip_prefix("store ")) {
            Some(other) if other == store => {}
            Some(other) => return Err(format!("belongs to a load into another store ({other})")),
            None => return Err("does not say which store it is about".to_owned()),
        }
        for line in lines {
            let mut words = line.split(' ');
            let kind = words.next();
            let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
            match (kind, numbers.as_deref()) {
                (Some("mark"), Some(&[byte, line, crc])) => {
                    (self.mark, self.crc) = (Place { byte, line }, crc as u32);
                }
                (Some("done"), Some(&[byte, line, to_byte, to_line, crc])) if byte < to_byte => {
                    let to = Place { byte: to_byte, line: to_line };
                    let from = Place { byte, line };
                    self.known.insert(byte, Span { from, to, crc: crc as u32 });
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// How many lines are loaded, if the input is still the same.
    pub(super) fn lines(&self) -> u64 {
        self.mark.line + self.past_mark().map(|span| span.to.line - span.from.line).sum::<u64>()
    }

    /// All that is or was loaded beyond the mark.
    fn past_mark(&self) -> impl Iterator<Item = &Span> {
        let known = self.known.range(self.mark.byte..);
        let known = known.filter(|(byte, _)| !self.beyond.contains_key(byte));
        self.beyond.values().chain(known.map(|(_, span)| span))
    }

    /// This much is loaded. Said once it is certain, never before.
    pub(super) fn done(&mut self, span: Span) -> Result<(), Failure> {
        self.note(span);
        let Some(file) = &mut self.file else { return Ok(()) };
        file.added += 1;
        if file.added > COMPACT {
            return self.write_anew();
        }
        let added = file.file.write_all(spelt(&span).as_bytes());
        added.map_err(|error| file.failed(&error))
    }

    fn note(&mut self, span: Span) {
        if span.from.byte < self.mark.byte {
            return;
        }
        self.beyond.insert(span.from.byte, span);
        while let Some(next) = self.beyond.remove(&self.mark.byte) {
            let length = (next.to.byte - next.from.byte) as usize;
            self.crc = crc32c::crc32c_combine(self.crc, next.crc, length);
            self.mark = next.to;
        }
    }

    fn write_anew(&mut self) -> Result<(), Failure> {
        let Some(disk) = &self.file else { return Ok(()) };
        let mut text = format!("{HEAD}\nstore {}\n", disk.store);
        text.push_str(&format!("mark {} {} {}\n", self.mark.byte, self.mark.line, self.crc));
        self.past_mark().for_each(|span| text.push_str(&spelt(span)));
        let mut name = disk.path.clone().into_os_string();
        name.push(".new");
        let fresh = || {
            let mut file = File::create(&name)?;
            file.write_all(text.as_bytes())?;
            file.lock()?;
            std::fs::rename(&name, &disk.path)?;
            Ok(file)
        };
        let fresh = fresh().map_err(|error| disk.failed(&error))?;
        if let Some(disk) = &mut self.file {
            (disk.file, disk.added) = (fresh, 0);
        }
        Ok(())
    }

    /// Everything is loaded: there is nothing to go on with.
    pub(super) fn finish(&mut self) {
        if let Some(disk) = self.file.take() {
            // If it stays, the next load finds that nothing is left to do, and says so.
            let _ = std::fs::remove_file(disk.path);
        }
    }

    /// Where it is kept, if it is.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|disk| disk.path.as_path())
    }
}

impl OnDisk {
    fn failed(&self, error: &std::io::Error) -> Failure {
        let why = format!("cannot keep {}: {error}; make room, then repeat", self.path.display());
        Failure::new(Exit::Environment, why)
    }
}

fn spelt(span: &Span) -> String {
    let Span { from, to, crc } = span;
    format!("done {} {} {} {} {crc}\n", from.byte, from.line, to.byte, to.line)
}

#[cfg(test)]
mod tests {
    use super::{COMPACT, Journal, Place, Span};

    /// Line `number` of an input whose lines have four bytes each.
    fn line(number: u64) -> Span {
        let place = |line| Place { byte: line * 4, line };
        let crc = crc32c::crc32c(format!("{number:03}\n").as_bytes());
        Span { from: place(number), to: place(number + 1), crc }
    }

    fn sum(lines: u64) -> u32 {
        let text: String = (0..lines).map(|number| format!("{number:03}\n")).collect();
        crc32c::crc32c(text.as_bytes())
    }

    #[test]
    fn whatever_piece_of_it_is_left_claims_no_more_than_was_done() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path, "1 here", false).expect("new");
        for number in [0, 2, 1, 5, 4] {
            journal.done(line(number)).expect("kept");
        }
        assert_eq!((journal.mark.line, journal.crc, journal.beyond.len()), (3, sum(3), 2));
        drop(journal);
        let whole = std::fs::read(&path).expect("there");
        let mut before = 0;
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let Ok(left) = Journal::open(&path, "1 here", false) else { continue };
            let known = left.lines();
            assert!(known >= before, "more of the file claims less");
            before = known;
            assert_eq!(left.crc, sum(left.mark.line));
            assert!(left.known.values().all(|span| *span == line(span.from.line)));
        }
        assert_eq!(before, 5);
    }

    #[test]
    fn it_stays_short_and_belongs_to_one_store_and_one_load_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path, "1 here", false).expect("new");
        for number in 0..3 * COMPACT as u64 {
            journal.done(line(number)).expect("kept");
        }
        let lines = std::fs::read_to_string(&path).expect("there").lines().count();
        assert!(lines < COMPACT + 8, "{lines} lines");
        let Err(busy) = Journal::open(&path, "1 here", false) else { panic!("two at a time") };
        assert!(busy.why.contains("another load is at work"), "{}", busy.why);
        drop(journal);
        let Err(other) = Journal::open(&path, "1 there", false) else { panic!("another store") };
        assert!(other.why.contains("another store (1 here)"), "{}", other.why);
        let kept = Journal::open(&path, "1 here", false).expect("its own");
        assert_eq!(kept.lines(), 3 * COMPACT as u64);
        drop(kept);
        let letter = dir.path().join("letter");
        std::fs::write(&letter, "dear reader").expect("written");
        assert!(Journal::open(&letter, "1 here", true).is_err());
        assert_eq!(std::fs::read(&letter).expect("still there"), b"dear reader");
        let mut anew = Journal::open(&path, "1 there", true).expect("restarted");
        assert_eq!(anew.mark, Place::default());
        anew.finish();
        assert!(!path.exists());
    }
}
