//! The driver: one task that owns a core and carries its words to the disk and to the others.
//!
//! A turn has four parts: records to the log, words to whom they are for, the timer, and then one
//! wait for everything that can happen. Whatever is there by then is taken in at once, so a busy
//! core works in batches that nobody had to plan.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::{CallId, Core, Desk, Log, Lsn, NodeId, Time, Word};
use tokio::time::{Instant, Sleep};

use crate::{CallError, Post, inbox::Letter, limits::TURN, overdue::Overdue, tickets::Tickets};

/// A buffer for records longer than this is given back after use, in bytes.
const KEEP_RECORD: usize = 256 << 10;

/// How a driver reaches the other nodes. [`Peers`](crate::Peers) does so over a network,
/// [`Alone`] has nobody to reach.
pub trait Calls<Q, R>: Send + 'static {
    /// Calls `to`. The future must not borrow `self`: it is kept among many others until it ends.
    fn call(
        &self,
        to: NodeId,
        request: Q,
    ) -> impl Future<Output = Result<R, CallError>> + Send + use<Self, Q, R>;
}

/// Nobody to call: every call fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl<Q, R> Calls<Q, R> for Alone
where
    Q: Send + 'static,
    R: Send + 'static,
{
    fn call(
        &self,
        _to: NodeId,
        _request: Q,
    ) -> impl Future<Output = Result<R, CallError>> + Send + use<Q, R> {
        std::future::ready(Err(CallError::Down(None)))
    }
}

/// A log that forgets: everything is durable at once. For cores whose records need not outlive
/// their process, such as a client's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful {
    appended: Lsn,
    reported: Lsn,
}

impl Log for Forgetful {
    fn append(&mut self, _record: &[u8]) {
        self.appended.0 += 1;
    }

    fn push(&mut self) {}

    fn poll_durable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        if self.reported == self.appended {
            // Only `append` can change that, and the driver asks again after it.
            return Poll::Pending;
        }
        self.reported = self.appended;
        Poll::Ready(Ok(self.appended))
    }

    fn forget(&mut self, _keep: Lsn) {}
}

/// Everything one core needs to live.
pub struct Life<C: Core, L, W, S> {
    /// Which node this is.
    pub me: NodeId,
    /// The core, as recovered from its records.
    pub core: C,
    /// How many records it was recovered from. The log counts on from there.
    pub saved: Lsn,
    /// Where its records go.
    pub log: L,
    /// How a record is written, behind what is in the buffer.
    pub encode: fn(&C::Record, &mut Vec<u8>),
    /// How the others are reached.
    pub calls: W,
    /// Where its requests come from.
    pub post: Post<C::Request, C::Reply>,
    /// What happens to its outputs, in order. Called in the driver's task: it must not block.
    pub output: S,
}

/// Drives a core until its [`Post`] is told to stop or the last [`Inbox`](crate::Inbox) is
/// dropped. Aborting the task is as good: a turn has no await in it. In each case the desk is
/// dropped; what it held back was never said, so the core must be recovered, not continued.
///
/// A panic of the core is not caught here. Servers wrap this in
/// [`abort_on_panic`](crate::abort_on_panic).
///
/// # Errors
///
/// If the log failed. The core is ahead of the disk then, and the process must end.
pub async fn drive<C, L, W, S>(life: Life<C, L, W, S>) -> io::Result<()>
where
    C: Core,
    L: Log,
    W: Calls<C::Request, C::Reply>,
    S: FnMut(C::Output),
{
    let Life { me, core, saved, log, encode, calls, post, output } = life;
    let mut calling = FuturesUnordered::new();
    let mut driver = Driver {
        desk: Desk::new(me, core, saved),
        log,
        encode,
        post,
        output,
        tickets: Tickets::new(),
        clock: Clock::new(),
        overdue: Overdue::new(),
        letters: Vec::with_capacity(TURN),
        record: Vec::new(),
    };
    driver.desk.wake(Time::ZERO);
    let mut now = Time::ZERO;
    loop {
        driver.save(now);
        while let Some(word) = driver.desk.next_word() {
            match word {
                Word::Send { to, call, request } => {
                    let answer = calls.call(to, request);
                    calling.push(async move { (to, call, answer.await) });
                }
                Word::Answer { ticket, reply } => driver.tickets.redeem(ticket, reply),
                Word::Output(output) => (driver.output)(output),
                Word::Forget(keep) => driver.log.forget(keep),
            }
        }
        match std::future::poll_fn(|cx| driver.poll(cx, &mut calling)).await? {
            Heard::Something(at) => now = at,
            Heard::End => return Ok(()),
        }
    }
}

