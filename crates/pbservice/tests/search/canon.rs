//! When two worlds count as one: clocks, and the names of calls, only grow; what a core can tell
//! of them is who is later than whom, and which call it still waits for.

use std::{
    fmt::{Debug, Write as _},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use pbservice::config::BACKUP_PATIENCE;
use protocol::{CallId, Time};

/// Bytes that are enough for most cores to print themselves.
const TEXT: usize = 4 << 10;

/// The same for the same, in every run.
pub(crate) fn digest(it: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    it.hash(&mut hasher);
    hasher.finish()
}

/// A core, with everything that only grows named by what it means now.
#[derive(Clone)]
pub(crate) struct Canon {
    /// Equal for equal states.
    pub(crate) digest: u64,
    /// The call to the view service that it still waits for.
    pub(crate) ping: Option<CallId>,
    /// The forward that it still waits for.
    pub(crate) forward: Option<CallId>,
}

impl Canon {
    /// Of a core that prints everything about itself, at `now` on its clock.
    pub(crate) fn new(core: &impl Debug, now: Time) -> Self {
        let mut text = String::with_capacity(TEXT);
        write!(text, "{core:?}").expect("there is room in memory");
        let mut hasher = DefaultHasher::new();
        let (mut ping, mut forward) = (None, None);
        // How many records the log of the view service has is its own affair.
        let mut rest = text.split(", records: ").next().unwrap_or_default();
        while let Some(at) = rest.find(['T', 'C']) {
            let (before, here) = rest.split_at(at);
            let word = ["Time(", "CallId("].into_iter().find(|word| here.starts_with(word));
            let Some(word) = word else {
                rest[..=at].hash(&mut hasher);
                rest = &rest[at + 1..];
                continue;
            };
            let (number, behind) = here[word.len()..].split_once(')').expect("it ends");
            let number: u64 = number.parse().expect("a number");
            before.hash(&mut hasher);
            if word == "Time(" {
                let words = before.trim_end_matches(": ").rsplit([' ', ':']);
                let field = words.into_iter().find(|word| KNOWN.contains(word));
                let field =
                    field.unwrap_or_else(|| panic!("the time in `{before}` has no meaning"));
                meaning(field, Time(number), now).hash(&mut hasher);
            } else {
                let of_pinger = before.ends_with("UnderWay { call: Some(");
                *(if of_pinger { &mut ping } else { &mut forward }) = Some(CallId(number));
            }
            rest = behind;
        }
        rest.hash(&mut hasher);
        Self { digest: hasher.finish(), ping, forward }
    }
}

/// The fields that instants stand in.
const KNOWN: [&str; 8] =
    ["next", "until", "pause", "since", "left", "heard", "listening", "cooling"];

/// What an instant means to who remembers it.
fn meaning(field: &str, at: Time, now: Time) -> u64 {
    match field {
        // Deadlines: they have come, or they will.
        "next" | "until" | "pause" => u64::from(at > now),
        // How long a backup has made no progress: too long, or not. Of the view service's own
        // it is the age of its view, which only people look at.
        "since" => u64::from(now.since(at) > BACKUP_PATIENCE),
        // It decides how much the next forward may carry; in a small world that is enough.
        "left" => 0,
        "heard" | "listening" if at <= now => millis(now.since(at)),
        "listening" => u64::MAX - millis(at.since(now)),
        "cooling" => millis(at.since(now)),
        other => unreachable!("`{other}` is among the known"),
    }
}

fn millis(it: Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}
