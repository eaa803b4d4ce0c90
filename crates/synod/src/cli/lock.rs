//! The flags of a lock service, and of whoever locks.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, builder::FalseyValueParser};
use lockmgr::{Mode, Owner, Rule};

use crate::settings::Place;

/// A time as people write it: `30s`, `500ms`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(pub Duration);

impl FromStr for Term {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let unit = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(unit);
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let millis = millis.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| {
            format!("{word:?} is no time: write a number and ms, s, m or h, as in 30s")
        })
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

/// `synod lock`
#[derive(Args, Clone, Debug)]
pub struct Lock {
    /// What to do.
    #[command(subcommand)]
    pub what: LockWhat,
}

pub(super) const LOCK: &str = "\
Examples:
  synod init --id 0 --data data/locks
  synod lock serve --listen 127.0.0.1:7200 --data data/locks
  export SYNOD_LOCKS=127.0.0.1:7200
  synod lock with nightly-backup -- ./backup.sh";

/// What can be done with locks.
#[derive(Clone, Debug, Subcommand)]
pub enum LockWhat {
    /// Run a lock service.
    #[command(after_help = SERVE)]
    Serve(LockServe),
    /// Take a lock, and wait for it if need be.
    #[command(after_help = ACQUIRE)]
    Acquire(LockAcquire),
    /// Take a lock if it is free.
    #[command(after_help = TRY)]
    Try(LockTry),
    /// Give a lock back.
    #[command(after_help = RELEASE)]
    Release(LockRelease),
    /// Begin the lease of a session anew.
    #[command(after_help = RENEW)]
    Renew(LockRenew),
    /// Who holds a lock.
    #[command(after_help = HOLDERS)]
    Holders(LockHolders),
    /// Who holds, who waits, who is in whose way, and what went wrong lately.
    #[command(after_help = VIEW)]
    View(LockView),
    /// Run a command while a lock is held.
    #[command(after_help = WITH)]
    With(LockWith),
}

/// `synod lock serve`
#[derive(Args, Clone, Debug)]
pub struct LockServe {
    /// Where it listens: HOST:PORT.
    #[arg(long, env = "SYNOD_LISTEN", value_name = "ADDR")]
    pub listen: Place,
    /// Its directory, made by `synod init --id 0`.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Who yields: detect, wound-wait, wait-die, no-wait or timeout-only [default: what the
    /// directory's table has, else detect].
    #[arg(long, env = "SYNOD_POLICY")]
    pub policy: Option<Rule>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// Create the directory first. Refused if it holds a node.
    #[arg(long, env = "SYNOD_BOOTSTRAP", value_parser = FalseyValueParser::new())]
    pub bootstrap: bool,
}

const SERVE: &str = "\
Examples:
  synod init --id 0 --data data/locks
  synod lock serve --listen 127.0.0.1:7200 --data data/locks
  synod lock serve --listen 127.0.0.1:7200 --data data/ages --policy wound-wait --bootstrap

It keeps every lock, session and token on disk, so that it can be killed and started again at any
time: who held a lock holds it still, every lease begins anew, and no token is given twice. It runs
until SIGTERM or Ctrl-C, or until its disk fails (exit code 7).";

/// Where the lock service is.
#[derive(Args, Clone, Debug)]
pub struct Locks {
    /// The lock service: HOST:PORT.
    #[arg(long, env = "SYNOD_LOCKS", value_name = "ADDR")]
    pub locks: Place,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// How long to try, in milliseconds, beside the time that a lock is waited for.
    #[arg(long, env = "SYNOD_TIMEOUT", default_value_t = 5000, value_name = "MS")]
    pub timeout: u64,
}

