//! What a client does about silence, refusals and new views: the same request again, to whoever is
//! primary now, under the same number, until it is answered. Pure: no socket, no clock.

use std::time::Duration;

use bytes::Bytes;
use protocol::{Rng, planted};
use viewservice::{Server, View};

use crate::{
    change::{Change, Done, RequestNo, SessionId},
    message::{Answer, Get, Open, Refused, Request, Submit},
};

/// How long to wait before the next try, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// How long a try at a server may go unanswered before the view service is asked beside it who is
/// primary, and how long between two such questions. A server that hangs costs its clients little
/// more than the view service needs to notice; one that is only slow is not given up for it.
pub const GLANCE: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(100));

/// What to ask next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// After this pause.
    pub after: Duration,
    /// Whom, and what.
    pub ask: Ask,
}

/// Whom to ask, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The view service: who is primary?
    View,
    /// This server.
    Server(Server, Request),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The view service said this.
    View(View),
    /// The server answered.
    Answer(Answer),
    /// The server refused.
    Refused(Refused),
    /// No connection: certainly nothing was sent.
    Unreachable,
    /// Sent, and not answered: anything may have happened.
    Silence,
    /// Sent, and not answered yet; and this view, of which the view service was asked meanwhile,
    /// [leads elsewhere](Clerk::leads_elsewhere). The try is given up: anything may have happened.
    Overtaken(View),
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again like this.
    Try(Try),
    /// The change was made, and this came of it.
    Done(Done),
    /// The value.
    Value(Option<Bytes>),
    /// It may have happened, and nobody will ever tell: the session was forgotten meanwhile.
    Unknown,
    /// It certainly did not happen, and trying again will not help.
    Refused(Refused),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Errand {
    Change(Change),
    Get(Bytes),
}

/// A client: its session, its numbers, and the view it believes in.
#[derive(Clone, Debug)]
pub struct Clerk {
    view: View,
    session: Option<SessionId>,
    number: RequestNo,
    errand: Option<Errand>,
    /// Whether a change of this number was sent and may have arrived.
    exposed: bool,
    /// Whether the try under way carries the change.
    submitting: bool,
    /// Whether the try under way asks the view service.
    asking: bool,
    pause: Duration,
    rng: Rng,
}

impl Clerk {
    /// A client that knows nobody yet. `seed` spreads its pauses.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            view: View::default(),
            session: None,
            number: RequestNo(0),
            errand: None,
            exposed: false,
            submitting: false,
            asking: false,
            pause: BACKOFF.0,
            rng: Rng::new(seed),
        }
    }

    /// Whether the change under way may have been made already.
    #[must_use]
    pub fn exposed(&self) -> bool {
        self.exposed
    }

    /// The view it believes in.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether `view` is newer than the one it believes in, and another server is primary in it:
    /// whoever waits for the old one waits in vain.
    #[must_use]
    pub fn leads_elsewhere(&self, view: &View) -> bool {
        view.number > self.view.number && view.primary != self.view.primary
    }

    /// Begins a change. One errand at a time.
    pub fn change(&mut self, change: Change) -> Try {
        self.number.0 += 1;
        self.begin(Errand::Change(change))
    }

    /// Begins a get. One errand at a time.
    pub fn get(&mut self, key: Bytes) -> Try {
        self.begin(Errand::Get(key))
    }

    /// Gives the errand up. A later change takes the next number, so nothing of this one can be
    /// mistaken for it.
    pub fn give_up(&mut self) {
        self.errand = None;
        self.exposed = false;
    }

    fn begin(&mut self, errand: Errand) -> Try {
        self.errand = Some(errand);
        self.exposed = false;
        self.pause = BACKOFF.0;
        self.attempt(Duration::ZERO)
    }

    fn attempt(&mut self, after: Duration) -> Try {
        (self.submitting, self.asking) = (false, self.view.primary.is_none());
        let Some(primary) = &self.view.primary else { return Try { after, ask: Ask::View } };
        let request = match (&self.errand, self.session) {
            (Some(Errand::Get(key)), _) => Request::Get(Get { key: key.clone() }),
            (Some(Errand::Change(change)), Some(session)) => {
                self.submitting = true;
                let (number, change) = (self.number, change.clone());
                Request::Submit(Submit { session, number, change })
            }
            (Some(Errand::Change(_)) | None, _) => Request::Open(Open),
        };
        Try { after, ask: Ask::Server(primary.clone(), request) }
    }

    /// What the last try led to, and what to do now. A try is heard of once, before the next one:
    /// what still comes of a try that was given up must not be told here.
    pub fn heard(&mut self, heard: Heard) -> Next {
        match heard {
            Heard::View(view) => {
                let news = view.number > self.view.number;
                if news {
                    self.view = view;
                }
                // Whoever answers with what is known already is not asked without a pause.
                let after = if news { Duration::ZERO } else { self.rest() };
                Next::Try(self.attempt(after))
            }
            Heard::Answer(answer) => self.answered(answer),
            Heard::Refused(Refused::Interrupted) | Heard::Silence => {
                self.expose();
                self.ask_view()
            }
            Heard::Overtaken(view) => {
                self.expose();
                if !self.leads_elsewhere(&view) {
                    return self.ask_view();
                }
                self.view = view;
                Next::Try(self.attempt(Duration::ZERO))
            }
            // The view service is away. Those who know each other go on without it.
            Heard::Unreachable if self.asking => {
                let after = self.rest();
                Next::Try(self.attempt(after))
            }
            // Whoever is busy may have been replaced because of what keeps it busy.
            Heard::Refused(Refused::NotPrimary(_) | Refused::Busy) | Heard::Unreachable => {
                self.ask_view()
            }
            Heard::Refused(Refused::Expired) => {
                self.session = None;
                if self.exposed {
                    // An earlier try may have been done before the session was forgotten.
                    self.errand = None;
                    return Next::Unknown;
                }
                Next::Try(self.attempt(Duration::ZERO))
            }
            Heard::Refused(why) => {
                self.errand = None;
                // It speaks of this try; an earlier one may have been done.
                if self.exposed { Next::Unknown } else { Next::Refused(why) }
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> Next {
        match (answer, &self.errand) {
            (Answer::Opened(session), Some(Errand::Change(_))) if self.session.is_none() => {
                self.session = Some(session);
                Next::Try(self.attempt(Duration::ZERO))
            }
            (Answer::Done(done), Some(Errand::Change(_))) => {
                self.give_up();
                Next::Done(done)
            }
            (Answer::Value(value), Some(Errand::Get(_))) => {
                self.give_up();
                Next::Value(value)
            }
            // An answer of another kind than the question: it says nothing.
            _ => {
                self.expose();
                self.ask_view()
            }
        }
    }

    /// What was just tried may have been done.
    fn expose(&mut self) {
        self.exposed |= self.submitting;
        if planted::is("repeats-under-a-new-number") {
            self.number.0 += 1;
        }
    }

    /// The view that is known is no good: another one is asked for. At once, since a pause follows
    /// if there is none; but not if it was the view service itself that said nothing.
    fn ask_view(&mut self) -> Next {
        let after = if self.asking { self.rest() } else { Duration::ZERO };
        (self.submitting, self.asking) = (false, true);
        Next::Try(Try { after, ask: Ask::View })
    }

    fn rest(&mut self) -> Duration {
        let pause = self.rng.between(self.pause / 2, self.pause);
        self.pause = (self.pause * 2).min(BACKOFF.1);
        pause
    }
}
