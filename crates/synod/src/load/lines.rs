//! The input: lines into pairs, pairs into batches that one write can carry.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, Read},
    ops::Range,
};

use bytes::Bytes;
use kvpaxos::{MAX_KEY, MAX_KEYS_PER_CALL, MAX_VALUE};
use serde_json::Value;

use crate::{
    cli::Shape,
    failure::{Exit, Failure},
};

/// A batch is full when its keys and values have this many bytes: a few of them fill a slot, and
/// many clients together use little memory.
const FULL: usize = 256 << 10;

/// The longest line of tab-separated values, in bytes: one more than can be right.
const LONGEST: usize = MAX_KEY + MAX_VALUE + 2;

/// The longest line of JSON, in bytes: whatever fits the store fits here in its longest spelling.
const LONGEST_JSON: usize = 6 * (MAX_KEY + MAX_VALUE) + 1024;

/// A place between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) byte: u64,
    /// Lines before it.
    pub(super) line: u64,
}

/// A stretch of the input, and a sum over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) crc: u32,
}

/// Some lines that follow each other.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where they are.
    pub(super) span: Span,
    /// What they say; nothing where it is known to be loaded.
    pub(super) pairs: Vec<(Bytes, Bytes)>,
}

/// The input, from where it has come to.
pub(super) struct Lines<R> {
    input: R,
    name: String,
    shape: Shape,
    /// Lines in one batch, at most.
    limit: usize,
    at: Place,
    line: Vec<u8>,
    /// Keys that are loaded anew before something that is known: what is known about them is older
    /// then, and has to follow again.
    anew: BTreeSet<Bytes>,
    /// What is wrong with the line after the batch that was given last.
    wrong: Option<Failure>,
}

impl<R: BufRead> Lines<R> {
    /// The input that people know as `name`, from its beginning.
    pub(super) fn new(input: R, name: &str, shape: Shape, limit: usize) -> Self {
        let limit = limit.clamp(1, MAX_KEYS_PER_CALL);
        let (name, at, line) = (name.to_owned(), Place::default(), Vec::new());
        Self { input, name, shape, limit, at, line, anew: BTreeSet::new(), wrong: None }
    }

