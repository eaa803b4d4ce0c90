//! What every home of the table must do, for everybody to run: the memory of a leader, a lock
//! server's log, a replicated log.
//!
//! A home is driven one command at a time. What it promises is checked from outside only: replies,
//! news, and what it shows when it is looked at. A home that survives its process goes through
//! most checks twice, the second time with a death before every single command.

use std::time::Duration;

use crate::{Command, Name, News, Owner, Refusal, Reply, Rule, table::LockView};

mod memory;
mod model;
mod order;
mod policies;
mod random;
mod requests;
mod restless;
mod scene;
mod time;

pub use memory::Memory;
pub use order::limits;
pub use random::{Walked, random};
pub use restless::Restless;
pub use scene::{PATIENCE, Scene};

/// A home of the table, as the checks drive it. It has a clock of its own, which stands still but
/// for [`pass`](Self::pass).
pub trait Home {
    /// Whether its grants carry tokens.
    fn fenced(&self) -> bool;

    /// Applies one command and returns what its author is told, once that is safe to tell.
    fn apply(&mut self, command: Command) -> Reply;

    /// The owner lives. Returns how long its lease is, `None` if it never ends.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unknown`] if there is no such owner.
    fn renew(&mut self, owner: Owner) -> Result<Option<Duration>, Refusal>;

    /// So much time passes at once, and what it brings about is done.
    fn pass(&mut self, time: Duration);

    /// All that was told since this was asked last, in order.
    fn news(&mut self) -> Vec<News>;

    /// What is to be seen of a name, if there is anything.
    fn look(&mut self, name: &Name) -> Option<LockView>;

    /// The process dies, is away for so long, and comes back with what was durable. All that
    /// [`apply`](Self::apply) had returned must be. Returns false, and does nothing, if this home
    /// dies with its process.
    fn restart(&mut self, away: Duration) -> bool;
}

/// Makes an empty home with this policy.
pub type Make<'a> = &'a mut dyn FnMut(Rule) -> Box<dyn Home>;

/// One check: its name, and what it does. It panics with the broken promise.
pub type Check = (&'static str, fn(Make<'_>));

/// What holds whenever a home dies: these are also run with a death before each command.
pub const AT_ANY_TIME: [Check; 21] = [
    ("two names are locked and unlocked", order::truth_table),
    ("what goes together goes together", order::matrix),
    ("readers share, writers do not", order::shared_and_exclusive),
    ("readers behind a writer come together", order::batches),
    ("nobody overtakes", order::no_barging),
    ("a sole holder gets more at once", order::upgrade_alone),
    ("who has something comes first", order::upgrade_first),
    ("given back and taken again", order::released_and_taken_again),
    ("many names or none", order::all_or_nothing),
    ("asked again it is the same request", requests::asked_again),
    ("given back again it is not taken from another", requests::released_again),
    ("given back only by its token", requests::released_by_token),
    ("taken back, and never granted", requests::cancelled),
    ("who is done with a number is done with it", requests::floor),
    ("clients of one session do not clash", requests::lanes),
    ("one wait for a name at a time", requests::one_wait_for_a_name),
    ("who is not known gets nothing", requests::unknown_owner),
    ("what cannot be is refused", requests::bounds),
    ("a transaction takes, then gives", requests::two_phases),
    ("tokens only grow", order::tokens),
    ("a circle ends, by each policy", policies::each_ends_a_circle),
];

/// What speaks of time.
pub const IN_TIME: [Check; 9] = [
    ("who waits long enough waits no longer", time::wait_deadline),
    ("who is silent loses all", time::lease),
    ("who speaks keeps all", time::renewal),
    ("a lease that ends in the queue gets nothing", time::lease_in_the_queue),
    ("leases that end together give each other nothing", time::leases_together),
    ("who expired gives nothing back", time::late_release),
    ("a name rests after its owner's death", time::delay),
    ("a death of the home costs nobody anything", time::restart_keeps_all),
    ("after a death every term begins anew", time::restart_begins_anew),
];

/// Runs every check, each on homes of its own. Returns how many there were.
///
/// # Panics
///
/// With the name of the check on standard output, and the broken promise.
pub fn all(mut make: impl FnMut(Rule) -> Box<dyn Home>) -> usize {
    let mut run = 0;
    let mut one = |(name, check): Check, make: Make<'_>, how: &str| {
        println!("{name}{how}");
        check(make);
        run += 1;
    };
    for check in AT_ANY_TIME.into_iter().chain(IN_TIME) {
        one(check, &mut make, "");
    }
    if make(Rule::Detect).restart(Duration::ZERO) {
        for check in AT_ANY_TIME {
            let mut restless = |rule| -> Box<dyn Home> { Box::new(Restless::new(make(rule))) };
            one(check, &mut restless, ", with a death before every command");
        }
    }
    run
}
