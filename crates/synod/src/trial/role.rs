//! What a node on trial is: a replica, a view service, or a server of a primary/backup store.

use std::{path::Path, sync::Arc};

use net::Network;
use paxosrsm::server::Group;

use crate::{
    failure::{Exit, Failure},
    node::NodeSettings,
    pb::{self, PbSettings},
    view::ViewSettings,
};

/// A node's part, and all it needs to know to play it.
#[derive(Clone)]
pub enum Role {
    /// One of several that agree by Paxos.
    Replica(NodeSettings),
    /// It says who is primary.
    View(ViewSettings),
    /// It is primary, or backup, or waits.
    Server(PbSettings),
}

/// A node that runs.
pub enum Running {
    /// See [`Role::Replica`].
    Replica(Group<paxos::Config>),
    /// See [`Role::View`].
    View(viewservice::Service),
    /// See [`Role::Server`].
    Server(PbSettings, pbservice::Node),
}

impl Role {
    /// Its directory, if it has one.
    #[must_use]
    pub fn data(&self) -> Option<&Path> {
        match self {
            Self::Replica(settings) => Some(&settings.data),
            Self::View(settings) => Some(&settings.data),
            Self::Server(settings) => settings.data.as_deref(),
        }
    }

    /// Creates its directory, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(&self) -> Result<(), Failure> {
        match self {
            Self::Replica(settings) => settings.init(),
            Self::View(settings) => settings.init(),
            Self::Server(settings) => settings.init(),
        }
    }

    /// Opens it on `network`.
    ///
    /// # Errors
    ///
    /// If its directory or its address cannot be used.
    pub async fn open(&self, network: Arc<dyn Network>) -> Result<Running, Failure> {
        Ok(match self {
            Self::Replica(settings) => Running::Replica(settings.open(network).await?),
            Self::View(settings) => Running::View(settings.open(network).await?),
            Self::Server(settings) => {
                Running::Server(settings.clone(), settings.open(network).await?)
            }
        })
    }
}

impl Running {
    /// Waits until it ends by itself, which it should not, and says why.
    pub async fn ended(&mut self) -> Failure {
        let ended = match self {
            Self::Replica(group) => group.ended().await,
            Self::View(service) => service.ended().await,
            Self::Server(settings, node) => return pb::last_words(settings, &node.ended().await),
        };
        let why = ended.err().map_or("it was stopped".to_owned(), |error| error.to_string());
        Failure::new(Exit::Storage, why)
    }
}
