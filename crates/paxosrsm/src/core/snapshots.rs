//! Taking snapshots, handing them out in pieces, and installing somebody else's.
//!
//! The log is shortened only when the snapshot that replaces it is durable. A snapshot is pulled,
//! piece by piece, by whoever lacks it, from any replica that has it; a transfer that breaks goes
//! on where it stopped. An installed snapshot is durable before the machine is replaced.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use protocol::{CallId, Caller, Effects, NodeId, Time, planted};

use super::{Replica, Restored};
use crate::{
    agreement::{Agreement, Index, Refused, Wish},
    machine::{Image, Reader, StateMachine, fingerprint},
    message::{CHUNK, Chunk, Output, Piece, Request, Taken},
};

/// The largest snapshot that is installed, in bytes.
pub(crate) const MAX_IMAGE: u64 = 4 << 30;
/// Pieces being read from disk for peers at a time.
const MAX_LOADS: usize = 16;

/// Where a replica stands with snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The latest that is durable; what is asked of it; and the one before it.
    durable: Index,
    previous: Index,
    size: u64,
    /// The size of the one being written, noted by whoever writes it and looked at when it is
    /// reported durable.
    written: Arc<AtomicU64>,
    /// One is being written.
    writing: Option<Index>,
    bytes_since: u64,
    loads: BTreeMap<u64, (Caller, Chunk)>,
    next_load: u64,
    pull: Option<Pull>,
    /// Complete, being written: installed when it is durable.
    installing: Option<(Index, Bytes)>,
}

/// A transfer under way.
#[derive(Debug)]
struct Pull {
    upto: Index,
    bytes: Vec<u8>,
    call: Option<CallId>,
}

impl Snapshots {
    pub(super) fn new(durable: Index, size: u64) -> Self {
        Self {
            durable,
            previous: durable,
            size,
            written: Arc::default(),
            writing: None,
            bytes_since: 0,
            loads: BTreeMap::new(),
            next_load: 0,
            pull: None,
            installing: None,
        }
    }

    pub(super) fn durable(&self) -> Index {
        self.durable
    }
}

/// How the bytes of a snapshot are written, their first byte. Another one is another version of
/// this program; what it wrote is refused and not guessed at.
const FORM: u8 = 2;

/// The bytes of a snapshot: their form, what it covers, the fingerprint of everything applied, the machine, and
/// a fingerprint of all that.
fn seal(applied: Index, chain: u64, machine: Image) -> Vec<u8> {
    let machine = machine.write();
    let mut image = Vec::with_capacity(machine.len() + 25);
    image.push(FORM);
    let covered = if planted::is("snapshot-off-by-one") { applied.0 + 1 } else { applied.0 };
    image.extend_from_slice(&covered.to_le_bytes());
    image.extend_from_slice(&chain.to_le_bytes());
    image.extend_from_slice(&machine);
    let seal = fingerprint(0, &image);
    image.extend_from_slice(&seal.to_le_bytes());
    image
}

impl<M: StateMachine> Restored<M> {
    /// What a snapshot holds; `None` if these bytes are not a whole snapshot of this machine.
    #[must_use]
    pub fn open(image: &Bytes) -> Option<Self> {
        let end = image.len().checked_sub(8)?;
        let body = image.slice(..end);
        let seal = u64::from_le_bytes(image[end..].try_into().ok()?);
        if fingerprint(0, &body) != seal {
            return None;
        }
        let mut reader = Reader::new(&body);
        if reader.u8()? != FORM {
            return None;
        }
        let (applied, chain) = (Index(reader.u64()?), reader.u64()?);
        let machine = M::restore(&reader.rest())?;
        Some(Self { machine, applied, chain, size: image.len() as u64 })
    }
}

impl<A: Agreement, M: StateMachine> Replica<A, M> {
    /// So many bytes of commands were applied: time for a snapshot?
    pub(super) fn applied_bytes(&mut self, bytes: u64, fx: &mut Effects<Self>) {
        self.snapshots.bytes_since += bytes;
        let enough = self.config.snapshot_bytes.max(self.snapshots.size);
        // Replicas apply the same bytes; each waits a little longer than its neighbour, so that
        // they do not all write a snapshot at the same moment.
        let later = u64::from(self.config.me.0.wrapping_sub(1) % 4);
        let enough = enough.saturating_add(enough / 8 * later);
        if self.snapshots.bytes_since < enough || self.snapshots.writing.is_some() {
            return;
        }
        self.begin_snapshot(fx);
    }

    /// Somebody in this process wants a snapshot of at least so much.
    pub(super) fn want_snapshot(
        &mut self,
        caller: Caller,
        covering: Index,
        fx: &mut Effects<Self>,
    ) {
        if covering <= self.snapshots.durable {
            return fx.answer_free(caller, Taken(Some(self.snapshots.durable)));
        }
        if covering <= self.applied && self.snapshots.writing.is_none() {
            self.begin_snapshot(fx);
        }
        fx.answer_free(caller, Taken(None));
    }

