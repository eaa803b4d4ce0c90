//! Who a directory belongs to. Written once, by `init`; a wiped disk is not a new node.

use std::path::Path;
use std::sync::Arc;

use protocol::NodeId;

use crate::disk::{read_whole, write_atomically};
use crate::format::segment_number;
use crate::{Config, Disk, OpenError, RealDisk, recover};

/// The file that says whose directory this is.
pub const IDENTITY_FILE: &str = "identity";

const MAGIC: [u8; 8] = *b"SYNODIDN";
const VERSION: u32 = 1;
const BYTES: usize = 48;

/// The name of one cluster: random, chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterId(pub u128);

impl std::fmt::Display for ClusterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who lives in a directory, and in which life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member of it.
    pub node: NodeId,
    /// How often the directory was opened, this time included: it rises durably at every open.
    pub incarnation: u64,
}

impl Identity {
    pub(crate) fn owner(&self) -> String {
        format!("node {} of cluster {}", self.node, self.cluster)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.cluster.0.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.node.0).to_le_bytes());
        bytes.extend_from_slice(&self.incarnation.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], dir: String) -> Result<Self, OpenError> {
        let damaged =
            |why: &str| OpenError::DamagedIdentity { dir: dir.clone(), why: why.to_owned() };
        if bytes.len() < 16 || bytes[..8] != MAGIC {
            return Err(damaged("it does not begin like an identity"));
        }
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes"));
        if version != VERSION {
            let file = IDENTITY_FILE.to_owned();
            return Err(OpenError::UnknownVersion { dir, file, found: version, known: VERSION });
        }
        if bytes.len() != BYTES {
            return Err(damaged("its length is wrong"));
        }
        let mut blank = bytes.to_vec();
        blank[12..16].fill(0);
        if crc32c::crc32c(&blank).to_le_bytes() != bytes[12..16] {
            return Err(damaged("its checksum does not match"));
        }
        let node = u16::try_from(number(32)).map_err(|_| damaged("its node is no node"))?;
        Ok(Self {
            cluster: ClusterId(u128::from_le_bytes(bytes[16..32].try_into().expect("16 bytes"))),
            node: NodeId(node),
            incarnation: number(40),
        })
    }

    /// Reads whose disk this is, without changing anything.
    ///
    /// # Errors
    ///
    /// [`OpenError::Empty`], [`OpenError::HalfCreated`], [`OpenError::DamagedIdentity`],
    /// [`OpenError::UnknownVersion`] or [`OpenError::Io`].
    pub fn peek(disk: &dyn Disk) -> Result<Self, OpenError> {
        let dir = disk.place();
        let names = disk.list().map_err(OpenError::io(&dir, "list the files"))?;
        let log = names.iter().any(|name| segment_number(name).is_some());
        if !names.iter().any(|name| name == IDENTITY_FILE) {
            if log {
                let what = "it has a log but no identity".to_owned();
                return Err(OpenError::HalfCreated { dir, what });
            }
            return Err(OpenError::Empty { dir });
        }
        if !log {
            let what = "it has an identity but no log".to_owned();
            return Err(OpenError::HalfCreated { dir, what });
        }
        let bytes =
            read_whole(disk, IDENTITY_FILE).map_err(OpenError::io(&dir, "read the identity"))?;
        Self::decode(&bytes, dir)
    }

    /// Checks that this disk belongs to `node` of `cluster` and begins its next life.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek), and [`OpenError::Foreign`] when somebody else lives here.
    pub fn open(disk: &dyn Disk, cluster: ClusterId, node: NodeId) -> Result<Self, OpenError> {
        let dir = disk.place();
        let found = Self::peek(disk)?;
        if (found.cluster, found.node) != (cluster, node) {
            let expected = Self { cluster, node, incarnation: 0 }.owner();
            let file = IDENTITY_FILE.to_owned();
            return Err(OpenError::Foreign { dir, file, found: found.owner(), expected });
        }
        let next = Self { incarnation: found.incarnation + 1, ..found };
        write_atomically(disk, IDENTITY_FILE, &next.encode())
            .map_err(OpenError::io(&dir, "raise the incarnation"))?;
        Ok(next)
    }
}

/// Creates a node on an empty disk: its log first and its identity last, so that an identity is
/// never there without a log.
///
/// # Errors
///
/// [`OpenError::AlreadyInitialised`] where an identity is, [`OpenError::HalfCreated`] where a log
/// without one is, [`OpenError::Config`] or [`OpenError::Io`].
pub fn init(
    disk: &dyn Disk,
    cluster: ClusterId,
    node: NodeId,
    config: &Config,
) -> Result<Identity, OpenError> {
    config.validate()?;
    let dir = disk.place();
    match Identity::peek(disk) {
        Err(OpenError::Empty { .. }) => {}
        Err(OpenError::HalfCreated { dir, what }) => {
            return Err(OpenError::HalfCreated { dir, what });
        }
        Err(OpenError::Io { dir, what, source }) => {
            return Err(OpenError::Io { dir, what, source });
        }
        Ok(_) | Err(_) => {
            return Err(OpenError::AlreadyInitialised { dir, what: IDENTITY_FILE.to_owned() });
        }
    }
    let identity = Identity { cluster, node, incarnation: 0 };
    recover::begin_log(disk, &identity, config)
        .and_then(|()| write_atomically(disk, IDENTITY_FILE, &identity.encode()))
        .map_err(OpenError::io(&dir, "create the node"))?;
    Ok(identity)
}

/// [`init`] in a directory of the real file system, created where it is missing and locked while
/// this runs.
///
/// # Errors
///
/// Those of [`init`], [`RealDisk::create`] and its lock.
pub fn init_dir(
    dir: &Path,
    cluster: ClusterId,
    node: NodeId,
    config: &Config,
) -> Result<Identity, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(dir)?);
    init(&*disk, cluster, node, config)
}
