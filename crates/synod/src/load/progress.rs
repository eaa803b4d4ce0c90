//! What a long load says while it works: one line that changes, on a terminal; else now and then
//! a line, if somebody asked for it.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// From one word on a terminal to the next.
const GLANCE: Duration = Duration::from_millis(200);

/// From one line elsewhere to the next.
const PAUSE: Duration = Duration::from_secs(2);

/// Says how far a load has come.
pub(super) struct Progress {
    began: Instant,
    next: Instant,
    terminal: bool,
    shown: bool,
    /// Bytes of the whole input, where that is known.
    total: Option<u64>,
    /// Lines that were loaded before this began.
    before: u64,
}

impl Progress {
    pub(super) fn new(asked: bool, total: Option<u64>, before: u64) -> Self {
        let (began, terminal) = (Instant::now(), std::io::stderr().is_terminal());
        Self { began, next: began, terminal, shown: asked || terminal, total, before }
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says it, if it is time.
    pub(super) fn at(&mut self, byte: u64, line: u64) {
        let now = Instant::now();
        if !self.shown || now < self.next {
            return;
        }
        self.next = now + if self.terminal { GLANCE } else { PAUSE };
        let share = self.total.filter(|total| *total > 0);
        let share = share.map_or(String::new(), |total| format!("{:>3} %  ", byte * 100 / total));
        let rate = line.saturating_sub(self.before) as f64 / self.elapsed().as_secs_f64().max(1e-3);
        let said = format!("{share}{line} lines  {rate:.0}/s");
        if self.terminal {
            eprint!("\r{said}\u{1b}[K");
            // Whether somebody saw it changes nothing.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{said}");
        }
    }

    /// Clears the line that changes, for what is said next.
    pub(super) fn end(&self) {
        if self.shown && self.terminal {
            eprint!("\r\u{1b}[K");
        }
    }
}
