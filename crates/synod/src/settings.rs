//! Who the nodes are and where: from flags, the environment, or a small TOML file.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use net::Addr;
use protocol::NodeId;
use serde::Deserialize;

use crate::failure::{Exit, Failure};

/// Where one node is: `127.0.0.1:7100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(pub Addr);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self(Addr::from(text)))
            }
            _ => Err(format!("{text:?} is no address: write HOST:PORT")),
        }
    }
}

/// Nodes and their addresses: `1=127.0.0.1:7001,2=127.0.0.1:7002`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub BTreeMap<NodeId, Addr>);

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut addresses = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (id, addr) = part.split_once('=').ok_or_else(|| {
                format!("{part:?} is not ID=ADDRESS, for example 1=127.0.0.1:7001")
            })?;
            let id: u16 = id
                .trim()
                .parse()
                .map_err(|_| format!("{id:?} is no node id: a number from 0 to {}", u16::MAX))?;
            let Place(addr) = addr.parse()?;
            if addresses.insert(NodeId(id), addr).is_some() {
                return Err(format!("node {id} is named twice"));
            }
        }
        if addresses.is_empty() {
            return Err("no node is named: write ID=HOST:PORT,...".to_owned());
        }
        Ok(Self(addresses))
    }
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(id, addr)| format!("{}={addr}", id.0)).collect();
        f.write_str(&parts.join(","))
    }
}

/// What a settings file may say. Flags win over it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// This node's number.
    pub id: Option<u16>,
    /// The number that all nodes of one installation share.
    pub cluster: Option<u64>,
    /// This node's directory.
    pub data: Option<PathBuf>,
    /// Every node and where it listens.
    #[serde(default)]
    pub peers: BTreeMap<String, String>,
}

impl File {
    /// Reads a settings file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or says something that is not understood.
    pub fn read(path: &std::path::Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Environment, format!("cannot read {}: {error}", path.display()))
        })?;
        toml::from_str(&text).map_err(|error| {
            Failure::new(Exit::Usage, format!("{} is not understood: {error}", path.display()))
        })
    }

    /// The nodes it names, if any.
    ///
    /// # Errors
    ///
    /// If an address makes no sense.
    pub fn addresses(&self) -> Result<Option<Addresses>, Failure> {
        if self.peers.is_empty() {
            return Ok(None);
        }
        let parts: Vec<String> = self.peers.iter().map(|(id, at)| format!("{id}={at}")).collect();
        let addresses = parts.join(",").parse();
        addresses.map(Some).map_err(|why| Failure::new(Exit::Usage, why))
    }
}
