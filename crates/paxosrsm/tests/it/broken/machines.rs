//! State machines that break a promise.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use paxosrsm::{
    StateMachine,
    machine::{Image, Reader, put_bytes},
    suite::{self, Length, Text},
};

use super::blame;

const LOSES_A_COUNT: u8 = 0;
const LOSES_WHAT_QUERIES_SHOW: u8 = 1;
const WRITES_IN_NO_ORDER: u8 = 2;
const COUNTS_BESIDE_ITSELF: u8 = 3;
const WRITES_LATER: u8 = 4;
const COUNTS_ITS_QUERIES: u8 = 5;
const READS_HALF_AN_IMAGE: u8 = 6;

/// Remembers words, and answers how many it was told. One of these flaws, or none.
#[derive(Default)]
struct Words<const FLAW: u8> {
    told: Arc<Mutex<Vec<Bytes>>>,
    /// How many; some images forget it.
    count: u64,
    /// The last word, for queries; some images forget it.
    last: Bytes,
    asked: Cell<u64>,
}

/// What no machine may rest on: something outside of it.
static OUTSIDE: AtomicU64 = AtomicU64::new(0);

impl<const FLAW: u8> StateMachine for Words<FLAW> {
    type Command = Text;
    type Response = Length;
    type Query = Text;
    type Answer = Text;

    fn apply(&mut self, Text(word): Text) -> Length {
        self.count += 1;
        self.last = word.clone();
        self.told.lock().expect("nobody panics").push(word);
        match FLAW {
            COUNTS_BESIDE_ITSELF => Length(OUTSIDE.fetch_add(1, Relaxed)),
            COUNTS_ITS_QUERIES => Length(self.count + self.asked.get()),
            _ => Length(self.count),
        }
    }

    fn query(&self, _: Text) -> Text {
        self.asked.set(self.asked.get() + 1);
        Text(self.last.clone())
    }

    fn freeze(&self) -> Image {
        let count = if FLAW == LOSES_A_COUNT { 0 } else { self.count };
        let last = if FLAW == LOSES_WHAT_QUERIES_SHOW { Bytes::new() } else { self.last.clone() };
        let shared = Arc::clone(&self.told);
        let told = shared.lock().expect("nobody panics").clone();
        Image::new(move || {
            let mut told = match FLAW {
                WRITES_LATER => shared.lock().expect("nobody panics").clone(),
                _ => told,
            };
            if FLAW == WRITES_IN_NO_ORDER {
                let turn = OUTSIDE.fetch_add(1, Relaxed) as usize % told.len().max(1);
                told.rotate_left(turn);
            }
            let mut image = count.to_le_bytes().to_vec();
            put_bytes(&mut image, &last);
            image.extend_from_slice(&(told.len() as u64).to_le_bytes());
            told.iter().for_each(|word| put_bytes(&mut image, word));
            if FLAW == READS_HALF_AN_IMAGE {
                image.extend_from_slice(b"a seal that nobody looks at");
            }
            image
        })
    }

    fn restore(image: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(image);
        let (count, last) = (reader.u64()?, reader.bytes()?);
        let told = (0..reader.u64()?).map(|_| reader.bytes()).collect::<Option<Vec<_>>>()?;
        let words = Self { told: Arc::new(Mutex::new(told)), count, last, asked: Cell::new(0) };
        if FLAW == READS_HALF_AN_IMAGE { Some(words) } else { reader.end(words) }
    }
}

fn suite_over<const FLAW: u8>() {
    let words = ["", "a", "b", "a", "a longer one", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let commands: Vec<Text> =
        words.iter().map(|word| Text(Bytes::from_static(word.as_bytes()))).collect();
    suite::machine(Words::<FLAW>::default, &commands, &[Text(Bytes::new())]);
}

#[test]
fn a_broken_machine_is_found() {
    let flaws: [(&str, fn(), &str); 7] = [
        ("loses a count", suite_over::<LOSES_A_COUNT>, "restored after"),
        ("loses the last word", suite_over::<LOSES_WHAT_QUERIES_SHOW>, "it shows another state"),
        ("no order", suite_over::<WRITES_IN_NO_ORDER>, "equal machines have different images"),
        ("beside itself", suite_over::<COUNTS_BESIDE_ITSELF>, "answer one command differently"),
        ("writes later", suite_over::<WRITES_LATER>, "an image changed after its moment"),
        ("counts queries", suite_over::<COUNTS_ITS_QUERIES>, "a query left a trace"),
        ("half an image", suite_over::<READS_HALF_AN_IMAGE>, "it reads as the whole"),
    ];
    for (flaw, suite, expected) in flaws {
        let said = blame(flaw, suite);
        assert!(said.contains(expected), "{flaw}: {said}");
    }
}

/// The flaws are in the flaws: without one the same machine passes.
#[test]
fn the_same_machine_without_a_flaw_passes() {
    suite_over::<{ u8::MAX }>();
}