    fn begin_snapshot(&mut self, fx: &mut Effects<Self>) {
        let (upto, chain, machine) = (self.applied, self.chain, self.machine.freeze());
        self.snapshots.bytes_since = 0;
        self.snapshots.writing = Some(upto);
        let written = Arc::clone(&self.snapshots.written);
        let image = Image::new(move || {
            let image = seal(upto, chain, machine);
            written.store(image.len() as u64, Relaxed);
            image
        });
        fx.output_free(Output::Save { upto, image });
        if planted::is("log-shortened-before-snapshot") {
            fx.send(self.config.me, Request::Engine(A::wish(Wish::Compact(upto))));
        }
    }

    /// A snapshot is durable now, or could not be written.
    pub(super) fn saved(
        &mut self,
        now: Time,
        caller: Caller,
        upto: Index,
        written: bool,
        fx: &mut Effects<Self>,
    ) {
        if self.snapshots.writing == Some(upto) {
            self.snapshots.writing = None;
        }
        let installing = self.snapshots.installing.take_if(|(index, _)| *index == upto);
        if !written || upto <= self.snapshots.durable {
            return fx.answer_free(caller, Refused::Busy);
        }
        self.snapshots.previous = self.snapshots.durable;
        self.snapshots.durable = upto;
        let Some((_, image)) = installing else {
            self.snapshots.size = self.snapshots.written.load(Relaxed);
            return self.wish(now, caller, Wish::Compact(upto), fx);
        };
        self.snapshots.size = image.len() as u64;
        let Some(restored) = Restored::<M>::open(&image).filter(|it| it.applied > self.applied)
        else {
            return fx.answer_free(caller, Refused::Busy);
        };
        self.machine = restored.machine;
        self.applied = restored.applied;
        self.chain = restored.chain;
        fx.output_free(Output::Installed(upto));
        self.wish(now, caller, Wish::Install(upto), fx);
    }

    /// What this replica lacks is gone from every log: pull a snapshot.
    pub(super) fn need_snapshot(&mut self, from: NodeId, upto: Index, fx: &mut Effects<Self>) {
        if upto <= self.applied || self.snapshots.installing.is_some() {
            return;
        }
        match &mut self.snapshots.pull {
            Some(pull) if pull.call.is_some() => {}
            Some(pull) if pull.upto == upto => {
                let offset = pull.bytes.len() as u64;
                pull.call = Some(fx.send_free(from, Chunk { upto, offset }));
            }
            pull => {
                let call = Some(fx.send_free(from, Chunk { upto, offset: 0 }));
                *pull = Some(Pull { upto, bytes: Vec::new(), call });
            }
        }
    }

    /// A piece came.
    pub(super) fn piece(
        &mut self,
        from: NodeId,
        call: CallId,
        piece: Piece,
        fx: &mut Effects<Self>,
    ) {
        let Some(pull) = self.snapshots.pull.as_mut().filter(|pull| pull.call == Some(call)) else {
            return;
        };
        pull.call = None;
        let fits = piece.upto == pull.upto && piece.offset == pull.bytes.len() as u64;
        if !fits || piece.bytes.is_empty() || piece.total > MAX_IMAGE {
            // That snapshot is gone there; the agreement will name another.
            self.snapshots.pull = None;
            return;
        }
        pull.bytes.extend_from_slice(&piece.bytes);
        let (upto, offset) = (pull.upto, pull.bytes.len() as u64);
        if offset < piece.total {
            pull.call = Some(fx.send_free(from, Chunk { upto, offset }));
            return;
        }
        let Some(pull) = self.snapshots.pull.take() else { return };
        let image = Bytes::from(pull.bytes);
        // Checked before it is written: what was pulled is whole, and ours.
        if Restored::<M>::open(&image).is_some_and(|it| it.applied == upto) {
            self.snapshots.installing = Some((upto, image.clone()));
            let image = Image::new(move || image.to_vec());
            fx.output_free(Output::Save { upto, image });
        }
    }

    /// The transfer's call failed; it goes on where it stopped when it is asked for again.
    pub(super) fn snapshot_failed(&mut self, call: CallId) -> bool {
        match &mut self.snapshots.pull {
            Some(pull) if pull.call == Some(call) => {
                pull.call = None;
                true
            }
            _ => false,
        }
    }

    /// A peer wants a piece.
    pub(super) fn load(&mut self, caller: Caller, chunk: Chunk, fx: &mut Effects<Self>) {
        let kept = chunk.upto == self.snapshots.durable || chunk.upto == self.snapshots.previous;
        if !kept || self.snapshots.loads.len() >= MAX_LOADS {
            return fx.answer_free(caller, gone(chunk));
        }
        self.snapshots.next_load += 1;
        let ticket = self.snapshots.next_load;
        self.snapshots.loads.insert(ticket, (caller, chunk));
        fx.output_free(Output::Load { ticket, chunk });
    }

    /// The piece was read.
    pub(super) fn loaded(
        &mut self,
        ticket: u64,
        piece: Option<(u64, Bytes)>,
        fx: &mut Effects<Self>,
    ) {
        let Some((caller, chunk)) = self.snapshots.loads.remove(&ticket) else { return };
        let Some((total, bytes)) = piece.filter(|(_, bytes)| bytes.len() <= CHUNK) else {
            return fx.answer_free(caller, gone(chunk));
        };
        let Chunk { upto, offset } = chunk;
        fx.answer_free(caller, Piece { upto, offset, total, bytes });
    }
}

fn gone(chunk: Chunk) -> Piece {
    Piece { upto: chunk.upto, offset: chunk.offset, total: 0, bytes: Bytes::new() }
}
