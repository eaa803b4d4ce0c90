//! The primary: it sequences, applies at once, and answers when its backup has it too.

use std::collections::VecDeque;

use protocol::{CallId, Caller, Effects, Time, Worlds, planted};
use viewservice::ViewNum;

use super::{
    Part, Pb, ignore,
    stream::{Stream, Told},
};
use crate::{
    config::{FORWARD_PAUSE, WAITING, WAITING_BYTES},
    item::{Item, OVERHEAD, PIECE, PIECE_ROWS, Seq},
    message::{Answer, Duty, Forwarded, Ignored, NotNow, Rebuff, Refused, Reply, Request},
    sessions::Admission,
    state::{Covered, Outcome},
};

/// How a primary stands with its backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Pair {
    /// There is none. Nobody can take this primary's place without its knowing, so it answers by
    /// itself.
    Alone,
    /// It receives the state; so much has been cut. The view is not acknowledged, so nobody can be
    /// promoted out of it, and the primary answers by itself.
    Installing(Covered),
    /// The last piece stands at this place. From here on everybody waits for the backup.
    Settling(Seq),
    /// It has everything that was answered before it was asked.
    Paired,
    /// It knows a newer view. Nobody is answered any more.
    Fenced(ViewNum),
}

/// An answer that waits until the backup has the stream up to a place.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Waiting {
    place: Seq,
    caller: Caller,
    answer: Result<Answer, Refused>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        match &self.answer {
            Ok(Answer::Value(Some(value))) => value.len(),
            _ => 0,
        }
    }
}

