//! Every way to spoil a log that a disk is known for, by the hundred thousand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use protocol::Rng;

use super::crash_images::open;
use super::picture::{Found, Picture, SHAPES, Truth, recovered};
use crate::simdisk::SECTOR;
use crate::{Verdict, verify};

/// Every so many images, the log is really opened on one, twice.
const OPEN_EVERY: u64 = 500;

/// What a sweep has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Damaged logs in all.
    pub images: u64,
    /// Those that gave back every record all the same.
    pub identical: u64,
    /// Those that lost records that nothing left of them proves to have been durable.
    pub torn: u64,
    /// Those that refused to open and said why.
    pub refused: u64,
    /// Those among them that were really opened, wrote and were opened again.
    pub opened: u64,
}

/// Damages logs with several segments, several streams, reused files, copies and rewritten tails:
/// at least `images` of them, and each byte of each file once. Each must give back what was
/// written, or less by what nothing proves durable, or refuse; never something else, never a
/// panic.
///
/// # Errors
///
/// With the damage that went unnoticed.
pub fn hunt_corruption(seed: u64, images: u64) -> Result<Swept, String> {
    let share = images.div_ceil(SHAPES);
    let swept: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..SHAPES).map(|shape| scope.spawn(move || sweep(shape, seed, share))).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a sweeper panicked".to_owned())));
        ended.collect::<Result<_, String>>()
    })?;
    Ok(swept.into_iter().fold(Swept::default(), |sum, part| Swept {
        images: sum.images + part.images,
        identical: sum.identical + part.identical,
        torn: sum.torn + part.torn,
        refused: sum.refused + part.refused,
        opened: sum.opened + part.opened,
    }))
}

fn sweep(shape: u64, seed: u64, share: u64) -> Result<Swept, String> {
    let truth = Truth::new(shape, seed)?;
    let mut rng = Rng::new(seed).fork(0x5EE9 + shape);
    let mut swept = Swept::default();
    let names: Vec<String> = truth.picture.files.keys().cloned().collect();
    for name in &names {
        for at in 0..truth.picture.files[name].len() {
            let mask = 1 << rng.below(8);
            let damage = |files: &mut Files<'_>| files.change(name, |bytes| bytes[at] ^= mask);
            let what = || format!("{name}: byte {at} xor {mask:#x}");
            try_one(&truth, &names, &mut swept, damage, what)?;
        }
    }
    while swept.images < share {
        let kind = rng.below(KINDS);
        let drawn = rng.next_u64();
        let damage = |files: &mut Files<'_>| spoil(files, kind, &mut Rng::new(drawn));
        try_one(&truth, &names, &mut swept, damage, || {
            format!("kind {kind} drawn from {drawn:#x}")
        })
        .map_err(|why| format!("shape {shape} of seed {seed}: {why}"))?;
    }
    Ok(swept)
}

/// A copy of a picture that is about to be damaged.
struct Files<'a> {
    picture: Picture,
    names: &'a [String],
}

impl Files<'_> {
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.picture.files.get_mut(name).expect("a file of the log");
        change(Arc::make_mut(file));
    }

    fn some(&self, rng: &mut Rng) -> String {
        self.names[rng.below(self.names.len() as u64) as usize].clone()
    }

    /// Bytes of one file, wherever they lie.
    fn piece(&self, rng: &mut Rng, unit: usize) -> Vec<u8> {
        let file = &self.picture.files[&self.some(rng)];
        let units = (file.len() / unit).max(1) as u64;
        let at = rng.below(units) as usize * unit;
        let many = 1 + rng.below(4) as usize;
        file[at..file.len().min(at + unit * many)].to_vec()
    }
}

const KINDS: u64 = 8;

