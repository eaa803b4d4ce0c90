//! The disk as it is: `pwrite` and `fdatasync`.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

use anyhow::Result;

use crate::{Cell, Measured};

/// Size of the file that was filled before; writing goes round in it.
const FILLED: usize = 64 << 20;

/// Writes what all writers have in one piece, syncs, and begins again.
pub(crate) fn measured(cell: Cell, home: &Path, zeroed: bool) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("disk-").tempdir_in(home)?;
    let path = folder.path().join("raw");
    let file = if zeroed { filled(&path)? } else { File::create(&path)? };
    let piece = vec![7_u8; cell.writers * cell.size];
    let (begun, mut at, mut syncs) = (Instant::now(), 0, 0_u64);
    while begun.elapsed() < cell.time {
        if zeroed && at + piece.len() > FILLED {
            at = 0;
        }
        file.write_all_at(&piece, at as u64)?;
        file.sync_data()?;
        at += piece.len();
        syncs += 1;
    }
    let syncs = syncs as f64 / begun.elapsed().as_secs_f64();
    Ok(Measured { per_second: syncs * cell.writers as f64, syncs })
}

fn filled(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..FILLED / zeros.len() {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}
