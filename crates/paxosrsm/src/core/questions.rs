//! Queries that may be answered: how much of that one step does.
//!
//! An answer may be megabytes, and one check of leadership may free thousands of queries at once. A
//! step that answered them all would keep the leader silent for longer than its followers wait. So
//! a step answers until it has said so many bytes; the rest comes a moment later, from the state of
//! that moment, which is as good: it has everything that the query had to see.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use protocol::{Caller, Effects, Time};

use super::Replica;
use crate::{
    agreement::{Agreement, Refused},
    machine::{Coded, StateMachine},
    message::Done,
};

/// A step answers no further query after so many bytes of answers.
const STEP_BYTES: usize = 4 << 20;
/// Then others have their turn for so long.
const PAUSE: Duration = Duration::from_millis(1);
/// Queries waiting for their turn, at most, and their bytes.
const MAX_WAITING: usize = 16_384;
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Queries waiting for their turn.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: VecDeque<(Caller, Bytes)>,
    waiting_bytes: usize,
    /// Bytes answered in this step.
    answered: usize,
    due: Option<Time>,
}

impl Questions {
    pub(super) fn begin_step(&mut self) {
        self.answered = 0;
    }

    /// When the next of them have their turn.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }
}

impl<A: Agreement, M: StateMachine> Replica<A, M> {
    /// A query may be answered: now, if this step has not answered enough.
    pub(super) fn ask(&mut self, now: Time, caller: Caller, query: Bytes, fx: &mut Effects<Self>) {
        let questions = &mut self.questions;
        if questions.waiting.is_empty() && questions.answered < STEP_BYTES {
            return self.show(caller, &query, fx);
        }
        let full = questions.waiting.len() >= MAX_WAITING
            || questions.waiting_bytes + query.len() > MAX_WAITING_BYTES;
        if full {
            return fx.answer_free(caller, Refused::Busy);
        }
        questions.waiting_bytes += query.len();
        questions.waiting.push_back((caller, query));
        questions.due.get_or_insert(now.plus(PAUSE));
    }

    /// The turn of those that wait, as many as one step may answer.
    pub(super) fn answer_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        if self.questions.due.is_none_or(|due| due > now) {
            return;
        }
        while self.questions.answered < STEP_BYTES
            && let Some((caller, query)) = self.questions.waiting.pop_front()
        {
            self.questions.waiting_bytes -= query.len();
            self.show(caller, &query, fx);
        }
        let more = !self.questions.waiting.is_empty();
        self.questions.due = more.then(|| now.plus(PAUSE));
    }

    /// Answers a query from the state as it is.
    pub(super) fn show(&mut self, caller: Caller, query: &Bytes, fx: &mut Effects<Self>) {
        match M::Query::decode(query) {
            Some(query) => {
                let answer = self.machine.query(query).to_bytes();
                self.questions.answered += answer.len();
                fx.answer_free(caller, Done(answer));
            }
            None => fx.answer_free(caller, Refused::Malformed),
        }
    }
}
