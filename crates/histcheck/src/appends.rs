//! Exactly once, seen from the end: what became of appends that can be told apart.

use std::collections::BTreeMap;

use crate::{Action, Operation, Outcome};

/// Whether `value`, to which nothing but these appends was ever written, holds each acknowledged
/// one once, each unknown one at most once, those that failed not at all, and nobody else's. Each
/// append wrote one piece that ends with the byte `end`, and no two wrote the same.
///
/// # Errors
///
/// The append that is missing or there too often, or the piece that is nobody's.
pub fn each_once(value: &[u8], end: u8, appends: &[&Operation]) -> Result<(), String> {
    let mut found = BTreeMap::<&[u8], u64>::new();
    for piece in value.split_inclusive(|byte| *byte == end) {
        *found.entry(piece).or_default() += 1;
    }
    for append in appends {
        let Action::Append { value: piece, .. } = &append.action else { continue };
        let times = found.remove(&piece[..]).unwrap_or_default();
        let allowed = match append.outcome {
            Outcome::Ok(_) => times == 1,
            Outcome::Unknown => times <= 1,
            Outcome::Fail => times == 0,
        };
        if !allowed {
            return Err(format!("exactly once: {append} is there {times} times"));
        }
    }
    match found.keys().next() {
        Some(stranger) => Err(format!("nobody appended {}", stranger.escape_ascii())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;

    fn append(id: u64, piece: &str, outcome: Outcome) -> Operation {
        let action = Action::Append { key: b"k".to_vec(), value: piece.into() };
        Operation { id, client: id, call: id, finish: None, action, outcome, version: None }
    }

    #[test]
    fn each_is_there_as_often_as_it_was_said_to_be() {
        let all = [
            append(1, "a]", Outcome::Ok(Answer::Done)),
            append(2, "b]", Outcome::Unknown),
            append(3, "c]", Outcome::Fail),
        ];
        let all: Vec<&Operation> = all.iter().collect();
        for sound in ["a]", "a]b]", "b]a]"] {
            assert_eq!(each_once(sound.as_bytes(), b']', &all), Ok(()), "{sound}");
        }
        for (wrong, why) in [
            ("", "0 times"),
            ("b]", "0 times"),
            ("a]a]", "2 times"),
            ("a]b]b]", "2 times"),
            ("a]c]", "1 times"),
            ("a]d]", "nobody appended d]"),
            ("a]b", "nobody appended b"),
        ] {
            let said = each_once(wrong.as_bytes(), b']', &all).expect_err(wrong);
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}