impl Locks {
    /// How long to try.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

/// What is wanted, and by whom.
#[derive(Args, Clone, Debug)]
pub struct Wanted {
    /// The name to lock: any text.
    pub name: String,
    /// How it is held: X alone, S with other readers, U, IS, IX or SIX.
    #[arg(long, env = "SYNOD_MODE", default_value = "X")]
    pub mode: Mode,
    /// How long its session may be silent before it loses everything.
    #[arg(long, env = "SYNOD_LEASE", default_value = "30s", value_name = "TIME")]
    pub lease: Term,
    /// How long nobody gets what a new session held after its lease ran out, for the sake of things
    /// that cannot check tokens.
    #[arg(long, env = "SYNOD_DELAY", default_value = "0s", value_name = "TIME")]
    pub delay: Term,
}

/// `synod lock acquire`
#[derive(Args, Clone, Debug)]
pub struct LockAcquire {
    /// What.
    #[command(flatten)]
    pub wanted: Wanted,
    /// For this session, whose lease stays as it is; by default for a new one.
    #[arg(long, env = "SYNOD_SESSION")]
    pub session: Option<Owner>,
    /// How long to wait for it.
    #[arg(long, env = "SYNOD_WAIT", default_value = "10s", value_name = "TIME")]
    pub wait: Term,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const ACQUIRE: &str = "\
Examples:
  synod lock acquire printer --locks 127.0.0.1:7200
  synod lock acquire printer --mode S --lease 2m --wait 1m
  synod lock acquire tape --delay 30s
  synod lock acquire paper --session 4

Prints the session and the token. Nobody keeps the session alive afterwards: it loses everything
when its lease is over, unless `synod lock renew` comes before that. Give the token to whatever the
lock protects: it is larger than every token before it, and who refuses smaller ones is safe from a
holder that was taken for dead and is not. What cannot compare tokens is safer with --delay: it stays
free for so long when a lease has run out, and not if the lock was given back.

Ends with 4 if it was not free for so long, or to end a circle; with 3 if the named session is no
more. SIGTERM and Ctrl-C take the request back and end it with 143 and 130. If nobody reads which
session it is, the lock is given back.";

/// `synod lock try`
#[derive(Args, Clone, Debug)]
pub struct LockTry {
    /// What.
    #[command(flatten)]
    pub wanted: Wanted,
    /// For this session, whose lease stays as it is; by default for a new one.
    #[arg(long, env = "SYNOD_SESSION")]
    pub session: Option<Owner>,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const TRY: &str = "\
Examples:
  synod lock try printer --locks 127.0.0.1:7200
  synod lock try printer --mode S || echo somebody writes

Prints the session and the token. Ends with 4 if the lock is not free.";

/// `synod lock release`
#[derive(Args, Clone, Debug)]
pub struct LockRelease {
    /// The name that is locked.
    pub name: String,
    /// The session that holds it.
    #[arg(long, env = "SYNOD_SESSION")]
    pub session: Owner,
    /// Only if it is held by this token.
    #[arg(long, env = "SYNOD_TOKEN")]
    pub token: Option<u64>,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const RELEASE: &str = "\
Examples:
  synod lock release printer --session 4 --locks 127.0.0.1:7200
  synod lock release printer --session 4 --token 17

Ends with 3 if the session does not hold it, or is no more.";

/// `synod lock renew`
#[derive(Args, Clone, Debug)]
pub struct LockRenew {
    /// The session, as `acquire` printed it.
    pub session: Owner,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const RENEW: &str = "\
Examples:
  synod lock renew 4 --locks 127.0.0.1:7200

Prints what the session holds. Ends with 3 if it is no more: then it holds nothing.";

/// `synod lock holders`
#[derive(Args, Clone, Debug)]
pub struct LockHolders {
    /// The name.
    pub name: String,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const HOLDERS: &str = "\
Examples:
  synod lock holders printer --locks 127.0.0.1:7200
  synod lock holders printer -o json

Ends with 3 if nobody holds it.";

/// `synod lock view`
#[derive(Args, Clone, Debug)]
pub struct LockView {
    /// Where.
    #[command(flatten)]
    pub at: Locks,
}

const VIEW: &str = "\
Examples:
  synod lock view --locks 127.0.0.1:7200
  synod lock view -o json

A session that waits is shown with those in its way. Below stand the last deadlocks, each with its
circle, and who lost its locks to an older session.";

/// `synod lock with`
#[derive(Args, Clone, Debug)]
pub struct LockWith {
    /// What.
    #[command(flatten)]
    pub wanted: Wanted,
    /// How long to wait for it.
    #[arg(long, env = "SYNOD_WAIT", default_value = "10s", value_name = "TIME")]
    pub wait: Term,
    /// Where.
    #[command(flatten)]
    pub at: Locks,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

const WITH: &str = "\
Examples:
  synod lock with nightly-backup --locks 127.0.0.1:7200 -- ./backup.sh
  synod lock with printer --mode S --wait 5m -- lp letter.ps

The session is kept alive while the command runs, and ended with it. SYNOD_LOCK_NAME,
SYNOD_LOCK_SESSION and SYNOD_LOCK_TOKEN are in its environment. Its exit code is passed on, 128 and
more if a signal ended it.

If the lock is lost meanwhile that is said at once, and the command runs on: nobody can tell here
whether it may be stopped half-way. Then it ends with 5 if the command ended well, since it may have
done so without the lock. SIGTERM, SIGHUP and Ctrl-C wait for the command; while the lock is waited
for, SIGTERM and Ctrl-C take the request back and end it with 143 and 130.";

#[cfg(test)]
mod tests {
    use super::Term;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let millis = |word: &str| word.parse::<Term>().ok().map(|term| term.0.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("2m"), Some(120_000));
        assert_eq!(millis("1h"), Some(3_600_000));
        for word in ["", "30", "s", "1d", "-1s", "1.5s", "99999999999999999999s", "ns"] {
            assert_eq!(millis(word), None, "{word}");
        }
        for word in ["30s", "1500ms", "0s"] {
            assert_eq!(word.parse::<Term>().map(|term| term.to_string()), Ok(word.to_owned()));
        }
    }
}
