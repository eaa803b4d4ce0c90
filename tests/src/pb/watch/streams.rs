//! What primaries send their backups, and whether both make the same of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use pbservice::{
    Duty, Item, Pb, RequestNo, Seq, SessionId, State,
    config::{QUEUE_BYTES, QUEUE_ITEMS, WAITING_BYTES},
    message::Forward,
    state::Covered,
};
use protocol::NodeId;
use sim::View;
use viewservice::{Role, ViewNum};

use super::is_last_piece;
use crate::{
    pb::node::Node,
    rare::{Rare, Sight},
};

/// What may be in a queue beyond its limit: whatever one event adds to it.
const SLACK_ITEMS: u64 = 4;
const SLACK_BYTES: usize = 4 << 20;

/// What stands at a place: its fingerprint, and the request that it does.
type Place = (u64, Option<(SessionId, RequestNo)>);

/// Every stream there was.
#[derive(Debug, Default)]
pub(super) struct Streams {
    places: BTreeMap<(ViewNum, Seq), Place>,
    last_pieces: BTreeMap<ViewNum, Seq>,
    /// Forwards with a piece in them, by their first place.
    pieces: BTreeSet<(ViewNum, Seq)>,
    /// Of all items sent.
    pub(super) bytes: u64,
}

impl Streams {
    /// A primary sends this.
    pub(super) fn sent(&mut self, forward: &Forward, rare: &mut Rare) -> Result<(), String> {
        let view = forward.view;
        for (place, item) in (forward.first.0..).map(Seq).zip(&forward.items) {
            self.bytes += item.bytes() as u64;
            let mut hasher = DefaultHasher::new();
            item.hash(&mut hasher);
            let done = match item {
                Item::Do { session, number, .. } => Some((*session, *number)),
                _ => None,
            };
            let it = (hasher.finish(), done);
            if *self.places.entry((view, place)).or_insert(it) != it {
                return Err(format!("P3 stream: at {place:?} of view {view} is now {item:?}"));
            }
            if is_last_piece(item) {
                self.last_pieces.insert(view, place);
            }
        }
        if forward.items.iter().any(Item::is_piece) && !self.pieces.insert((view, forward.first)) {
            rare.saw(Sight::PieceSentAgain);
        }
        Ok(())
    }

    /// Where the last piece of the state stands in the stream of this view, once it was sent.
    pub(super) fn last_piece(&self, view: ViewNum) -> Option<Seq> {
        self.last_pieces.get(&view).copied()
    }

    /// The last request done at or before a place.
    pub(super) fn last_done(&self, view: ViewNum, upto: Seq) -> Option<(SessionId, RequestNo)> {
        let before = self.places.range((view, Seq(0))..=(view, upto));
        before.rev().find_map(|(_, (_, done))| *done)
    }
}

/// P6: nothing that waits at a server grows without end.
pub(super) fn bounded(node: NodeId, server: &Pb) -> Result<(), String> {
    let (last, forwarded) = server.places();
    let waiting = server.held_bytes() - server.state().bytes();
    if last.0 - forwarded.0 > QUEUE_ITEMS as u64 + SLACK_ITEMS {
        return Err(format!("P6 bounds: {} places wait at {node}", last.0 - forwarded.0));
    }
    if waiting > QUEUE_BYTES + WAITING_BYTES + SLACK_BYTES {
        return Err(format!("P6 bounds: {waiting} bytes wait at {node}"));
    }
    Ok(())
}

/// P3: a primary and its backup, in the same view.
pub(super) fn agree(node: NodeId, server: &Pb, view: &View<'_, Node>) -> Result<(), String> {
    let Some(member) = server.member() else { return Ok(()) };
    let seen = server.view();
    let other = match seen.role(member) {
        Role::Primary => &seen.backup,
        Role::Backup => &seen.primary,
        Role::Idle => return Ok(()),
    };
    let Some(other) = other.as_ref().map(|server| server.member) else { return Ok(()) };
    let Some(Node::Server(peer)) = view.core(other.node) else { return Ok(()) };
    if peer.member() != Some(other) || peer.view().number != seen.number {
        return Ok(());
    }
    let (primary, backup) =
        if seen.role(member) == Role::Primary { (server, &**peer) } else { (&**peer, server) };
    if matches!(primary.duty(), Duty::Fenced) {
        return Ok(());
    }
    let ((ahead, _), (behind, _)) = (primary.places(), backup.places());
    if behind > ahead {
        return Err(format!(
            "P3 stream: in view {} the backup has {behind:?}, the primary {ahead:?}",
            seen.number
        ));
    }
    if behind < ahead || behind == Seq(0) {
        return Ok(());
    }
    equal(primary.state(), backup.state()).map_err(|what| {
        format!("P3 stream: at {ahead:?} of view {}, seen at {node}, {what}", seen.number)
    })
}

/// Whether a backup has exactly the part of its primary's state that it should have.
fn equal(primary: &State, backup: &State) -> Result<(), String> {
    if backup.is_whole() {
        let same = primary == backup;
        return if same { Ok(()) } else { Err("the two states differ".into()) };
    }
    let upto = match backup.covered() {
        Covered::Keys(upto) => Some(upto),
        Covered::Sessions(_) | Covered::Whole => None,
    };
    let part = primary.iter().take_while(|(key, _)| upto.is_none_or(|upto| *key < upto));
    let same = part.eq(backup.iter());
    if same { Ok(()) } else { Err("the part that has travelled differs".into()) }
}
