//! The disk as the log sees it: a flat directory of files. The seam below the log, with two
//! implementations: [`RealDisk`] and [`SimDisk`](crate::SimDisk).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::OpenError;

/// The file whose lock says that a process owns the directory. Never listed.
pub const LOCK_FILE: &str = "lock";

/// A flat directory of files.
pub trait Disk: Send + Sync {
    /// Where this is, for messages: "directory /var/lib/synod".
    fn place(&self) -> String;

    /// The names of all files, sorted.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens `name` to read and write; with `create` it must not exist yet, without it must.
    ///
    /// # Errors
    ///
    /// `NotFound`, `AlreadyExists`, `StorageFull`, or whatever the system says.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives the file `from` the name `to`, whose old file (if any) is gone. Atomic.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the name.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all creations, renames and removals so far durable.
    ///
    /// # Errors
    ///
    /// Whatever the system says. None of them may then be relied on.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file. It stays the same file when its name changes.
pub trait DiskFile: Send + Sync {
    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn size(&self) -> io::Result<u64>;

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file is too short, or whatever the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`, longer than the file if need be.
    ///
    /// # Errors
    ///
    /// Whatever the system says. Any part of the data may then be in the file.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes the bytes and the length durable.
    ///
    /// # Errors
    ///
    /// Whatever the system says. Nothing written since the last success may then be relied on,
    /// now or after another try.
    fn sync(&self) -> io::Result<()>;
}

/// The whole of the file `name`.
///
/// # Errors
///
/// Those of opening and reading.
pub fn read_whole(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name, false)?;
    let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Replaces the file `name` by `bytes`, all or nothing: a temporary file is written and synced,
/// takes the name, and the name is synced.
///
/// # Errors
///
/// Those of the disk. Before the renaming the old content stands.
pub fn write_atomically(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    match disk.remove(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.open(&temporary, true)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&temporary, name)?;
    disk.sync_dir()
}

/// A directory of the real file system, locked for this process while the value lives.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
    // Held for its lock, which the system lets go of when the process dies, however it dies.
    _lock: Option<File>,
}

impl RealDisk {
    /// Takes the existing directory `dir`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Empty`] when it does not exist, [`OpenError::Locked`] when another process
    /// has it, [`OpenError::Io`] otherwise.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let place = dir.display().to_string();
        if !dir.is_dir() {
            return Err(OpenError::Empty { dir: format!("directory {place}") });
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(OpenError::io(&place, "open the lock file"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::Locked { dir: format!("directory {place}") })
            }
            Err(TryLockError::Error(e)) => Err(OpenError::io(&place, "lock the directory")(e)),
        }
    }

    /// Creates `dir` and its parents where they are missing, then takes it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn create(dir: &Path) -> Result<Self, OpenError> {
        let place = dir.display().to_string();
        fs::create_dir_all(dir).map_err(OpenError::io(&place, "create the directory"))?;
        // The name of a new directory is durable only when its parent says so.
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)
                .and_then(|p| p.sync_all())
                .map_err(OpenError::io(&place, "sync the parent directory"))?;
        }
        Self::open(dir)
    }

    /// Looks at `dir` without locking it, for tools that only read. Writing through it is refused.
    #[must_use]
    pub fn read_only(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _lock: None }
    }

    fn may_write(&self) -> io::Result<()> {
        if self._lock.is_some() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "this directory was opened to read"))
    }
}

impl Disk for RealDisk {
    fn place(&self) -> String {
        format!("directory {}", self.dir.display())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            // A name that is not text is not one of ours.
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_FILE
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if create {
            self.may_write()?;
            options.create_new(true);
        }
        options.write(self._lock.is_some());
        Ok(Arc::new(options.open(self.dir.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_write()?;
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