/// One damage of a kind.
fn spoil(files: &mut Files<'_>, kind: u64, rng: &mut Rng) {
    let name = files.some(rng);
    let len = files.picture.files[&name].len();
    let at = rng.below(len as u64) as usize;
    match kind {
        // Two bytes, somewhere.
        0 => {
            let (mask, other) = (1 + rng.below(255) as u8, 1 + rng.below(255) as u8);
            files.change(&name, |bytes| bytes[at] ^= mask);
            let second = files.some(rng);
            let at = rng.below(files.picture.files[&second].len() as u64) as usize;
            files.change(&second, |bytes| bytes[at] ^= other);
        }
        // The end is missing.
        1 => files.change(&name, |bytes| bytes.truncate(at)),
        // Zeros, or ones, over a range.
        2 | 3 => {
            let length = [1, 8, 56, SECTOR, 2 * SECTOR, 4096][rng.below(6) as usize];
            let start = if rng.chance(500) { at / SECTOR * SECTOR } else { at };
            let fill = if kind == 2 { 0 } else { 0xFF };
            files.change(&name, |bytes| bytes[start..len.min(start + length)].fill(fill));
        }
        // Two sectors in each other's place.
        4 => {
            let sectors = (len / SECTOR).max(1) as u64;
            let (one, two) = (rng.below(sectors) as usize, rng.below(sectors) as usize);
            files.change(&name, |bytes| {
                for byte in 0..SECTOR.min(bytes.len()) {
                    bytes.swap(one * SECTOR + byte, two * SECTOR + byte);
                }
            });
        }
        // Sectors of any file written over others, whole or off by some words.
        5 | 6 => {
            let unit = if kind == 5 { SECTOR } else { 8 };
            let piece = files.piece(rng, unit);
            let start = at / unit * unit;
            files.change(&name, |bytes| {
                let end = bytes.len().min(start + piece.len());
                bytes[start..end].copy_from_slice(&piece[..end - start]);
            });
        }
        // More than there was: noise, or what was there once more.
        _ => {
            let piece = files.piece(rng, SECTOR);
            files.change(&name, |bytes| bytes.extend_from_slice(&piece));
        }
    }
}

fn try_one(
    truth: &Truth,
    names: &[String],
    swept: &mut Swept,
    damage: impl FnOnce(&mut Files<'_>),
    what: impl Fn() -> String,
) -> Result<(), String> {
    let mut files = Files { picture: truth.picture.clone(), names };
    damage(&mut files);
    let picture = files.picture;
    let really = swept.images.is_multiple_of(OPEN_EVERY);
    let look = || -> Result<Option<Found>, String> {
        let found = recovered(&picture)?;
        if really {
            reopen(&picture, found.as_deref())?;
        }
        found.map(|found| truth.judge(&picture, &found)).transpose()
    };
    let looked = catch_unwind(AssertUnwindSafe(look))
        .unwrap_or_else(|_| Err("a panic, told above".to_owned()))
        .map_err(|why| format!("{}: {why}", what()))?;
    swept.images += 1;
    match looked {
        Some(Found::Identical) => swept.identical += 1,
        Some(Found::Torn) => swept.torn += 1,
        None => swept.refused += 1,
    }
    swept.opened += u64::from(really && looked.is_some());
    Ok(())
}

/// Opens the log for good, and again: both find what reading found, and leave a clean log.
fn reopen(picture: &Picture, expected: Option<&[crate::Recovered]>) -> Result<(), String> {
    let disk = picture.develop().map_err(|e| e.to_string())?;
    for life in 0..2 {
        let opened = open(&disk);
        match (&opened, expected) {
            (Ok((_, found)), Some(expected)) if found == expected => {}
            (Err(_), None) => return Ok(()),
            (Ok(_), _) => return Err(format!("life {life} found something else than reading did")),
            (Err(why), Some(_)) => return Err(format!("life {life}: {why}")),
        }
        drop(opened);
        let verdict = verify(&disk).map_err(|e| e.to_string())?.verdict;
        if verdict != Verdict::Clean {
            return Err(format!("life {life} left a log that is {verdict:?}"));
        }
    }
    Ok(())
}
