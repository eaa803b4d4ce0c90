//! `synod lock`: a lock service, run until told to stop, and whoever takes locks from one.

mod show;
mod waiting;
mod with;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use lockmgr::{
    Connections, Error, Grant, Home, Name, Owner, Refusal, SERVICE_NODE, Service, Session, Storage,
    Terms, Token, core::Config,
};
use net::{Network, Tcp};
use serde_json::json;

use self::waiting::{Signals, Wait};
use crate::{
    cli::{self, Format, LockWhat},
    failure::{Exit, Failure},
    print,
};

/// `synod lock`
///
/// # Errors
///
/// If the service cannot start or its disk failed; if a lock is not to be had, or nobody knows.
pub async fn run(flags: &cli::Lock, format: Format) -> Result<(), Failure> {
    match &flags.what {
        LockWhat::Serve(serve) => self::serve(serve, format).await,
        LockWhat::Acquire(acquire) => {
            let cli::LockAcquire { wanted, session, wait, at } = acquire;
            take(wanted, *session, Some(wait.0), at, format).await
        }
        LockWhat::Try(it) => take(&it.wanted, it.session, None, &it.at, format).await,
        LockWhat::Release(release) => self::release(release, format).await,
        LockWhat::Renew(renew) => self::renew(renew, format).await,
        LockWhat::Holders(holders) => show::holders(holders, format).await,
        LockWhat::View(view) => show::view(view, format).await,
        LockWhat::With(with) => with::run(with, format).await,
    }
}

/// Everything a lock service needs to know to start.
impl cli::LockServe {
    /// Creates the service's directory, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(&self) -> Result<(), Failure> {
        Ok(Storage::init(&self.data, self.cluster, &wal::Config::default())?)
    }

    /// Opens the service on `network`.
    ///
    /// # Errors
    ///
    /// If its directory or its address cannot be used.
    pub async fn open(&self, network: Arc<dyn Network>) -> Result<Service, Failure> {
        let storage = Storage::open(&self.data, self.cluster, wal::Config::default())?;
        let (cluster, addr) = (self.cluster, self.listen.0.clone());
        let config = Config { rule: self.policy, ..Config::default() };
        Ok(Service::open(config, Home { network, cluster, addr, storage }).await?)
    }
}

async fn serve(flags: &cli::LockServe, format: Format) -> Result<(), Failure> {
    if flags.bootstrap {
        flags.init()?;
    }
    let mut service = flags.open(Arc::new(Tcp)).await?;
    eprintln!("the lock service serves on {}; who yields: {}", service.addr, service.rule);
    if format == Format::Json {
        let (addr, policy) = (service.addr.to_string(), service.rule.to_string());
        let serving =
            json!({"event": "serving", "node": SERVICE_NODE.0, "addr": addr, "policy": policy});
        // It serves on when nobody reads what it says.
        let _ = print::json(&serving);
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = service.ended() => ended,
        _ = terminate.recv() => service.stop().await,
        _ = tokio::signal::ctrl_c() => service.stop().await,
    };
    ended.map_err(|error| Failure::log(&flags.data, "lock service", "no lock is lost", error))
}

/// The way to the service that these flags name.
fn connections(at: &cli::Locks) -> Connections {
    Connections::new(Arc::new(Tcp), at.cluster, at.locks.0.clone(), seed())
}

/// Differs from process to process, wherever they run and however often a process id comes back:
/// it picks the lane in which a client of another's session numbers its requests. Two that number
/// alike would be given each other's answers.
fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

async fn opened(at: &cli::Locks, wanted: &cli::Wanted) -> Result<Session, Failure> {
    let terms = Terms { delay: wanted.delay.0, ..Terms::session(wanted.lease.0) };
    Ok(Session::open(connections(at), terms, at.budget(), seed()).await?)
}

/// A session that another process has opened.
async fn adopted(at: &cli::Locks, owner: Owner) -> Result<Session, Failure> {
    Session::adopt(connections(at), owner, at.budget(), seed()).await.map_err(of_named)
}

/// What is wrong with a session that the command line named: if it is no more, what was asked about
/// is not there.
fn of_named(error: Error) -> Failure {
    match error {
        Error::Refused(Refusal::Unknown(_)) => Failure::new(Exit::NotFound, error),
        error => error.into(),
    }
}

async fn take(
    wanted: &cli::Wanted,
    owner: Option<Owner>,
    wait: Option<Duration>,
    at: &cli::Locks,
    format: Format,
) -> Result<(), Failure> {
    let mut signals = Signals::caught()?;
    let session = match owner {
        Some(owner) => signals.before(adopted(at, owner), "it answered").await?,
        None => signals.before(opened(at, wanted), "a session was opened").await?,
    };
    let name = Name::from(&wanted.name[..]);
    let own = owner.is_none();
    let wait = Wait { name: &name, mode: wanted.mode, wait, own };
    let (session, grant) = wait.granted(session, &mut signals).await?;
    match taken(&session, &wanted.name, &grant, format) {
        // Nobody knows the session, so nobody would ever use it, renew it or give it back.
        Err(unread) if own => Err(given_back(session, unread).await),
        told => told,
    }
}

/// Says who holds what now.
fn taken(session: &Session, name: &str, grant: &Grant, format: Format) -> Result<(), Failure> {
    let (owner, lease) = (session.owner(), session.lease().unwrap_or_default());
    let token = grant.token.map_or(0, |token| token.0);
    match format {
        Format::Plain => print::line(format!("{owner} {token}")),
        Format::Table => print::line(format!(
            "session {owner} holds `{name}` in {}, token {token}; its lease is {}: synod lock renew {owner}",
            grant.mode,
            cli::Term(lease)
        )),
        Format::Json => print::json(&json!({
            "session": owner.to_string(), "name": name, "mode": grant.mode.to_string(),
            "token": token.to_string(), "lease_ms": lease.as_millis() as u64,
        })),
    }
}

/// Ends a session whose number could not be told: it must not look like one that holds a lock.
async fn given_back(session: Session, unread: Failure) -> Failure {
    let why = match &unread.why[..] {
        "" => "nobody reads which session got the lock",
        why => why,
    };
    match session.close().await {
        Ok(()) => Failure::new(Exit::Environment, format!("{why}: but the lock was given back")),
        Err(error) => {
            let why = format!("{why}: but the lock may be held until its lease ends: {error}");
            Failure::new(Exit::Unknown, why)
        }
    }
}

async fn release(flags: &cli::LockRelease, format: Format) -> Result<(), Failure> {
    let session = adopted(&flags.at, flags.session).await?;
    let released = session.release(Name::from(&flags.name[..]), flags.token.map(Token)).await;
    released.map_err(of_named)?;
    match format {
        Format::Plain => Ok(()),
        Format::Table => print::line("ok, released"),
        Format::Json => print::json(&json!({"name": flags.name, "released": true})),
    }
}

async fn renew(flags: &cli::LockRenew, format: Format) -> Result<(), Failure> {
    let session = adopted(&flags.at, flags.session).await?;
    let renewed = session.renew().await.map_err(|error| match error {
        // The first word to it was a sign of life already, and that was heard.
        Error::Unreachable(_) => Error::Unknown.into(),
        error => of_named(error),
    })?;
    show::renewed(flags.session, &renewed, format)
}
