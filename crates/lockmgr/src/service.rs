//! The wire contract of the lock service.

use crate::{
    Acquire, Grant, Name, Owner, Release, Terms, Ticket, View,
    message::{Refused, Renewed},
    table::LockView,
};

/// What clients ask.
#[tarpc::service]
pub trait Locks {
    /// A session, please. Asked again, it is another one.
    async fn open(terms: Terms) -> Result<Owner, Refused>;
    /// These locks, please. `None`: not yet, ask again under the same number. Safe to repeat as it
    /// is.
    async fn acquire(acquire: Acquire) -> Result<Option<Vec<Grant>>, Refused>;
    /// This lock is given back. Safe to repeat as it is.
    async fn release(release: Release) -> Result<(), Refused>;
    /// This request waits no longer. If it came too late for that: what is held now.
    async fn cancel(ticket: Ticket) -> Result<Option<Vec<Grant>>, Refused>;
    /// The client of this session lives.
    async fn renew(owner: Owner) -> Result<Renewed, Refused>;
    /// The session is over: all it has is given back. Safe to repeat.
    async fn close(owner: Owner) -> Result<(), Refused>;
    /// Who holds this name, who waits for it?
    async fn look(name: Name) -> Result<Option<LockView>, Refused>;
    /// The names behind this one, or from the first one on.
    async fn view(after: Option<Name>) -> Result<View, Refused>;
}
