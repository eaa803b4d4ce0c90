//! Real input, loaded before anything is broken and looked for at the end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use histcheck::Action;

use super::{Recorder, Witness};
use crate::{
    failure::{Exit, Failure},
    store::Connections,
};

/// Keys loaded at a time.
const LOADERS: usize = 16;

/// The most that is read of a file, in bytes: the rest is left out, and that is said.
const MOST: usize = 1 << 20;

/// What is loaded when there is nothing else.
const BUILT_IN: &str = "the island of paxos had a part time parliament whose members came and \
    went as they pleased and yet what the parliament had decided it never decided otherwise";

/// What a key is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// This value, put.
    Value(String),
    /// A mark for each occurrence, appended one by one.
    Marks(usize),
}

/// Input: which keys are to hold what.
pub struct Input {
    /// Where it comes from and what it is, for people.
    pub about: String,
    keys: BTreeMap<String, Content>,
}

impl Input {
    /// The input that was asked for, or the repository's own list of packages, or a small text.
    ///
    /// # Errors
    ///
    /// If the file that was asked for cannot be read.
    pub fn find(asked: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = asked {
            let bytes = std::fs::read(path).map_err(|error| {
                Failure::new(Exit::Environment, format!("cannot read {}: {error}", path.display()))
            })?;
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned();
            let cut = if bytes.len() > MOST { " (its first 1 MiB)" } else { "" };
            return Ok(Self::text(&text, &format!("{}{cut}", path.display())));
        }
        match lock_file().and_then(|path| std::fs::read_to_string(path).ok()) {
            Some(lock) => Ok(Self::packages(&lock)),
            None => Ok(Self::text(BUILT_IN, "a built-in text, for want of a Cargo.lock here")),
        }
    }

    fn packages(lock: &str) -> Self {
        let mut keys = BTreeMap::new();
        let mut name = None;
        for line in lock.lines() {
            let quoted = |prefix| line.strip_prefix(prefix)?.split('"').nth(1);
            if let Some(found) = quoted("name =") {
                name = Some(found);
            } else if let (Some(version), Some(name)) = (quoted("version ="), name.take()) {
                keys.insert(format!("package/{name}"), Content::Value(version.to_owned()));
            }
        }
        Self { about: format!("{} packages of Cargo.lock", keys.len()), keys }
    }

    fn text(text: &str, from: &str) -> Self {
        let pairs: Option<BTreeMap<_, _>> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let (key, value) = line.split_once('\t')?;
                let fits = !key.is_empty() && key.len() < kvpaxos::MAX_KEY - "input/".len();
                fits.then(|| (format!("input/{key}"), Content::Value(value.to_owned())))
            })
            .collect();
        if let Some(keys) = pairs.filter(|keys| !keys.is_empty()) {
            return Self { about: format!("{} pairs of {from}", keys.len()), keys };
        }
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word: String = word.to_lowercase().chars().take(64).collect();
            *words.entry(format!("word/{word}")).or_default() += 1;
        }
        let (many, count) = (words.values().sum::<usize>(), words.len());
        let keys = words.into_iter().map(|(word, many)| (word, Content::Marks(many))).collect();
        Self { about: format!("{many} words of {from}, {count} different ones counted"), keys }
    }

    /// Loads everything, on record like all else.
    ///
    /// # Errors
    ///
    /// If a write failed: nothing has been broken yet, so none should.
    pub async fn load(
        &self,
        recorder: &Rc<Recorder>,
        connections: &Connections,
        seed: u64,
    ) -> Result<(), Failure> {
        let keys: Rc<Vec<_>> =
            Rc::new(self.keys.iter().map(|(k, c)| (k.clone(), c.clone())).collect());
        let loaders: Vec<_> = (0..LOADERS)
            .map(|first| {
                let witness = Witness::new(recorder, connections, seed ^ ((first as u64) << 32));
                tokio::task::spawn_local(load_some(witness, Rc::clone(&keys), first))
            })
            .collect();
        for loader in loaders {
            loader.await.map_err(|error| Failure::new(Exit::Failed, error))??;
        }
        Ok(())
    }

    /// The first key that does not hold what it should, if any. Every acknowledged load must be
    /// there exactly once, so this compares whole values.
    pub async fn first_missing(&self, witness: &mut Witness) -> Option<String> {
        for (key, content) in &self.keys {
            let expected = match content {
                Content::Value(value) => value.clone().into_bytes(),
                Content::Marks(many) => vec![b'|'; *many],
            };
            let found = witness.value(key.as_bytes(), super::watch::PATIENCE).await;
            if found != Some(Some(expected)) {
                return Some(key.clone());
            }
        }
        None
    }
}

/// One loader's share: every so-manieth key.
async fn load_some(
    mut witness: Witness,
    keys: Rc<Vec<(String, Content)>>,
    first: usize,
) -> Result<(), Failure> {
    for (key, content) in keys.iter().skip(first).step_by(LOADERS) {
        let key = key.as_bytes().to_vec();
        let (times, action) = match content {
            Content::Value(value) => (1, Action::Put { key, value: value.clone().into_bytes() }),
            Content::Marks(many) => (*many, Action::Append { key, value: b"|".to_vec() }),
        };
        for _ in 0..times {
            if let (_, Some(failure)) = witness.ask(action.clone()).await {
                return Err(failure);
            }
        }
    }
    Ok(())
}

/// The nearest Cargo.lock, from here upwards.
fn lock_file() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join("Cargo.lock")).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::{Content, Input};

    #[test]
    fn packages_pairs_and_words_are_told_apart() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n";
        let packages = Input::packages(lock);
        assert_eq!(packages.keys["package/a"], Content::Value("1.0".to_owned()));
        assert_eq!(packages.keys.len(), 1);
        let pairs = Input::text("k\tv\n\nl\tw\n", "here");
        assert_eq!(pairs.keys["input/l"], Content::Value("w".to_owned()));
        let words = Input::text("One two, one\tthree\nTWO", "here");
        assert_eq!(words.keys["word/one"], Content::Marks(2));
        assert_eq!(words.about, "5 words of here, 3 different ones counted");
    }
}
