//! SAFETY: what no sound node would say goes no further than here.
//!
//! The cores trust that nodes do not lie, but not that bytes from a socket make sense: a number
//! near the end of its type would overflow, a ballot in another's name would share what must never
//! be shared. Behind this gate slots and rounds have room to be counted up.

use protocol::NodeId;

use crate::{
    Ballot, Fetched, Ignored, Nack, Outcome, Promise, Reply, Request, Slot, Value, Watermark,
    message::MAX_RUNS, record::MAX_RECORD,
};

/// The highest round: at a campaign each microsecond it would last nine years.
pub(super) const MAX_ROUND: u64 = 1 << 48;

/// What a record adds to its value, at most, in bytes.
const FRAME: u64 = 4096;

fn round(ballot: Ballot) -> bool {
    ballot.round <= MAX_ROUND
}

fn slot(slot: Slot) -> bool {
    slot <= Slot::LAST
}

fn value(value: &Value) -> bool {
    value.len() as u64 <= MAX_RECORD - FRAME
}

fn watermark(watermark: &Watermark) -> bool {
    let Watermark { low, upto, runs } = watermark;
    slot(*low)
        && slot(*upto)
        && runs.len() <= MAX_RUNS
        && runs.iter().all(|(first, end)| slot(*first) && slot(*end))
}

fn done(done: &[(NodeId, Slot)]) -> bool {
    done.iter().all(|(_, upto)| slot(*upto))
}

/// Whether a sound `speaker` could have asked this. Who asks for votes does so in its own name.
pub(super) fn request(speaker: Option<NodeId>, request: &Request) -> Result<(), Ignored> {
    let own = |ballot: Ballot| speaker == Some(ballot.node) && round(ballot);
    let sound = match request {
        Request::Prepare(prepare) => own(prepare.ballot) && slot(prepare.from),
        Request::Accept(accept) => {
            own(accept.ballot)
                && slot(accept.slot)
                && value(&accept.value)
                && watermark(&accept.chosen)
        }
        Request::Heartbeat(beat) => own(beat.ballot) && watermark(&beat.chosen) && done(&beat.done),
        Request::Forward(forward) => slot(forward.slot) && value(&forward.value),
        _ => true,
    };
    if sound { Ok(()) } else { Err(Ignored::Absurd) }
}

/// Whether a sound node could have answered this.
pub(super) fn reply(reply: &Reply) -> Result<(), Ignored> {
    let sound = match reply {
        Reply::Promise(Promise { ballot, settled, accepted, more }) => {
            let sound =
                |slots: (Slot, Ballot, &Value)| slot(slots.0) && round(slots.1) && value(slots.2);
            round(*ballot)
                && slot(*settled)
                && more.is_none_or(slot)
                && accepted.iter().all(|report| sound((report.slot, report.ballot, &report.value)))
        }
        Reply::Nack(Nack { promised, settled, chosen }) => {
            round(*promised)
                && slot(*settled)
                && chosen.as_ref().is_none_or(|(at, chosen)| slot(*at) && value(chosen))
        }
        Reply::Accepted(accepted) => slot(accepted.slot) && slot(accepted.settled),
        Reply::Beat(beat) => slot(beat.settled) && done(&beat.done),
        Reply::Pulse(pulse) => {
            round(pulse.ballot) && pulse.content.is_none_or(round) && slot(pulse.settled)
        }
        Reply::Fetched(Fetched { chosen, settled, floor, snapshot }) => {
            slot(*settled)
                && slot(*floor)
                && snapshot.is_none_or(slot)
                && chosen.iter().all(|(at, chosen)| slot(*at) && value(chosen))
        }
        Reply::Outcome(Outcome::Chosen(at, chosen)) => slot(*at) && value(chosen),
        Reply::Outcome(Outcome::Forgotten(upto)) => slot(*upto),
        Reply::Outcome(Outcome::Elsewhere(_)) | Reply::Told(_) => true,
    };
    if sound { Ok(()) } else { Err(Ignored::Absurd) }
}
