//! A snapshot outside of any node: one file to carry away, and the directories of a new cluster
//! made from it.
//!
//! ```text
//!  0 "SYNODEXP"             16 u128 cluster it was taken from   40 u64 payload length
//!  8 u32 version            32 u64 index                        48 u32 payload checksum
//! 12 u32 header checksum    52 zeros to 64                      64 payload
//! ```
//!
//! A restored directory belongs to another cluster than the file, so that no restored node, which
//! has forgotten every promise made since, can meet one that has not.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{Log, Lsn, NodeId};

use crate::snapshots::{MAX_CHUNK, MAX_SNAPSHOT};
use crate::suite::await_durable;
use crate::{
    ClusterId, Config, Disk, Identity, OpenError, RealDisk, Snapshots, StreamId, Wal, init,
};

const MAGIC: [u8; 8] = *b"SYNODEXP";
const VERSION: u32 = 1;
const HEADER: usize = 64;

/// The stream that a restored snapshot and its first record belong to.
const STREAM: StreamId = StreamId(0);

/// A snapshot that belongs to no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable {
    /// The cluster it was taken from.
    pub cluster: ClusterId,
    /// How far it reaches: everything below is in it.
    pub index: u64,
    /// The snapshot's bytes.
    pub payload: Vec<u8>,
}

/// Why a portable snapshot cannot be written, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// There is a file already.
    #[error("{file} exists already: choose another name, or say --force to replace it")]
    Exists {
        /// The file.
        file: String,
    },
    /// It is some other file.
    #[error("{file} is no saved snapshot: name a file that `synod snapshot save` wrote")]
    Foreign {
        /// The file.
        file: String,
    },
    /// It does not verify, or its end is missing.
    #[error("{file} is damaged ({why}): use another copy of it; nothing was made from it")]
    Damaged {
        /// The file.
        file: String,
        /// What did not fit.
        why: String,
    },
    /// The directory to restore into holds something.
    #[error("{dir} is not empty: restore into a new directory")]
    NotEmpty {
        /// The directory.
        dir: String,
    },
    /// The snapshot would be restored into the cluster that it was taken from.
    #[error(
        "cluster {cluster} is the one it was saved from: a restored node has forgotten what it promised there and must never meet that cluster; choose another number"
    )]
    SameCluster {
        /// Both of them.
        cluster: u128,
    },
    /// The new node's directory could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk refused.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> PortableError {
    let file = file.display().to_string();
    move |source| PortableError::Io { what, file, source }
}

/// The directory that `path` lies in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside `path` that no other process uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}-{}", std::process::id()));
    parent(path).join(name)
}

