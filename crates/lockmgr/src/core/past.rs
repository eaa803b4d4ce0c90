//! What the records of earlier lives say.

use protocol::Lsn;

use crate::{
    Rule, State, Table,
    record::{self, Record},
    table::{Rebuilt, Torn},
};

/// Records that are no memory of this service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Past {
    /// The table was made under another rule: who waits there may wait as this rule never would.
    #[error("the table in this log is under {log}, not {asked}: ask for {log}, or begin a new one")]
    Rule {
        /// Under which rule it is.
        log: Rule,
        /// Under which it should be.
        asked: Rule,
    },
    /// The log says two things about the rule.
    #[error("record {} says that the table is under {new}, and those before it say {old}", .at.0)]
    TwoRules {
        /// Where.
        at: Lsn,
        /// What was said before.
        old: Rule,
        /// What is said there.
        new: Rule,
    },
    /// The log does not begin where a log begins.
    #[error("record {} stands first and cannot: the log is not whole, or not a lock service's", .0.0)]
    Headless(Lsn),
    /// What the log begins with was never finished.
    #[error("the log begins with a checkpoint that has no end")]
    Unfinished,
    /// The parts of a checkpoint do not make a table.
    #[error("record {}: {torn}", .at.0)]
    Torn {
        /// Where.
        at: Lsn,
        /// What is wrong.
        torn: Torn,
    },
    /// A checkpoint is whole, and is not what the records before it lead to.
    #[error("the checkpoint that ends with record {} is not what the records before it lead to", .0.0)]
    Differs(Lsn),
}

/// A memory that is being put together.
pub(super) struct Story {
    asked: Option<Rule>,
    rule: Option<Rule>,
    state: Option<State<Rule>>,
    rebuilt: Option<Rebuilt<Rule>>,
    /// What was written since the last checkpoint, by weight.
    records: u64,
    /// Pieces of the checkpoint that is being read, and of the last one.
    reading: u64,
    pieces: u64,
}

impl Story {
    pub(super) fn new(asked: Option<Rule>) -> Self {
        Self { asked, rule: None, state: None, rebuilt: None, records: 0, reading: 0, pieces: 0 }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.rule.is_some()
    }

    pub(super) fn take(&mut self, at: Lsn, record: Record) -> Result<(), Past> {
        match record {
            Record::Born { rule } => self.born(at, rule),
            Record::Applied(command) => {
                let rule = self.rule.ok_or(Past::Headless(at))?;
                self.drop_unfinished()?;
                self.records += record::weight(&command);
                let state = self.state.get_or_insert_with(|| empty(rule));
                // Who is concerned asks again.
                state.apply(command, &mut Vec::new());
                Ok(())
            }
            Record::Piece(piece) => {
                let rule = self.rule.ok_or(Past::Headless(at))?;
                self.reading += 1;
                let rebuilt = self.rebuilt.get_or_insert_with(|| Rebuilt::new(rule));
                match rebuilt.take(piece) {
                    Ok(None) => Ok(()),
                    Ok(Some(state)) => self.rebuilt(at, state),
                    Err(torn) => Err(Past::Torn { at, torn }),
                }
            }
        }
    }

    fn born(&mut self, at: Lsn, rule: Rule) -> Result<(), Past> {
        if let Some(asked) = self.asked
            && asked != rule
        {
            return Err(Past::Rule { log: rule, asked });
        }
        match self.rule.replace(rule) {
            Some(old) if old != rule => Err(Past::TwoRules { at, old, new: rule }),
            _ => self.drop_unfinished(),
        }
    }

    fn rebuilt(&mut self, at: Lsn, state: State<Rule>) -> Result<(), Past> {
        if self.state.as_ref().is_some_and(|before| *before != state) {
            return Err(Past::Differs(at));
        }
        self.state = Some(state);
        self.rebuilt = None;
        self.records = 0;
        self.pieces = std::mem::take(&mut self.reading);
        Ok(())
    }

    /// A life ended in the middle of a checkpoint: what it was made from is still there.
    fn drop_unfinished(&mut self) -> Result<(), Past> {
        self.reading = 0;
        match (self.rebuilt.take(), &self.state) {
            (Some(_), None) => Err(Past::Unfinished),
            _ => Ok(()),
        }
    }

    /// The rule, the state, the records since the last checkpoint, and how many pieces that had.
    pub(super) fn end(mut self) -> Result<(Rule, State<Rule>, u64, u64), Past> {
        self.drop_unfinished()?;
        let rule = self.rule.or(self.asked).unwrap_or(Rule::Detect);
        let state = self.state.unwrap_or_else(|| empty(rule));
        Ok((rule, state, self.records, self.pieces))
    }
}

fn empty(rule: Rule) -> State<Rule> {
    Table::fenced(rule).state().clone()
}