/// A primary.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Primary {
    pub(super) pair: Pair,
    pub(super) stream: Stream,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl Primary {
    pub(super) fn new(now: Time, pair: Pair) -> Self {
        let stream = Stream::new(now);
        Self { pair, stream, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    pub(super) fn fork(&self, worlds: &Worlds) -> Self {
        let waiting = self.waiting.iter().map(|it| Waiting {
            place: it.place,
            caller: it.caller.fork(worlds),
            answer: it.answer.clone(),
        });
        Self {
            pair: self.pair.clone(),
            stream: self.stream.clone(),
            waiting: waiting.collect(),
            waiting_bytes: self.waiting_bytes,
        }
    }

    pub(super) fn duty(&self) -> Duty {
        match self.pair {
            Pair::Alone => Duty::Alone,
            Pair::Installing(_) | Pair::Settling(_) => Duty::Installing,
            Pair::Paired => Duty::Paired,
            Pair::Fenced(_) => Duty::Fenced,
        }
    }

    /// Whether the view may be acknowledged: whoever is promoted out of it has everything.
    pub(super) fn installed(&self) -> bool {
        match self.pair {
            Pair::Alone | Pair::Paired => true,
            Pair::Installing(_) | Pair::Settling(_) => planted::is("acknowledges-during-transfer"),
            Pair::Fenced(_) => false,
        }
    }

    pub(super) fn places(&self) -> (Seq, Seq) {
        (self.stream.last(), self.stream.acknowledged())
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.stream.bytes() + self.waiting_bytes
    }

    /// Whether its backup has made no progress for too long.
    pub(super) fn has_lost_backup(&self, now: Time) -> bool {
        self.stream.is_lost(now, matches!(self.pair, Pair::Installing(_)))
    }

    /// The newest view that its backup spoke of, if that ended this primary's service.
    pub(super) fn fenced(&self) -> Option<ViewNum> {
        match self.pair {
            Pair::Fenced(known) => Some(known),
            _ => None,
        }
    }

    /// Whether an answer must wait for the backup.
    fn waits(&self) -> bool {
        matches!(self.pair, Pair::Settling(_) | Pair::Paired)
    }

    /// Whether too much waits already. A get puts nothing but a probe into the stream.
    fn is_busy(&self, changes: bool) -> bool {
        self.waiting.len() >= WAITING
            || self.waiting_bytes >= WAITING_BYTES
            || changes && self.stream.is_full()
    }

    /// What must reach the backup, if there is one that gets the stream.
    fn push(&mut self, now: Time, item: Item) {
        if !matches!(self.pair, Pair::Alone | Pair::Fenced(_)) {
            self.stream.push(now, item);
        }
    }

    /// An answer that changes nothing still waits for a word of the backup that was asked for
    /// after the request came: the backup may be the primary of a newer view by now.
    fn ask_backup(&mut self, now: Time) {
        if self.waits() && !self.stream.has_unsent() {
            self.stream.push(now, Item::Probe);
        }
    }

    /// Answers, or waits until it may.
    fn answer(&mut self, caller: Caller, answer: Result<Answer, Refused>, fx: &mut Effects<Pb>) {
        let waiting = Waiting { place: self.stream.last(), caller, answer };
        if self.waits() {
            self.waiting_bytes += waiting.bytes();
            self.waiting.push_back(waiting);
        } else {
            fx.answer(waiting.caller, Reply::Client(waiting.answer));
        }
    }

    /// Answers everybody whose place the backup has.
    fn release(&mut self, fx: &mut Effects<Pb>) {
        let upto = self.stream.acknowledged();
        while let Some(waiting) = self.waiting.pop_front_if(|it| it.place <= upto) {
            self.waiting_bytes -= waiting.bytes();
            fx.answer(waiting.caller, Reply::Client(waiting.answer));
        }
    }

    /// Answers everybody: the primary goes on in a newer view, out of which nobody can be promoted
    /// before it says so.
    pub(super) fn release_all(self, fx: &mut Effects<Pb>) {
        for waiting in self.waiting {
            fx.answer(waiting.caller, Reply::Client(waiting.answer));
        }
    }

    /// Tells everybody who waits that it may have happened.
    pub(super) fn interrupt(&mut self, fx: &mut Effects<Pb>) {
        self.waiting_bytes = 0;
        for waiting in self.waiting.drain(..) {
            fx.answer(waiting.caller, Reply::Client(Err(Refused::Interrupted)));
        }
    }
}

impl Pb {
    /// A client's request, at a primary.
    pub(super) fn serve(
        &mut self,
        now: Time,
        caller: Caller,
        request: Request,
        fx: &mut Effects<Self>,
    ) {
        let Part::Primary(primary) = &mut self.part else { return };
        if primary.is_busy(!matches!(request, Request::Get(_))) {
            return fx.answer_free(caller, NotNow::Busy);
        }
        let answer = match request {
            Request::Open(_) => {
                let evict = self.state.sessions().to_evict();
                return self.sequence(now, caller, Item::Open { evict }, fx);
            }
            Request::Submit(submit) if !submit.change.fits() => Err(Refused::TooLarge),
            Request::Submit(submit) => match self.state.admit(submit.session, submit.number) {
                Admission::Fresh => {
                    let (session, number, change) = (submit.session, submit.number, submit.change);
                    let item = Item::Do { session, number, change };
                    return self.sequence(now, caller, item, fx);
                }
                Admission::Repeat(done) => Ok(Answer::Done(done)),
                Admission::Late => Err(Refused::Late),
                Admission::Expired => Err(Refused::Expired),
            },
            Request::Get(get) => Ok(Answer::Value(self.state.get(&get.key).cloned())),
            Request::Status | Request::Digest | Request::Forward(_) | Request::View(_) => return,
        };
        if planted::is("answers-a-get-without-its-backup") {
            return fx.answer(caller, Reply::Client(answer));
        }
        primary.ask_backup(now);
        primary.answer(caller, answer, fx);
    }

    /// Gives an operation its place, applies it, and answers when the backup has it.
    fn sequence(&mut self, now: Time, caller: Caller, item: Item, fx: &mut Effects<Self>) {
        let Part::Primary(primary) = &mut self.part else { return };
        let answer = match self.state.apply(&item) {
            Outcome::Opened(session) => Answer::Opened(session),
            Outcome::Done(done) => Answer::Done(done),
            Outcome::Nothing => unreachable!("a primary has the whole state"),
        };
        self.keeper.items(std::slice::from_ref(&item), &self.state, fx);
        primary.push(now, item);
        primary.answer(caller, Ok(answer), fx);
    }

    /// What the backup said to a forward.
    pub(super) fn forwarded(
        &mut self,
        now: Time,
        call: CallId,
        answer: Result<Forwarded, Rebuff>,
        fx: &mut Effects<Self>,
    ) {
        let Part::Primary(primary) = &mut self.part else {
            return ignore(Ignored::LateAnswer, fx);
        };
        if !primary.stream.ended(call) {
            return ignore(Ignored::LateAnswer, fx);
        }
        primary.stream.learn(now, true);
        match answer {
            Ok(Forwarded { view, upto }) if view == self.view.number => {
                if primary.stream.acknowledge(now, upto) == Told::Nonsense {
                    primary.stream.pause = now.plus(FORWARD_PAUSE);
                    return ignore(Ignored::Boast, fx);
                }
                primary.release(fx);
                if let Pair::Settling(last) = primary.pair
                    && last <= upto
                {
                    // Everything that was answered without the backup stands before the last
                    // piece, and the backup has that: now it may take this primary's place.
                    primary.pair = Pair::Paired;
                    self.pinger.hurry();
                }
            }
            Err(Rebuff::Stale { known, .. }) if known > self.view.number => {
                self.fence(now, known, fx);
                self.pinger.hurry();
            }
            Err(_) => primary.stream.pause = now.plus(FORWARD_PAUSE),
            Ok(_) => {
                primary.stream.pause = now.plus(FORWARD_PAUSE);
                ignore(Ignored::LateAnswer, fx);
            }
        }
    }

    /// The view is over. Who is primary now, this one cannot know: not a word more.
    pub(super) fn fence(&mut self, now: Time, known: ViewNum, fx: &mut Effects<Self>) {
        let Part::Primary(primary) = &mut self.part else { return };
        primary.pair = Pair::Fenced(known);
        primary.stream = Stream::new(now);
        primary.interrupt(fx);
    }

    /// The next part of the state goes into the stream behind everything that has happened to it.
    pub(super) fn cut_piece(&mut self, now: Time) {
        let Part::Primary(primary) = &mut self.part else { return };
        let Pair::Installing(covered) = &primary.pair else { return };
        if !primary.stream.takes_piece() {
            return;
        }
        let room = primary.stream.room();
        let (bytes, rows) = (room.min(PIECE), PIECE_ROWS.min(room / OVERHEAD));
        let (piece, covered) = self.state.piece_of(covered, bytes, rows);
        if covered == Covered::Whole && primary.stream.has_piece() {
            // From the last piece on everybody waits for the backup: not before it has shown that
            // it takes what comes. Or each try to reach one that is cut off would cost its clients
            // as long as it takes to give that up.
            return;
        }
        primary.stream.push(now, piece);
        primary.pair = match covered {
            Covered::Whole => Pair::Settling(primary.stream.last()),
            covered => Pair::Installing(covered),
        };
    }
}