impl Portable {
    /// The checksum over the payload: equal files have equal ones.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.payload)
    }

    fn header(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.cluster.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.index.to_le_bytes());
        bytes[40..48].copy_from_slice(&(self.payload.len() as u64).to_le_bytes());
        bytes[48..52].copy_from_slice(&self.checksum().to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Writes the file: beside its place first, synced, then under its name, which is synced too.
    /// It is there completely or not at all.
    ///
    /// # Errors
    ///
    /// [`PortableError::Exists`] unless `force`, or whatever the disk says. What was there before
    /// is then untouched.
    pub fn save(&self, file: &Path, force: bool) -> Result<(), PortableError> {
        let exists = || PortableError::Exists { file: file.display().to_string() };
        if !force && file.exists() {
            return Err(exists());
        }
        let temporary = beside(file, "tmp");
        let named = self.write(&temporary).map_err(failed("write", &temporary)).and_then(|()| {
            if force {
                return fs::rename(&temporary, file).map_err(failed("name", file));
            }
            // A link, unlike a renaming, replaces nothing, not even what came this moment.
            match fs::hard_link(&temporary, file) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
                Err(_) => fs::rename(&temporary, file).map_err(failed("name", file)),
                Ok(()) => Ok(()),
            }
        });
        // Gone already where it was renamed.
        let _ = fs::remove_file(&temporary);
        named?;
        sync_dir(parent(file)).map_err(failed("sync the directory of", file))
    }

    fn write(&self, temporary: &Path) -> io::Result<()> {
        let mut file = File::create_new(temporary)?;
        file.write_all(&self.header())?;
        for chunk in self.payload.chunks(MAX_CHUNK) {
            file.write_all(chunk)?;
        }
        file.sync_all()
    }

    /// Reads a file and verifies every byte of it.
    ///
    /// # Errors
    ///
    /// [`PortableError::Foreign`], [`PortableError::Damaged`] or [`PortableError::Io`].
    pub fn load(file: &Path) -> Result<Self, PortableError> {
        let name = || file.display().to_string();
        let damaged = |why: &str| PortableError::Damaged { file: name(), why: why.to_owned() };
        let mut open = File::open(file).map_err(failed("open", file))?;
        let size = open.metadata().map_err(failed("look at", file))?.len();
        if size > MAX_SNAPSHOT + HEADER as u64 {
            return Err(damaged("it is longer than a snapshot can be"));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        open.read_to_end(&mut bytes).map_err(failed("read", file))?;
        if bytes.len() < HEADER || bytes[..8] != MAGIC {
            let begins = !bytes.is_empty() && MAGIC.starts_with(&bytes[..bytes.len().min(8)]);
            return Err(match begins {
                true => damaged("its end is missing"),
                false => PortableError::Foreign { file: name() },
            });
        }
        if bytes[8..12] != VERSION.to_le_bytes() {
            return Err(damaged("its format version is unknown"));
        }
        let header: [u8; HEADER] = bytes[..HEADER].try_into().expect("as many bytes");
        bytes.drain(..HEADER);
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8"));
        let cluster = u128::from_le_bytes(header[16..32].try_into().expect("16 bytes"));
        let portable = Self { cluster: ClusterId(cluster), index: number(32), payload: bytes };
        // The header that a payload must have is unique, so it is compared, not parsed.
        match portable.header() == header {
            true => Ok(portable),
            false if (portable.payload.len() as u64) < number(40) => {
                Err(damaged("its end is missing"))
            }
            false => Err(damaged("its checksums do not match")),
        }
    }

    /// Makes the directory of `node` in the new cluster `cluster`: an identity, this snapshot,
    /// and a log whose first record is `record`. It appears under its name complete, or not at
    /// all.
    ///
    /// # Errors
    ///
    /// [`PortableError::NotEmpty`], [`PortableError::SameCluster`], or whatever the disk says.
    pub fn restore(
        &self,
        dir: &Path,
        cluster: ClusterId,
        node: NodeId,
        config: Config,
        record: &[u8],
    ) -> Result<(), PortableError> {
        if cluster == self.cluster {
            return Err(PortableError::SameCluster { cluster: cluster.0 });
        }
        let occupied = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("look into", dir)(error)),
        };
        if occupied {
            return Err(PortableError::NotEmpty { dir: dir.display().to_string() });
        }
        let building = beside(dir, "restoring");
        let built = self.build(&building, cluster, node, config, record).and_then(|()| {
            // Onto nothing, or onto an empty directory; anything else is refused by the system.
            fs::rename(&building, dir).map_err(failed("name", dir))
        });
        if built.is_err() {
            // Ours alone: its name bears our process number.
            let _ = fs::remove_dir_all(&building);
        }
        built?;
        sync_dir(parent(dir)).map_err(failed("sync the parent of", dir))
    }

    fn build(
        &self,
        dir: &Path,
        cluster: ClusterId,
        node: NodeId,
        config: Config,
        record: &[u8],
    ) -> Result<(), PortableError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(dir)?);
        init(&*disk, cluster, node, &config)?;
        Snapshots::new(Arc::clone(&disk)).save(STREAM, self.index, &self.payload).map_err(
            |error| failed("write the snapshot into", dir)(io::Error::other(error.to_string())),
        )?;
        let identity = Identity::open(&*disk, cluster, node)?;
        let (wal, _) = Wal::open(disk, &identity, config)?;
        let mut log = wal.stream(STREAM);
        log.append(record);
        log.push();
        await_durable(&mut log, Lsn(1)).map_err(failed("write the log in", dir))?;
        Ok(())
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
