//! Something that runs until it is told to stop, and leaves nothing behind.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::{FutureExt, task::AtomicWaker};
use tokio::task::{JoinError, JoinHandle};

#[derive(Default)]
struct Shared {
    told: AtomicBool,
    waker: AtomicWaker,
}

/// Tells one task to stop. Cheap to clone; dropping it tells nothing.
#[derive(Clone)]
pub struct Stop(Arc<Shared>);

impl Stop {
    /// A handle and the ear of the task it stops.
    #[must_use]
    pub fn new() -> (Self, Stopped) {
        let shared = Arc::new(Shared::default());
        (Self(Arc::clone(&shared)), Stopped(shared))
    }

    /// Tells the task to stop; it does so between two of its turns.
    pub fn stop(&self) {
        self.0.told.store(true, Ordering::Release);
        self.0.waker.wake();
    }
}

/// The ear that hears a [`Stop`]. Only one task listens.
pub struct Stopped(Arc<Shared>);

impl Stopped {
    /// Whether it is time to stop; if not, the task is woken when it is.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.told.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.0.waker.register(cx.waker());
        // Told in between: the waker above may have been registered too late.
        if self.0.told.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until it is time to stop.
    pub async fn wait(&self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

/// A running task. Dropping the handle ends the task at its next await; [`stop`](Self::stop) lets
/// it finish its turn and waits until it is gone.
pub struct Running<T> {
    stop: Stop,
    task: JoinHandle<T>,
}

impl<T: Send + 'static> Running<T> {
    /// Runs `future`, which ends when it hears `stop`, on the current runtime.
    pub fn spawn(stop: Stop, future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { stop, task: tokio::spawn(future) }
    }
}

impl<T> Running<T> {
    /// A handle that tells this task to stop, for others to keep.
    #[must_use]
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Tells the task to stop and waits until it is gone, with everything it had spawned.
    ///
    /// # Errors
    ///
    /// If it panicked.
    pub async fn stop(mut self) -> Result<T, JoinError> {
        self.stop.stop();
        (&mut self.task).await
    }

    /// Waits until the task ends by itself.
    ///
    /// # Errors
    ///
    /// If it panicked.
    pub async fn ended(&mut self) -> Result<T, JoinError> {
        (&mut self.task).await
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs `future`, and ends the whole process if it panics.
///
/// A core, a log or a state machine that panicked is in a state nobody has thought about; a node
/// that went on with it would be the one thing worse than a node that is gone. Servers wrap the
/// tasks that drive such things in this; tests leave it out and see the panic.
pub async fn abort_on_panic<T>(what: &str, future: impl Future<Output = T>) -> T {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(value) => value,
        Err(panic) => {
            let why = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            eprintln!("{what} panicked ({why}); the process ends, since its state is unknown");
            std::process::abort();
        }
    }
}
