//! The words that may leave a node before anything is saved.
//!
//! Each of them is a hole in *save before speak*, so each is named here as well as where it is
//! declared, and a new one is a reviewed act.

use super::{Finding, Tree, code};

/// A free word: its crate, its type, and why no record has to be durable before it.
type FreeWord = (&'static str, &'static str, &'static str);

/// Every free word of the tower.
const FREE: [FreeWord; 27] = [
    ("paxos", "Accept", "proposing in one's own ballot needs no vote; the promise is durable"),
    ("paxos", "Beat", "it only denies that a higher ballot was promised"),
    ("paxos", "Fetch", "a question"),
    ("paxos", "Fetched", "what is chosen is durable at a quorum"),
    ("paxos", "Forward", "it repeats what a caller said"),
    ("paxos", "Heartbeat", "a watermark of what is durable at a quorum"),
    ("paxos", "Outcome", "what is chosen is durable at a quorum; a redirect is a hint"),
    ("paxos", "Output", "what is decided is durable at a quorum; the rest are hints"),
    ("paxos", "Probe", "a question"),
    ("paxos", "Pulse", "a hint that no safety rests on"),
    ("paxos", "Told", "what is chosen is durable at a quorum; the rest looks at memory"),
    ("paxosrsm", "Box<ReplicaStatus>", "a look at memory, for people"),
    ("paxosrsm", "Chunk", "a question"),
    ("paxosrsm", "Digest", "a look at memory, for people"),
    ("paxosrsm", "Done", "what is applied is chosen, and that is durable at a quorum"),
    ("paxosrsm", "Noted", "it says nothing"),
    ("paxosrsm", "Output", "what is applied is chosen; the rest are wishes to the own process"),
    ("paxosrsm", "Piece", "a snapshot is durable before anybody hears of it"),
    ("paxosrsm", "Query", "it repeats what a client said"),
    ("paxosrsm", "Refused", "it claims nothing"),
    ("paxosrsm", "Says", "it is said when the note to oneself came back through the log"),
    ("paxosrsm", "Submit", "it repeats what a client said"),
    ("paxosrsm", "Taken", "a snapshot is durable before anybody hears of it"),
    ("pbservice", "Forward", "nobody is answered before both disks have it"),
    ("pbservice", "NotNow", "it claims nothing but that nothing was done"),
    ("lockmgr", "NotNow", "it says that nothing was done, whatever is on disk"),
    ("pbservice", "Output", "it repeats the view service, or tells what was not done"),
];

/// Exactly the known words are free.
pub(super) fn only_known(tree: &Tree) -> Vec<Finding> {
    compare(tree, &FREE)
}

fn compare(tree: &Tree, known: &[FreeWord]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (path, text) in tree.rust() {
        let Some((layer, file)) = layer_of(path) else { continue };
        if file.ends_with("tests.rs") {
            continue;
        }
        for (line, word) in code(text).filter_map(|(line, code)| Some((line, freed(code)?))) {
            seen.push((layer, word));
            if !known.iter().any(|(in_layer, known, _)| (*in_layer, *known) == (layer, word)) {
                let sentence = format!(
                    "{word} leaves before anything is saved: argue it, then add \
                     (\"{layer}\", \"{word}\", \"why\") to FREE in xtask/src/tidy/free.rs"
                );
                findings.push(Finding::new(path, line, sentence));
            }
        }
    }
    let gone = known.iter().filter(|(layer, word, _)| !seen.contains(&(*layer, *word)));
    findings.extend(gone.map(|(layer, word, _)| {
        let sentence = format!("{layer}'s {word} is listed as free and is not: remove it");
        Finding::new("xtask/src/tidy/free.rs", 0, sentence)
    }));
    findings
}

/// The crate a source file belongs to; tests and examples are free to free what they like.
fn layer_of(path: &str) -> Option<(&str, &str)> {
    let (layer, file) = path.strip_prefix("crates/")?.split_once('/')?;
    file.strip_prefix("src/").map(|file| (layer, file))
}

/// The type that a line declares free.
fn freed(line: &str) -> Option<&str> {
    if !line.trim_start().starts_with("impl") {
        return None;
    }
    let (before, after) = line.split_once("Free for ")?;
    let word = after.split(" where").next()?.split('{').next()?.trim();
    before.ends_with([' ', ':', '>']).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::tidy::tests::{places, tree};

    #[test]
    fn a_word_freed_in_silence_is_found_and_so_is_a_stale_line() {
        let source = "// impl Free for Comment {\nimpl Free for Accept {\nimpl<T> protocol::Free for Vote<T> {\n";
        let tree = tree(&[
            ("crates/paxos/src/message.rs", source),
            ("crates/paxos/src/core/tests.rs", "impl Free for Toy {\n"),
            ("crates/paxos/tests/it.rs", "impl Free for Toy {\n"),
        ]);
        let accept = ("paxos", "Accept", "why");
        let found = compare(&tree, &[accept]);
        assert_eq!(places(&found), [("crates/paxos/src/message.rs", 3)]);
        assert!(found[0].sentence.contains("(\"paxos\", \"Vote<T>\", \"why\")"), "{}", found[0]);
        let vote = ("paxos", "Vote<T>", "why");
        assert_eq!(compare(&tree, &[accept, vote]), []);
        let found = compare(&tree, &[accept, vote, ("wal", "Vote", "why")]);
        assert_eq!(places(&found), [("xtask/src/tidy/free.rs", 0)]);
    }
}
