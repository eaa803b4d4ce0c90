//! A fingerprint that grows with what it is of: nobody ever walks over the whole state for it.
//!
//! Each key with its value, and each row of a session, has a print of its own; that of the state
//! adds them up, so their order does not matter, and what goes is taken off again. A value keeps
//! the print of its full words, and an append goes on from there: making a change costs what the
//! change brings, however much there is already.

use bytes::Bytes;

use crate::{change::Done, item::Row};

/// Bytes of a word.
const WORD: usize = 8;

/// Where every print begins: the first digits of the fraction of pi.
const SEED: u64 = 0x243F_6A88_85A3_08D3;

/// An odd number with ones and zeros all over: the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The print of what came before, and one word more. No word is lost: for each print and each word
/// the result is another one.
const fn mix(print: u64, word: u64) -> u64 {
    let product = (print ^ word).wrapping_mul(SPREAD);
    product ^ product >> 32
}

/// The last step: from here on prints may be added up.
const fn finish(print: u64, length: usize) -> u64 {
    mix(mix(print, length as u64), SEED)
}

/// Goes on over all full words of `bytes`.
fn full_words(print: u64, bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<WORD>();
    words.iter().fold(print, |print, word| mix(print, u64::from_le_bytes(*word)))
}

/// Less than a word, as a number.
fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where the last word of so many bytes begins, if it is not a full one.
const fn rest(length: usize) -> usize {
    length / WORD * WORD
}

/// The print of bytes that stand alone.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let print = full_words(SEED, bytes);
    finish(mix(print, little(&bytes[rest(bytes.len())..])), bytes.len())
}

/// The print of numbers that stand alone.
pub(crate) fn of_words(words: &[u64]) -> u64 {
    finish(words.iter().fold(SEED, |print, word| mix(print, *word)), words.len())
}

/// The print of one row of the table of sessions.
pub(crate) fn of_row(row: &Row) -> u64 {
    let done = match row.done {
        Done::Written => 0,
        Done::Deleted(false) => 1,
        Done::Deleted(true) => 2,
        Done::TooLarge => 3,
    };
    of_words(&[row.session.0, row.number.0, done, row.used])
}

/// A value, and the print of its key and of its full words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    pub(crate) bytes: Bytes,
    words: u64,
}

impl Value {
    /// Of this key.
    pub(crate) fn new(key: &[u8], bytes: Bytes) -> Self {
        let words = full_words(of_bytes(key), &bytes);
        Self { bytes, words }
    }

    /// The print of the key and the value.
    pub(crate) fn print(&self) -> u64 {
        let last = little(&self.bytes[rest(self.bytes.len())..]);
        finish(mix(self.words, last), self.bytes.len())
    }

    /// Adds to its end, in place unless somebody still looks at the old bytes.
    pub(crate) fn append(&mut self, tail: &[u8]) {
        let from = rest(self.bytes.len());
        let mut grown = match std::mem::take(&mut self.bytes).try_into_mut() {
            Ok(own) => own,
            Err(shared) => shared.as_ref().into(),
        };
        grown.extend_from_slice(tail);
        self.bytes = grown.freeze();
        self.words = full_words(self.words, &self.bytes[from..]);
    }
}