    /// Goes to `place`, if what is before it sums up to `crc`.
    pub(super) fn skip(&mut self, place: Place, crc: u32) -> Result<(), Failure> {
        let (mut left, mut found) = (place.byte, 0);
        while left > 0 {
            let here = self.input.fill_buf().map_err(|error| unreadable(&self.name, &error))?;
            let some = here.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if some == 0 {
                break;
            }
            found = crc32c::crc32c_append(found, &here[..some]);
            self.input.consume(some);
            left -= some as u64;
        }
        if left > 0 || found != crc {
            let why = format!(
                "{} has changed in its first {} lines since they were loaded: begin anew with --restart",
                self.name, place.line
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        self.at = place;
        Ok(())
    }

    /// The next batch, `None` at the end. A batch that is among those known to be loaded, is still
    /// the same, and has no key in common with what comes before it and is loaded anew, has no
    /// pairs.
    pub(super) fn batch(&mut self, known: &BTreeMap<u64, Span>) -> Result<Option<Batch>, Failure> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        let from = self.at;
        let same = known.get(&from.byte);
        // A batch ends where one begins that is known, so that this one is met as it was.
        let border = known.range(from.byte + 1..).next().map(|(byte, _)| *byte);
        let (limit, border) = match same {
            Some(span) => (MAX_KEYS_PER_CALL, Some(span.to.byte)),
            None => (self.limit, border),
        };
        let (mut held, mut pieces, mut crc) = (Vec::new(), Vec::<Piece>::new(), 0);
        while pieces.len() < limit && border.is_none_or(|border| self.at.byte < border) {
            if held.len() >= FULL && same.is_none() {
                break;
            }
            match self.piece(&mut held) {
                Ok(None) => break,
                Ok(Some(piece)) => pieces.extend(piece),
                Err(wrong) => {
                    self.wrong = Some(wrong);
                    break;
                }
            }
            crc = crc32c::crc32c_append(crc, &self.line);
            self.at.byte += self.line.len() as u64;
            self.at.line += 1;
        }
        if self.at == from {
            return self.wrong.take().map_or(Ok(None), Err);
        }
        let span = Span { from, to: self.at, crc };
        let held = Bytes::from(held);
        let pairs: Vec<(Bytes, Bytes)> =
            pieces.into_iter().map(|(k, v)| (held.slice(k), held.slice(v))).collect();
        if same == Some(&span) && !pairs.iter().any(|(key, _)| self.anew.contains(key)) {
            return Ok(Some(Batch { span, pairs: Vec::new() }));
        }
        if known.range(self.at.byte..).next().is_some() {
            self.anew.extend(pairs.iter().map(|(key, _)| key.clone()));
        } else {
            self.anew.clear();
        }
        Ok(Some(Batch { span, pairs }))
    }

    /// Reads the next line and puts its key and value behind what is held: where they are then,
    /// or nothing if the line is empty. `None` at the end of the input.
    fn piece(&mut self, held: &mut Vec<u8>) -> Result<Option<Option<Piece>>, Failure> {
        let longest = match self.shape {
            Shape::Tsv => LONGEST,
            Shape::Json => LONGEST_JSON,
        };
        self.line.clear();
        let mut some = self.input.by_ref().take(longest as u64 + 1);
        let read = some.read_until(b'\n', &mut self.line);
        read.map_err(|error| unreadable(&self.name, &error))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.len() > longest {
            return Err(self.refused(format_args!(
                "the line has more than {longest} bytes, and a key may have {MAX_KEY}, a value {MAX_VALUE}"
            )));
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if line.is_empty() {
            return Ok(Some(None));
        }
        let parsed;
        let (key, value) = match self.shape {
            Shape::Tsv => {
                let tab = line.iter().position(|byte| *byte == b'\t');
                let Some(tab) = tab else {
                    let why = "there is no tab between key and value; is it --format json?";
                    return Err(self.senseless(why));
                };
                (&line[..tab], &line[tab + 1..])
            }
            Shape::Json => {
                let Some(pair) = pair(line) else {
                    let why = "this is no object with a \"key\" and a \"value\", both strings";
                    return Err(self.senseless(why));
                };
                parsed = pair;
                (&parsed.0[..], &parsed.1[..])
            }
        };
        for (what, bytes, most) in [("key", key, MAX_KEY), ("value", value, MAX_VALUE)] {
            if bytes.len() > most {
                let has = bytes.len();
                let why = format!("the {what} has {has} bytes and may have {most}");
                return Err(self.refused(format_args!("{why}")));
            }
        }
        let begin = held.len();
        held.extend_from_slice(key);
        let middle = held.len();
        held.extend_from_slice(value);
        Ok(Some(Some((begin..middle, middle..held.len()))))
    }

    fn senseless(&self, why: &str) -> Failure {
        Failure::new(Exit::Usage, format!("{}, line {}: {why}", self.name, self.at.line + 1))
    }

    fn refused(&self, why: std::fmt::Arguments<'_>) -> Failure {
        Failure::new(Exit::Refused, format!("{}, line {}: {why}", self.name, self.at.line + 1))
    }
}

/// Where the key and the value of a line are held.
type Piece = (Range<usize>, Range<usize>);

/// What `scan-all -o json` writes; other fields mean nothing here.
fn pair(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let object: Value = serde_json::from_slice(line).ok()?;
    Some((histcheck::unspell(object.get("key")?)?, histcheck::unspell(object.get("value")?)?))
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Environment, format!("cannot read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Batch, FULL, Lines};
    use crate::{cli::Shape, failure::Exit};

    fn lines(text: &[u8], shape: Shape, limit: usize) -> Lines<&[u8]> {
        Lines::new(text, "here", shape, limit)
    }

    fn all(mut lines: Lines<&[u8]>) -> Vec<Batch> {
        std::iter::from_fn(|| lines.batch(&BTreeMap::new()).expect("sensible")).collect()
    }

    fn pairs(batch: &Batch) -> Vec<(&[u8], &[u8])> {
        batch.pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect()
    }

    #[test]
    fn a_line_is_cut_at_its_first_tab_and_an_empty_one_says_nothing() {
        let batches = all(lines(b"a\tb\tc\n\n\tno key\nlast\t", Shape::Tsv, 8));
        assert_eq!(batches.len(), 1);
        let expected: [(&[u8], &[u8]); 3] = [(b"a", b"b\tc"), (b"", b"no key"), (b"last", b"")];
        assert_eq!(pairs(&batches[0]), expected);
        assert_eq!((batches[0].span.to.line, batches[0].span.to.byte), (4, 20));
    }

    #[test]
    fn json_holds_any_bytes() {
        let text = br#"{"key":"a\tb","value":{"b64":"/w=="},"version":"7"}"#;
        assert_eq!(pairs(&all(lines(text, Shape::Json, 8))[0]), [(&b"a\tb"[..], &b"\xFF"[..])]);
    }

    #[test]
    fn batches_follow_each_other_without_a_gap_and_are_bounded() {
        let value = "v".repeat(1000);
        let text: String = (0..1000).map(|n| format!("{n}\t{value}\n")).collect();
        let batches = all(lines(text.as_bytes(), Shape::Tsv, 100_000));
        assert!(batches.len() >= text.len() / (FULL + 2000));
        for two in batches.windows(2) {
            assert_eq!(two[0].span.to, two[1].span.from);
        }
        assert_eq!(batches.iter().map(|batch| batch.pairs.len()).sum::<usize>(), 1000);
        assert_eq!(all(lines(text.as_bytes(), Shape::Tsv, 10)).len(), 100);
    }

    #[test]
    fn what_comes_before_a_bad_line_comes_first_and_the_line_is_named() {
        let long = format!("a\tb\n{}\tv\nc\td\n", "k".repeat(1025));
        let cases: [(&[u8], _, _); 4] = [
            (b"a\tb\nno tab here\n", Exit::Usage, "here, line 2: there is no tab"),
            (long.as_bytes(), Exit::Refused, "here, line 2: the key has 1025 bytes"),
            (b"", Exit::Ok, ""),
            (b"a\tb\n", Exit::Ok, ""),
        ];
        for (text, exit, words) in cases {
            let mut lines = lines(text, Shape::Tsv, 8);
            if !text.is_empty() {
                let first = lines.batch(&BTreeMap::new()).expect("sensible").expect("a batch");
                assert_eq!(pairs(&first), [(&b"a"[..], &b"b"[..])]);
            }
            match lines.batch(&BTreeMap::new()) {
                Ok(None) => assert_eq!(exit, Exit::Ok),
                Ok(Some(more)) => panic!("there is no more: {more:?}"),
                Err(failure) => {
                    assert_eq!(failure.exit, exit);
                    assert!(failure.why.contains(words), "{}", failure.why);
                }
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let endless = vec![b'x'; 3 << 20];
        let failure = lines(&endless, Shape::Tsv, 8).batch(&BTreeMap::new()).expect_err("refused");
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.why.starts_with("here, line 1: the line has more than"), "{}", failure.why);
    }

    #[test]
    fn what_is_known_is_not_loaded_again_unless_it_has_changed() {
        let text = b"a\t1\nb\t2\nc\t3\nd\t4\n";
        let spans: Vec<_> = all(lines(text, Shape::Tsv, 1)).iter().map(|b| b.span).collect();
        let known = BTreeMap::from([(spans[2].from.byte, spans[2])]);
        let from_first = |text: &'static [u8]| {
            let mut lines = lines(text, Shape::Tsv, 8);
            lines.skip(spans[0].to, spans[0].crc).expect("the first line is the same");
            let next = || lines.batch(&known).expect("sensible");
            std::iter::from_fn(next).map(|b| pairs(&b).len()).collect::<Vec<_>>()
        };
        assert_eq!(from_first(text), [1, 0, 1], "line 3 is known");
        assert_eq!(from_first(b"a\t1\nb\t2\nc\t9\nd\t4\n"), [1, 1, 1], "line 3 has changed");
        assert_eq!(from_first(b"a\t1\nc\t2\nc\t3\nd\t4\n"), [1, 1, 1], "line 3 must follow again");
        let mut changed = lines(b"a\t9\nb\t2\n", Shape::Tsv, 8);
        let failure = changed.skip(spans[0].to, spans[0].crc).expect_err("line 1 has changed");
        assert!(failure.why.contains("first 1 lines"), "{}", failure.why);
    }
}
