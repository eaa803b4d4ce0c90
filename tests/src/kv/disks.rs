//! Where snapshots are kept: writing takes time, and a crash takes what was not finished.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use paxosrsm::{
    Index,
    message::{CHUNK, Chunk, Request},
};
use protocol::NodeId;
use sim::Io;

use super::Node;
use crate::{
    rare::{Rare, Sight},
    shape::Shape,
};

/// Snapshots kept by a node: the newest, and the one before it, which a peer may be pulling.
const KEPT: usize = 2;

/// A disk has done something, unless its machine lost power meanwhile.
#[derive(Debug)]
pub(super) enum Finished {
    Written { whose: (NodeId, u64), upto: Index, image: Option<Bytes> },
    Read { whose: (NodeId, u64), ticket: u64, piece: Option<(u64, Bytes)> },
}

impl Finished {
    /// The node, and which of its lives.
    pub(super) fn whose(&self) -> (NodeId, u64) {
        match self {
            Self::Written { whose, .. } | Self::Read { whose, .. } => *whose,
        }
    }
}

/// The snapshots of all nodes.
#[derive(Debug, Default)]
pub struct Disks {
    durable: BTreeMap<NodeId, BTreeMap<Index, Bytes>>,
    /// Every image that became durable anywhere: what it covers, and its bytes.
    images: BTreeMap<Index, Bytes>,
    /// Two images of the same commands that differ.
    trouble: Option<String>,
}

impl Disks {
    /// The newest durable snapshot of `node`: what it covers, and its bytes.
    #[must_use]
    pub fn newest(&self, node: NodeId) -> Option<(Index, &Bytes)> {
        let (upto, image) = self.durable.get(&node)?.last_key_value()?;
        Some((*upto, image))
    }

    /// Every image that became durable anywhere, by what it covers.
    pub fn images(&self) -> impl Iterator<Item = (Index, &Bytes)> {
        self.images.iter().map(|(upto, image)| (*upto, image))
    }

    /// Whether two nodes wrote different images of the same commands.
    ///
    /// # Errors
    ///
    /// S16, with both nodes' index.
    pub fn agree(&self) -> Result<(), String> {
        self.trouble.clone().map_or(Ok(()), Err)
    }

    pub(super) fn save(
        &self,
        whose: (NodeId, u64),
        upto: Index,
        image: Bytes,
        shape: &Shape,
        io: &mut Io<Node>,
    ) -> (Duration, Finished) {
        let after = io.rng.between(Duration::from_micros(100), shape.write_time);
        let image = (!io.rng.chance(shape.write_failures)).then_some(image);
        (after, Finished::Written { whose, upto, image })
    }

    pub(super) fn load(
        &self,
        whose: (NodeId, u64),
        ticket: u64,
        chunk: Chunk,
        shape: &Shape,
        io: &mut Io<Node>,
    ) -> (Duration, Finished) {
        let after = io.rng.between(Duration::from_micros(50), Duration::from_micros(500));
        let image = self.durable.get(&whose.0).and_then(|kept| kept.get(&chunk.upto));
        let piece = image.and_then(|image| {
            let from = usize::try_from(chunk.offset).ok().filter(|from| *from < image.len())?;
            let upto = image.len().min(from + shape.piece_bytes.min(CHUNK));
            Some((image.len() as u64, image.slice(from..upto)))
        });
        (after, Finished::Read { whose, ticket, piece })
    }

    /// What a node's process says to its replica now.
    pub(super) fn finish(
        &mut self,
        finished: Finished,
        rare: &mut Rare,
    ) -> Request<paxos::Request> {
        match finished {
            Finished::Read { ticket, piece, .. } => Request::Loaded { ticket, piece },
            Finished::Written { upto, image: None, .. } => {
                rare.saw(Sight::SnapshotFailed);
                Request::Saved { upto, written: false }
            }
            Finished::Written { whose: (node, _), upto, image: Some(image) } => {
                rare.saw(Sight::SnapshotTaken);
                let first = self.images.entry(upto).or_insert_with(|| image.clone());
                if *first != image {
                    let sentence = format!(
                        "S16 apply determinism: {node} has another image of everything below {}",
                        upto.0
                    );
                    self.trouble.get_or_insert(sentence);
                }
                let kept = self.durable.entry(node).or_default();
                kept.insert(upto, image);
                while kept.len() > KEPT {
                    kept.pop_first();
                }
                Request::Saved { upto, written: true }
            }
        }
    }
}
