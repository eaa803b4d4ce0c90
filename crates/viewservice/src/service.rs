//! The wire contract of the view service.

use crate::{
    message::{Join, Joined, Ping, Pong, Refused, Status},
    view::View,
};

/// What servers and clients ask.
#[tarpc::service]
pub trait Views {
    /// A name for a new life. A server's connection only.
    async fn join(join: Join) -> Result<Joined, Refused>;
    /// A sign of life, with what is new. A server's connection only.
    async fn ping(ping: Ping) -> Result<Pong, Refused>;
    /// The view in force.
    async fn get() -> View;
    /// How the world looks from there.
    async fn status() -> Status;
}
