//! `synod lock with`: a command that runs while a lock is held.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    time::Duration,
};

use lockmgr::{Error, Loss, Name, Session, Token};
use serde_json::json;

use super::{
    opened,
    waiting::{Signals, Wait},
};
use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    print,
};

/// How often it is looked whether what may be lost is.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the lock was held for as long as the command ran.
enum Held {
    Throughout,
    /// It was given back too late, or nobody knows, and why.
    PerhapsNot(String),
}

pub(super) async fn run(flags: &cli::LockWith, format: Format) -> Result<(), Failure> {
    let cli::LockWith { wanted, wait, at, command } = flags;
    let mut signals = Signals::caught()?;
    let session = signals.before(opened(at, wanted), "a session was opened").await?;
    let name = Name::from(&wanted.name[..]);
    let wait = Wait { name: &name, mode: wanted.mode, wait: Some(wait.0), own: true };
    let (session, grant) = wait.granted(session, &mut signals).await?;
    let token = grant.token.unwrap_or(Token(0));
    // Before the command begins: from then on nothing may end the signs of life before it ends.
    if let Err(error) = signals.with_hangup() {
        let _ = session.close().await;
        return Err(error.into());
    }
    let started = Command::new(&command[0])
        .args(&command[1..])
        .env("SYNOD_LOCK_NAME", &wanted.name)
        .env("SYNOD_LOCK_SESSION", session.owner().to_string())
        .env("SYNOD_LOCK_TOKEN", token.0.to_string())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let _ = session.close().await;
            let why = format!("cannot run {:?} ({error}); the lock was given back", command[0]);
            return Err(Failure::new(Exit::Environment, why));
        }
    };
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let status = watched(&session, &name, token, &mut signals, ended).await?;
    // What is lost from here on, the command did not need.
    let loss = session.loss();
    let held = given_back(&session, &name, token, loss).await;
    // All is given back; if this does not arrive, its lease ends the session.
    let _ = session.close().await;
    end(flags, status, held, format)
}

/// Waits for the command, and says at once if the lock is lost.
async fn watched(
    session: &Session,
    name: &Name,
    token: Token,
    signals: &mut Signals,
    mut ended: tokio::task::JoinHandle<std::io::Result<ExitStatus>>,
) -> Result<ExitStatus, Failure> {
    let mut told = None;
    loop {
        tokio::select! {
            status = &mut ended => {
                return match status {
                    Ok(status) => Ok(status?),
                    Err(error) => Err(Failure::new(Exit::Environment, error)),
                };
            }
            loss = news(session, told.as_ref()) => {
                let sure = if loss == Loss::Silent { "may be lost" } else { "is LOST" };
                eprintln!(
                    "synod: the lock on `{name}` {sure}: {loss}; the command runs on, and whoever checks tokens refuses its token {} once another came",
                    token.0
                );
                told = Some(loss);
            }
            _ = signals.next() => waits(name),
        }
    }
}

/// What is lost, if it is not what was told already: what may be lost may turn out to be.
async fn news(session: &Session, told: Option<&Loss>) -> Loss {
    if told.is_none() {
        return session.lost().await;
    }
    loop {
        match session.loss() {
            Some(loss) if Some(&loss) != told => return loss,
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

fn waits(name: &Name) {
    eprintln!("synod: the command runs on; `{name}` stays locked until it ends");
}

/// Gives the lock back by its token: if that is not held any more, it was lost before.
async fn given_back(session: &Session, name: &Name, token: Token, loss: Option<Loss>) -> Held {
    match session.release(name.clone(), Some(token)).await {
        Ok(()) => {
            if loss.is_some() {
                eprintln!("synod: the lock on `{name}` was held all the time after all");
            }
            Held::Throughout
        }
        Err(Error::Refused(why)) => Held::PerhapsNot(why.to_string()),
        Err(error @ (Error::Unknown | Error::Unreachable(_))) => match loss {
            Some(loss) => Held::PerhapsNot(loss.to_string()),
            None => {
                eprintln!("synod: `{name}` is free when its lease ends: {error}");
                Held::Throughout
            }
        },
    }
}

/// The command's exit code is ours, unless all seemed well and was not.
fn end(
    flags: &cli::LockWith,
    status: ExitStatus,
    held: Held,
    format: Format,
) -> Result<(), Failure> {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    let name = &flags.wanted.name;
    if format == Format::Json {
        let throughout = matches!(held, Held::Throughout);
        print::json(&json!({"name": name, "exit": code, "held_throughout": throughout}))?;
    }
    if let Held::PerhapsNot(why) = &held {
        let what = "the command may have run without it, or beside another that had it";
        let why = format!("the lock on `{name}` was LOST before the command ended ({why}): {what}");
        let failure = Failure::new(Exit::Unknown, why);
        if code == 0 {
            return Err(failure);
        }
        failure.tell();
    }
    if code == 0 { Ok(()) } else { std::process::exit(code) }
}
