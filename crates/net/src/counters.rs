//! What happened to a server's connections, in numbers. One per server, never global: many nodes
//! live in one process.

use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{codec::FrameError, hello::HelloError, hello::Refusal};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened to a server's connections. Every closed connection was closed for a
        /// reason that is counted here.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// All counters by name, as they are now.
            #[must_use]
            pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
                BTreeMap::from([$((stringify!($name), self.$name.load(Relaxed)),)*])
            }
        }
    };
}

counters! {
    /// Connections taken from the listener.
    accepted,
    /// Connections open now, those that are just being refused included.
    open,
    /// Connections whose service ended without complaint.
    closed,
    /// Accepts that failed.
    accept_errors,
    /// Dropped unheard: even those who refuse were busy.
    dropped,
    /// Refused: of another cluster.
    refused_cluster,
    /// Refused: of another version.
    refused_version,
    /// Refused: asked for what is not served.
    refused_service,
    /// Refused: too many connections.
    refused_too_many,
    /// Refused: not a member.
    refused_member,
    /// Did not begin as one of ours.
    foreign,
    /// The greeting was malformed or the stream ended in it.
    bad_hello,
    /// The greeting did not come in time.
    slow_hello,
    /// A frame meant nothing.
    malformed,
    /// A frame announced more than its limit.
    oversize,
    /// The stream ended inside a frame.
    truncated,
    /// A frame was not finished in time.
    slow_frame,
    /// The stream broke.
    broken,
    /// A decoder panicked over a frame; the bytes are hostile or a message type has a bug.
    decoder_panics,
    /// A handler or another part of a connection's task panicked. Always a bug of ours.
    panics,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        Self::add(match refusal {
            Refusal::WrongCluster { .. } => &self.refused_cluster,
            Refusal::WrongVersion { .. } => &self.refused_version,
            Refusal::UnknownService => &self.refused_service,
            Refusal::TooMany => &self.refused_too_many,
            Refusal::NotAMember => &self.refused_member,
        });
    }

    pub(crate) fn greeting(&self, error: &HelloError) {
        match error {
            HelloError::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof => {
                Self::add(&self.broken);
            }
            HelloError::Io(_) | HelloError::Malformed => Self::add(&self.bad_hello),
            HelloError::Foreign => Self::add(&self.foreign),
            HelloError::Version { theirs } => {
                self.refused(&Refusal::WrongVersion { ours: *theirs });
            }
            HelloError::Refused(refusal) => self.refused(refusal),
        }
    }

    pub(crate) fn served(&self, outcome: Result<&(), &FrameError>) {
        Self::add(match outcome {
            Ok(()) => &self.closed,
            Err(FrameError::Io(_)) => &self.broken,
            Err(FrameError::Oversize { .. }) => &self.oversize,
            Err(FrameError::Truncated) => &self.truncated,
            Err(FrameError::Malformed(_)) => &self.malformed,
            Err(FrameError::Panicked) => &self.decoder_panics,
            Err(FrameError::Slow) => &self.slow_frame,
        });
    }
}
