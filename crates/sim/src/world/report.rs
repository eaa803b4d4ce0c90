//! The watchdog: a world that is stuck says who waits for what.

use std::{fmt::Write, time::Duration};

use protocol::{Desk, NodeId, Time};

use super::{Subject, Trouble, World};

/// The longest that anything in a scenario may be waited for, in virtual time.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// Events in a row without any time passing, after which nobody believes that any ever will.
const STANDSTILL: u64 = 1_000_000;

/// Calls of one node that a report names; the rest are counted.
const CALLS_SHOWN: usize = 8;

impl<S: Subject> World<S> {
    /// Trouble: nothing goes on. The sentence comes first, and then where everybody stands.
    #[must_use]
    pub fn stuck(&self, what: &str) -> Trouble {
        let what = format!("{what}\n{}", self.report());
        Trouble { at: self.now, node: NodeId(0), what }
    }

    /// Where everybody stands: each node's state, what its disk has still to write, when it wants
    /// to be woken, the calls it waits for, and what the world does to it.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("at {} of virtual time, after {} events:\n", self.now, self.events);
        for (node, it) in &self.nodes {
            let Some(core) = it.desk.as_ref().map(Desk::core) else {
                let why = if it.disk_gone { "its disk is gone" } else { "without power" };
                let _ = writeln!(text, "  {node}: down, {why}; {} records", it.durable.len());
                continue;
            };
            let _ = writeln!(text, "  {node}: {}", self.subject.describe(*node, core));
            let held = it.desk.as_ref().map_or(0, Desk::held);
            let _ = write!(
                text,
                "      disk: {} records durable, {} pending, {held} words wait for them",
                it.durable.len(),
                it.pending.len()
            );
            let _ = match it.alarm() {
                Some(at) => writeln!(text, "; wakes at {at}"),
                None => writeln!(text, "; wants no waking"),
            };
            self.report_faults(&mut text, *node);
            self.report_calls(&mut text, *node, it.life);
        }
        let mut cuts = self.cuts.iter().peekable();
        if cuts.peek().is_some() {
            let cuts: Vec<String> = cuts.map(|(from, to)| format!("{from}->{to}")).collect();
            let _ = writeln!(text, "  cut: {}", cuts.join(" "));
        }
        for wait in self.subject.waits(self.now) {
            let _ = writeln!(text, "  waits: {wait}");
        }
        text
    }

    fn report_faults(&self, text: &mut String, node: NodeId) {
        let Some(it) = self.nodes.get(&node) else { return };
        if it.paused_until > self.now {
            let _ = writeln!(text, "      stands still until {}", it.paused_until);
        }
        if it.slowness > 1 {
            let _ = writeln!(text, "      {} times slower than usual", it.slowness);
        }
        if it.syncing {
            let _ = writeln!(text, "      syncs since {}", it.sync_since);
        }
        if self.deaf.contains(&node) {
            let _ = writeln!(text, "      deaf");
        }
    }

    fn report_calls(&self, text: &mut String, node: NodeId, life: u64) {
        let mut calls = self
            .outstanding
            .iter()
            .filter(|((caller, lived, _), _)| *caller == node && *lived == life);
        for ((_, _, call), (to, since)) in calls.by_ref().take(CALLS_SHOWN) {
            let _ = writeln!(text, "      waits for {to} since {since} ({call:?})");
        }
        let more = calls.count();
        if more > 0 {
            let _ = writeln!(text, "      and for {more} calls more");
        }
    }

    /// Time goes on to `at`.
    pub(super) fn pass(&mut self, at: Time) -> Result<(), Trouble> {
        if at > self.now {
            self.crowded = 0;
            self.now = at;
            return Ok(());
        }
        self.crowded += 1;
        if self.crowded < STANDSTILL {
            return Ok(());
        }
        Err(self.stuck(&format!("time stands still: {STANDSTILL} events in one instant")))
    }
}
