//! A prompt: lines from a terminal, with all that makes typing bearable, or from a pipe, as they
//! come.
//!
//! Neither can be waited for by a runtime, so a thread reads, one text each time it is asked: a
//! prompt appears when the command before it has ended, and what is piped in is not read ahead.

mod editor;
mod history;
pub mod words;

use std::io::{BufRead, Read};

use tokio::sync::mpsc;

pub use editor::Seen;
pub use history::History;

use crate::failure::{Exit, Failure};
use editor::Typed;

/// The longest piped line, in bytes: whatever fits the store fits here, quoted.
const LONGEST: u64 = 4 << 20;

/// What came of asking.
#[derive(Debug)]
pub enum Heard {
    /// A line, or several: what was pasted, or whose quotes go on.
    Text(String),
    /// Ctrl-C: forget the line.
    Interrupted,
    /// No more will come.
    End,
    /// The terminal or the pipe does not work.
    Broken(String),
}

/// Somewhere that commands come from.
pub struct Prompt {
    ask: mpsc::Sender<String>,
    heard: mpsc::Receiver<Heard>,
}

impl Prompt {
    /// From the terminal, with `history` and completion of `verbs` and of what was `seen`.
    ///
    /// # Errors
    ///
    /// If there is no terminal to work with.
    pub fn terminal(
        history: Option<(History, Vec<String>)>,
        verbs: Vec<String>,
        seen: Seen,
    ) -> Result<Self, Failure> {
        let mut typed = Typed::new(history, verbs, seen).map_err(|error| {
            Failure::new(Exit::Environment, format!("cannot use this terminal: {error}"))
        })?;
        Self::read_by(move |prompt| typed.read(prompt))
    }

    /// From standard input, a line each time.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn piped() -> Result<Self, Failure> {
        Self::read_by(|_| {
            let mut line = String::new();
            match std::io::stdin().lock().take(LONGEST).read_line(&mut line) {
                Ok(0) => Heard::End,
                Ok(_) if line.len() as u64 == LONGEST => {
                    Heard::Broken(format!("a line has more than {LONGEST} bytes"))
                }
                Ok(_) => Heard::Text(line),
                Err(error) => Heard::Broken(format!("cannot read standard input: {error}")),
            }
        })
    }

    fn read_by(mut read: impl FnMut(&str) -> Heard + Send + 'static) -> Result<Self, Failure> {
        let (ask, mut asked) = mpsc::channel::<String>(1);
        let (tell, heard) = mpsc::channel(1);
        std::thread::Builder::new().name("prompt".to_owned()).spawn(move || {
            while let Some(prompt) = asked.blocking_recv() {
                if tell.blocking_send(read(&prompt)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, heard })
    }

    /// Shows `prompt`, if people are asked, and waits for what comes.
    pub async fn next(&mut self, prompt: &str) -> Heard {
        if self.ask.send(prompt.to_owned()).await.is_err() {
            return Heard::End;
        }
        self.heard.recv().await.unwrap_or(Heard::End)
    }
}