/// What a wait ended with.
enum Heard {
    Something(Time),
    End,
}

/// A call on its way.
type Answered<R> = (NodeId, CallId, Result<R, CallError>);

struct Driver<C: Core, L, S> {
    desk: Desk<C>,
    log: L,
    encode: fn(&C::Record, &mut Vec<u8>),
    post: Post<C::Request, C::Reply>,
    output: S,
    tickets: Tickets<C::Reply>,
    clock: Clock,
    overdue: Overdue,
    /// Empty between turns; kept for its room.
    letters: Vec<Letter<C::Request, C::Reply>>,
    /// One encoded record; kept for its room.
    record: Vec<u8>,
}

impl<C: Core, L: Log, S> Driver<C, L, S> {
    /// Hands the records of this turn to the log.
    fn save(&mut self, now: Time) {
        let mut any = false;
        for record in self.desk.records() {
            self.record.clear();
            (self.encode)(&record, &mut self.record);
            self.log.append(&self.record);
            any = true;
        }
        if any {
            self.log.push();
            self.overdue.appended(now, self.desk.saved());
        }
        if self.record.capacity() > KEEP_RECORD {
            self.record = Vec::new();
        }
    }

    /// Takes in everything that is there, once; waits if there is nothing.
    fn poll<F>(
        &mut self,
        cx: &mut Context<'_>,
        calling: &mut FuturesUnordered<F>,
    ) -> Poll<io::Result<Heard>>
    where
        F: Future<Output = Answered<C::Reply>>,
    {
        if self.post.stopped.poll(cx).is_ready() {
            return Poll::Ready(Ok(Heard::End));
        }
        loop {
            let now = self.clock.now();
            let mut any = false;
            while let Poll::Ready(durable) = self.log.poll_durable(cx) {
                let durable = durable?;
                self.overdue.durable(durable);
                self.desk.durable(now, durable);
                any = true;
            }
            while let Poll::Ready(Some((peer, call, result))) = calling.poll_next_unpin(cx) {
                match result {
                    Ok(reply) => self.desk.reply(now, peer, call, reply),
                    Err(error) => {
                        tracing::trace!(%peer, %error, "call failed");
                        self.desk.failed(now, peer, call);
                    }
                }
                any = true;
            }
            match self.post.letters.poll_recv_many(cx, &mut self.letters, TURN) {
                Poll::Ready(0) => return Poll::Ready(Ok(Heard::End)),
                Poll::Ready(_) => any = true,
                Poll::Pending => {}
            }
            for Letter { peer, request, answer } in self.letters.drain(..) {
                let ticket = self.tickets.issue(answer);
                self.desk.request(now, ticket, peer, request);
            }
            if let Some(healthy) = self.overdue.news(now) {
                self.desk.disk_healthy(now, healthy);
                any = true;
            }
            if self.desk.deadline().is_some_and(|at| at <= now) {
                self.desk.wake(now);
                any = true;
            }
            if any {
                return Poll::Ready(Ok(Heard::Something(now)));
            }
            // Nothing at all. The clock may still say that there is something by now.
            let alarm = self.desk.deadline().into_iter().chain(self.overdue.alarm()).min();
            ready!(self.clock.poll(cx, alarm));
        }
    }
}

/// The core's clock and the one timer behind it.
struct Clock {
    born: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer goes off. It may be earlier than needed, never later: a core that puts its
    /// deadline off with every message must not pay for a timer each time.
    set_to: Time,
}

impl Clock {
    fn new() -> Self {
        Self { born: Instant::now(), timer: None, set_to: Time(u64::MAX) }
    }

    fn now(&self) -> Time {
        Time::ZERO.plus(self.born.elapsed())
    }

    /// Ready when the timer went off, be it early; sets it to `alarm` at the latest.
    fn poll(&mut self, cx: &mut Context<'_>, alarm: Option<Time>) -> Poll<()> {
        let Some(alarm) = alarm else { return Poll::Pending };
        // A deadline beyond the end of the clock's own time is none.
        let Some(at) = self.born.checked_add(alarm.since(Time::ZERO)) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if alarm < self.set_to {
            timer.as_mut().reset(at);
            self.set_to = alarm;
        }
        ready!(timer.as_mut().poll(cx));
        self.set_to = Time(u64::MAX);
        Poll::Ready(())
    }
}
