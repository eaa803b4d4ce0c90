//! Two connections to each peer, so that a heartbeat never queues behind a snapshot.

use protocol::NodeId;

use crate::{CallError, Calls};

/// Which of two connections a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Small and urgent: heartbeats, elections.
    Control,
    /// Everything else.
    Bulk,
}

/// Two ways to the same peers.
#[derive(Clone)]
pub struct Lanes<P, Q> {
    /// For [`Lane::Control`].
    pub control: P,
    /// For [`Lane::Bulk`].
    pub bulk: P,
    /// Which one a request takes.
    pub choose: fn(&Q) -> Lane,
}

impl<P, Q, R> Calls<Q, R> for Lanes<P, Q>
where
    P: Calls<Q, R>,
    Q: Send + 'static,
    R: Send + 'static,
{
    fn call(
        &self,
        to: NodeId,
        request: Q,
    ) -> impl Future<Output = Result<R, CallError>> + Send + use<P, Q, R> {
        match (self.choose)(&request) {
            Lane::Control => self.control.call(to, request),
            Lane::Bulk => self.bulk.call(to, request),
        }
    }
}
