//! What a session and its tasks share, and the tasks: one keeps it alive, others bring to their end
//! what nobody waits for any more.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use protocol::Time;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{Connections, TRY};
use crate::{
    RequestNo,
    clerk::{Clerk, Heard, Loss, Next},
    message::Request,
};

/// What a session and its tasks share.
pub(super) struct Shared {
    pub(super) connections: Connections,
    clerk: Mutex<Clerk>,
    /// The clerk's time began then.
    born: Instant,
    lost: watch::Sender<Option<Loss>>,
    /// Something that nobody waited for is over.
    pub(super) settled: Notify,
    /// Nobody has the session any more.
    pub(super) dropped: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        connections: Connections,
        clerk: Clerk,
        born: Instant,
    ) -> (Self, watch::Receiver<Option<Loss>>) {
        let (lost, told) = watch::channel(None);
        let (settled, dropped) = (Notify::new(), AtomicBool::new(false));
        (Self { connections, clerk: Mutex::new(clerk), born, lost, settled, dropped }, told)
    }

    pub(super) fn now(&self) -> Time {
        Time::ZERO.plus(self.born.elapsed())
    }

    pub(super) fn clerk(&self) -> MutexGuard<'_, Clerk> {
        // Held for a few instructions that do not panic; were it otherwise, it is still whole.
        self.clerk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what was lost, or that it may be; and that it is not so after all.
    fn tell(&self) {
        let loss = self.clerk().loss(self.now());
        self.lost.send_if_modified(|told| {
            let news = *told != loss;
            if news {
                match &loss {
                    Some(loss) => tracing::warn!(%loss, "a session lost something"),
                    None => tracing::info!("a session that was in doubt goes on"),
                }
                told.clone_from(&loss);
            }
            news
        });
    }

    /// A sign of life, and what came of it.
    pub(super) async fn renew(&self) -> (Heard, Option<String>) {
        let (request, asked) = (self.clerk().renew(), self.now());
        let (heard, why) = self.connections.ask(request).await;
        self.clerk().renewed(self.now(), asked, &heard);
        self.tell();
        (heard, why)
    }

    /// Asks once, and what to do next.
    pub(super) async fn attempt(
        &self,
        number: RequestNo,
        request: Request,
    ) -> (Next, Option<String>) {
        let asked = self.now();
        let (heard, why) = self.connections.ask(request).await;
        let next = self.clerk().heard(self.now(), asked, number, heard);
        self.tell();
        (next, why)
    }

    /// Brings to its end what nobody waits for any more: until it is done, or the session is over.
    pub(super) async fn finish(&self, number: RequestNo) {
        let mut left = vec![number];
        while let Some(number) = left.pop() {
            while let Some(request) = self.next_request(number) {
                match self.attempt(number, request).await.0 {
                    Next::Again(pause) => tokio::time::sleep(pause).await,
                    Next::Over(_) => break,
                    Next::Back(more) => {
                        left.extend(more);
                        break;
                    }
                }
            }
            self.settled.notify_waiters();
        }
    }

    /// Nothing, if it is over; or if the session was left to its lease, and that must be over.
    fn next_request(&self, number: RequestNo) -> Option<Request> {
        let now = self.now();
        let mut clerk = self.clerk();
        let left = self.dropped.load(Relaxed) && clerk.is_silent(now);
        if left { None } else { clerk.request(number) }
    }
}

/// Gives signs of life until the session is gone.
pub(super) async fn keep_alive(shared: Arc<Shared>) {
    loop {
        let (due, deadline, lease) = {
            let mut clerk = shared.clerk();
            (clerk.due(shared.now()), clerk.deadline(), clerk.lease())
        };
        shared.tell();
        let Some(at) = deadline else { return };
        if due.is_none() {
            tokio::time::sleep_until(shared.born + at.since(Time::ZERO)).await;
            continue;
        }
        // The call goes on by itself: a late answer counts, and a dead connection is noticed.
        let sign = Arc::clone(&shared);
        let call = tokio::spawn(async move { sign.renew().await });
        let limit = lease.map_or(TRY, |lease: Duration| (lease / 3).min(TRY));
        if tokio::time::timeout(limit, call).await.is_err() {
            shared.clerk().unheard(shared.now());
        }
    }
}
