//! `synod lock`: a lock service, run until told to stop, and whoever takes locks from one.

mod show;

mod with;

use std::{sync::Arc, time::Duration};

use lockmgr::{
    Connections, Grant, Home, Mode, Name, Owner, SERVICE_NODE, Service, Session, Storage, Terms,
    Token, Want, core::Config,
};
use net::{Network, Tcp};
use serde_json::json;

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

/// Spreads attempts; nothing else rests on it.
fn seed() -> u64 {
    u64::from(std::process::id())
}

async fn opened(at: &cli::Locks, lease: Duration) -> Result<Session, Failure> {
    let terms = Terms::session(lease);
    Ok(Session::open(connections(at), terms, at.budget(), seed()).await?)
}

/// A session that another process has opened.
async fn adopted(at: &cli::Locks, owner: Owner) -> Result<Session, Failure> {
    Ok(Session::adopt(connections(at), owner, at.budget(), seed()).await?)
}

async fn granted(
    session: &Session,
    name: &Name,
    mode: Mode,
    wait: Option<Duration>,
) -> Result<Grant, Failure> {
    let wants = vec![Want { name: name.clone(), mode }];
    let grants = match wait {
        Some(wait) => session.acquire(wants, wait).await?,
        None => session.try_acquire(wants).await?,
    };
    let grant = grants.into_iter().next();
    grant.ok_or_else(|| Failure::new(Exit::Unknown, "the lock service granted nothing"))
}

async fn take(
    wanted: &cli::Wanted,
    owner: Option<Owner>,
    wait: Option<Duration>,
    at: &cli::Locks,
    format: Format,
) -> Result<(), Failure> {
    let session = match owner {
        Some(owner) => adopted(at, owner).await?,
        None => opened(at, wanted.lease.0).await?,
    };
    let name = Name::from(&wanted.name[..]);
    let grant = match granted(&session, &name, wanted.mode, wait).await {
        Ok(grant) => grant,
        Err(failure) => {
            if owner.is_none() {
                // Nobody would ever use it. If that fails too, its lease ends it.
                let _ = session.close().await;
            }
            return Err(failure);
        }
    };
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
            "session": owner.to_string(), "name": wanted.name, "mode": grant.mode.to_string(),
            "token": token.to_string(), "lease_ms": lease.as_millis() as u64,
        })),
    }
}

async fn release(flags: &cli::LockRelease, format: Format) -> Result<(), Failure> {
    let session = adopted(&flags.at, flags.session).await?;
    session.release(Name::from(&flags.name[..]), flags.token.map(Token)).await?;
    match format {
        Format::Plain => Ok(()),
        Format::Table => print::line("ok, released"),
        Format::Json => print::json(&json!({"name": flags.name, "released": true})),
    }
}

async fn renew(flags: &cli::LockRenew, format: Format) -> Result<(), Failure> {
    let session = adopted(&flags.at, flags.session).await?;
    let renewed = session.renew().await?;
    show::renewed(flags.session, &renewed, format)
}
