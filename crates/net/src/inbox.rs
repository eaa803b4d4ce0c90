//! The bounded door of one core: whoever wants something puts a letter in and waits for a one-shot.

use std::fmt;

use protocol::NodeId;
use tokio::sync::{mpsc, oneshot};

use crate::{Ask, Stop, Stopped};

/// One request, and who waits for its answer.
pub(crate) struct Letter<Q, R> {
    pub(crate) peer: Option<NodeId>,
    pub(crate) request: Q,
    /// `None` if nobody wants to know.
    pub(crate) answer: Option<oneshot::Sender<R>>,
}

/// The core behind an inbox is gone, or it forgot the one who asked. The request may have had its
/// effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the core is gone")]
pub struct Gone;

/// The way in. Cheap to clone; when the last clone is dropped, the core's driver ends.
pub struct Inbox<Q, R> {
    letters: mpsc::Sender<Letter<Q, R>>,
}

/// The core's side of an [`Inbox`], for [`drive`](crate::drive()).
pub struct Post<Q, R> {
    pub(crate) letters: mpsc::Receiver<Letter<Q, R>>,
    pub(crate) stopped: Stopped,
    stop: Stop,
}

/// An inbox with `room` for so many waiting requests, usually
/// [`INBOX`](crate::limits::INBOX).
#[must_use]
pub fn inbox<Q, R>(room: usize) -> (Inbox<Q, R>, Post<Q, R>) {
    let (sender, letters) = mpsc::channel(room);
    let (stop, stopped) = Stop::new();
    (Inbox { letters: sender }, Post { letters, stopped, stop })
}

impl<Q, R> Post<Q, R> {
    /// A handle that ends the driver of this core.
    #[must_use]
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }
}

impl<Q, R> Inbox<Q, R> {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    ///
    /// If the core is gone. Give up by dropping the future: the answer then finds nobody.
    pub async fn request(&self, peer: Option<NodeId>, request: Q) -> Result<R, Gone> {
        let (answer, answered) = oneshot::channel();
        let letter = Letter { peer, request, answer: Some(answer) };
        self.letters.send(letter).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }

    /// Tells the core something and does not wait for its answer, only for room. Nothing happens
    /// if the core is gone.
    pub async fn tell(&self, request: Q) {
        let letter = Letter { peer: None, request, answer: None };
        // A core that is gone has nobody to tell.
        let _ = self.letters.send(letter).await;
    }

    /// The same from a thread that is not part of the runtime, such as one that applies commands.
    ///
    /// # Panics
    ///
    /// If called within the runtime.
    pub fn tell_blocking(&self, request: Q) {
        let letter = Letter { peer: None, request, answer: None };
        let _ = self.letters.blocking_send(letter);
    }

    /// The same from the core's own output sink, which must not wait for a door that only its own
    /// task empties.
    ///
    /// # Errors
    ///
    /// Gives the request back if there is no room or no core.
    pub fn try_tell(&self, request: Q) -> Result<(), Q> {
        let letter = Letter { peer: None, request, answer: None };
        self.letters.try_send(letter).map_err(|error| error.into_inner().request)
    }
}

impl<Q: Send + 'static, R: Send + 'static> Ask<Q, R> for Inbox<Q, R> {
    async fn ask(&self, peer: Option<NodeId>, request: Q) -> R {
        match self.request(peer, request).await {
            Ok(reply) => reply,
            // Nothing true can be said; the caller's deadline tells him.
            Err(Gone) => std::future::pending().await,
        }
    }
}

impl<Q, R> Clone for Inbox<Q, R> {
    fn clone(&self) -> Self {
        Self { letters: self.letters.clone() }
    }
}

impl<Q, R> fmt::Debug for Inbox<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} of {} free)", self.letters.capacity(), self.letters.max_capacity())
    }
}
