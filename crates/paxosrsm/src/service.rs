//! The wire contract between replicas, besides that of their agreement.

use crate::{
    agreement::Refused,
    message::{Chunk, Done, Piece, Query, Submit},
};

/// What replicas ask each other.
#[tarpc::service]
pub trait Replica {
    /// A client asked me, and you lead: do this.
    async fn submit(submit: Submit) -> Result<Done, Refused>;
    /// A client asked me, and you lead: show this.
    async fn query(query: Query) -> Result<Done, Refused>;
    /// I lack what your snapshot holds: a piece of it, please.
    async fn chunk(chunk: Chunk) -> Piece;
}
