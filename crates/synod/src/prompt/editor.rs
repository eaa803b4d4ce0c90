//! Editing a line on a terminal: history, completion, quotes that go on over lines.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rustyline::{
    Behavior, CompletionType, Config, Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::MemHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::{Heard, History, history, words};

/// Keys that completion remembers, at most.
const REMEMBERED: usize = 1000;

/// Words that were seen and may come again: keys, for completion.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<BTreeSet<String>>>);

impl Seen {
    /// Remembers a word, if there is room and it could be typed as it is.
    pub fn remember(&self, word: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"'\"\\#".contains(c);
        if seen.len() < REMEMBERED && !word.is_empty() && word.chars().all(plain) {
            seen.insert(word.to_owned());
        }
    }

    fn beginning_with(&self, part: &str) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = seen.range(part.to_owned()..);
        from.take_while(|word| word.starts_with(part)).cloned().collect()
    }
}

/// Reads lines from the terminal, on the thread of whoever calls it.
pub(super) struct Typed {
    editor: Editor<Help, MemHistory>,
    history: Option<History>,
}

impl Typed {
    /// With the lines of `history`, and completion of `verbs` and of what was `seen`.
    pub(super) fn new(
        history: Option<(History, Vec<String>)>,
        verbs: Vec<String>,
        seen: Seen,
    ) -> Result<Self, ReadlineError> {
        let config = Config::builder()
            .max_history_size(history::KEPT)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .auto_add_history(true)
            .completion_type(CompletionType::List)
            // The prompt stays on the terminal when results are piped elsewhere.
            .behavior(Behavior::PreferTerm)
            .build();
        let lines = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, lines)?;
        editor.set_helper(Some(Help { verbs, seen }));
        let (history, lines) = history.unzip();
        for line in lines.unwrap_or_default() {
            editor.add_history_entry(line)?;
        }
        Ok(Self { editor, history })
    }

    /// What is typed next.
    pub(super) fn read(&mut self, prompt: &str) -> Heard {
        match self.editor.readline(prompt) {
            Ok(text) => {
                // A history that cannot be written any more is no reason to stop.
                self.history.as_mut().map(|history| history.keep(&text));
                Heard::Text(text)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Heard::Interrupted,
            Err(ReadlineError::Eof) => Heard::End,
            Err(error) => Heard::Broken(error.to_string()),
        }
    }
}

/// What the editor asks about a line.
struct Help {
    verbs: Vec<String>,
    seen: Seen,
}

impl Helper for Help {}

impl Highlighter for Help {}

impl Hinter for Help {
    type Hint = String;
}

impl Validator for Help {
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let whole = words::commands(typed.input()).is_ok();
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Help {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&self.verbs, &self.seen, &line[..at]))
    }
}

/// What could stand instead of the last word of `typed`, and where that word begins.
fn complete(verbs: &[String], seen: &Seen, typed: &str) -> (usize, Vec<String>) {
    let command = typed.rfind('\n').map_or(0, |end| end + 1);
    let begin = typed.rfind(char::is_whitespace).map_or(0, |end| end + 1);
    let part = &typed[begin..];
    let first = typed[command..begin].trim().is_empty();
    let found = if first {
        verbs.iter().filter(|verb| verb.starts_with(part)).map(|verb| format!("{verb} ")).collect()
    } else {
        seen.beginning_with(part)
    };
    (begin, found)
}

#[cfg(test)]
mod tests {
    use super::{Seen, complete};

    #[test]
    fn verbs_come_first_and_then_keys_that_were_seen() {
        let verbs = ["get", "put", "\\timing"].map(str::to_owned);
        let seen = Seen::default();
        for key in ["user/1", "user/2", "other", "not typed so", ""] {
            seen.remember(key);
        }
        let found = |typed: &str| complete(&verbs, &seen, typed);
        assert_eq!(found("p"), (0, vec!["put ".to_owned()]));
        assert_eq!(found("\\t"), (0, vec!["\\timing ".to_owned()]));
        assert_eq!(found("get us").1, ["user/1", "user/2"]);
        assert_eq!(found("get us").0, 4);
        assert_eq!(found("get user/2"), (4, vec!["user/2".to_owned()]));
        assert_eq!(found("put a b\nge"), (8, vec!["get ".to_owned()]));
        assert_eq!(found("get not").1, Vec::<String>::new());
    }
}
