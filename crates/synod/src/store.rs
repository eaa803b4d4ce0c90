//! A store of either kind, as its clients meet it: replicated by Paxos, or a primary and a backup.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use kvpaxos::Version;
use net::{Addr, Tcp};

use crate::{
    cli::{Servers, StoreKind},
    failure::{Exit, Failure},
    settings::Addresses,
};

/// A store and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// Replicated by Paxos.
    Kv {
        /// Its nodes.
        peers: Addresses,
        /// The number that all of them share.
        cluster: u64,
    },
    /// A primary and a backup.
    Pb {
        /// Where it is said who is which.
        view: Addr,
        /// The number that all nodes share.
        cluster: u64,
    },
}

impl Site {
    /// The store that these flags name.
    ///
    /// # Errors
    ///
    /// If they do not say where it is.
    pub fn of(kind: StoreKind, servers: &Servers) -> Result<Self, Failure> {
        let cluster = servers.cluster;
        match kind {
            StoreKind::Kv => Ok(Self::Kv { peers: peers(servers)?, cluster }),
            StoreKind::Pb => {
                let view = servers.view.clone().ok_or_else(|| {
                    let why = "--view is missing: say where the store's view service is";
                    Failure::new(Exit::Usage, why)
                })?;
                Ok(Self::Pb { view: view.0, cluster })
            }
        }
    }

    /// Connections to it. `seed` differs from client to client.
    #[must_use]
    pub fn connections(&self, seed: u64) -> Connections {
        match self {
            Self::Kv { peers, cluster } => Connections::Kv(kvpaxos::Connections::new(
                Arc::new(Tcp),
                *cluster,
                peers.0.clone(),
                seed,
            )),
            Self::Pb { view, cluster } => Connections::Pb(pbservice::Connections::new(
                Arc::new(Tcp),
                *cluster,
                view.clone(),
                seed,
            )),
        }
    }

    /// A client of it that tries for so long.
    #[must_use]
    pub fn client(&self, budget: Duration) -> Client {
        // Differs from call to call, so that one command does not always ask the same node first.
        let seed = u64::from(std::process::id());
        Client::new(&self.connections(seed), seed, budget)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv { peers, .. } => write!(f, "{peers}"),
            Self::Pb { view, .. } => write!(f, "the view service at {view}"),
        }
    }
}

/// The nodes of a store that Paxos replicates, which alone has `verb`.
///
/// # Errors
///
/// If another kind of store was asked for, or none of its nodes is named.
pub fn kv_only<'a>(
    kind: StoreKind,
    verb: &str,
    servers: &'a Servers,
) -> Result<&'a Addresses, Failure> {
    match kind {
        StoreKind::Kv => servers.peers.as_ref().ok_or_else(no_peers),
        StoreKind::Pb => Err(lacks(verb)),
    }
}

fn peers(servers: &Servers) -> Result<Addresses, Failure> {
    servers.peers.clone().ok_or_else(no_peers)
}

fn no_peers() -> Failure {
    let why = "--peers is missing: name the nodes, as in 1=127.0.0.1:7001,2=..., or say --store pb and where its --view is";
    Failure::new(Exit::Usage, why)
}

/// What a primary/backup store says to a verb that it does not have.
#[must_use]
pub fn lacks(verb: &str) -> Failure {
    let why =
        format!("a primary/backup store has no {verb}: it has put, append, get, delete and status");
    Failure::new(Exit::Usage, why)
}

/// Connections to a store, shared by as many clients as wanted.
#[derive(Clone)]
pub enum Connections {
    /// Replicated by Paxos.
    Kv(kvpaxos::Connections),
    /// A primary and a backup.
    Pb(pbservice::Connections),
}

/// One client of a store, with one request under way at a time.
pub enum Client {
    /// Replicated by Paxos.
    Kv(kvpaxos::Client),
    /// A primary and a backup.
    Pb(pbservice::Client),
}

/// Each failure's exit code says whether it may have happened.
impl Client {
    /// A client over these connections that tries for so long.
    #[must_use]
    pub fn new(connections: &Connections, seed: u64, budget: Duration) -> Self {
        match connections {
            Connections::Kv(connections) => {
                let mut client = kvpaxos::Client::new(connections.clone(), seed);
                client.budget = budget;
                Self::Kv(client)
            }
            Connections::Pb(connections) => {
                let mut client = pbservice::Client::new(connections.clone(), seed);
                client.budget = budget;
                Self::Pb(client)
            }
        }
    }

    /// The client of a store that Paxos replicates, which alone has `verb`.
    ///
    /// # Errors
    ///
    /// If this is no such store.
    pub fn kv(&mut self, verb: &str) -> Result<&mut kvpaxos::Client, Failure> {
        match self {
            Self::Kv(client) => Ok(client),
            Self::Pb(_) => Err(lacks(verb)),
        }
    }

    /// The value of a key, and its version in a store that has them.
    ///
    /// # Errors
    ///
    /// If nobody answered.
    pub async fn get(&mut self, key: Bytes) -> Result<Option<(Bytes, Option<Version>)>, Failure> {
        Ok(match self {
            Self::Kv(client) => {
                client.get(key).await?.map(|(value, version)| (value, Some(version)))
            }
            Self::Pb(client) => client.get(key).await?.map(|value| (value, None)),
        })
    }

    /// Sets a key: its new version, in a store that has them.
    ///
    /// # Errors
    ///
    /// If it was refused, or nobody knows.
    pub async fn put(&mut self, key: Bytes, value: Bytes) -> Result<Option<Version>, Failure> {
        Ok(match self {
            Self::Kv(client) => Some(client.put(key, value).await?),
            Self::Pb(client) => {
                client.put(key, value).await?;
                None
            }
        })
    }

    /// Adds to the end of what a key has: its new version, in a store that has them.
    ///
    /// # Errors
    ///
    /// If it was refused, or nobody knows.
    pub async fn append(&mut self, key: Bytes, tail: Bytes) -> Result<Option<Version>, Failure> {
        Ok(match self {
            Self::Kv(client) => Some(client.append(key, tail).await?),
            Self::Pb(client) => {
                client.append(key, tail).await?;
                None
            }
        })
    }

    /// Forgets a key. Whether there was anything.
    ///
    /// # Errors
    ///
    /// If nobody knows.
    pub async fn delete(&mut self, key: Bytes) -> Result<bool, Failure> {
        Ok(match self {
            Self::Kv(client) => client.delete(key).await?,
            Self::Pb(client) => client.delete(key).await?,
        })
    }
}
