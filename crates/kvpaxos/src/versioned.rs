//! Writing without a session: a put that names the version it writes over.
//!
//! Nobody has to remember such a put. When it was done the key has another version, and versions
//! never come back, so a repetition finds another one and does nothing. The price is paid by the
//! client: when it had to repeat itself and finds another version, that may be its own.

use crate::{
    client::Error,
    command::{Response, Version},
};

/// Why a put over a version did not answer *done*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// It certainly did not happen: the key has this version.
    #[error("it did not happen: the key has version {}", .0.0)]
    Version(Version),
    /// It certainly did not happen: the key is not there.
    #[error("it did not happen: there is no such key")]
    NoKey,
    /// It was repeated, and then met another version, if any: either an earlier try was done, or
    /// somebody else was faster. Get the key to see which.
    #[error("it may have happened: it was repeated, and the key has another version now")]
    Maybe(Option<Version>),
    /// As with every other operation.
    #[error(transparent)]
    Other(#[from] Error),
}

/// What a response means to a client that put over a version. `repeated` is whether an earlier try
/// of the same put may have been done.
///
/// # Errors
///
/// See [`PutError`].
pub fn verdict(response: &Response, repeated: bool) -> Result<Version, PutError> {
    match response {
        Response::Written(version) => Ok(*version),
        Response::Differs(found) if repeated => Err(PutError::Maybe(*found)),
        Response::Differs(Some(found)) => Err(PutError::Version(*found)),
        Response::Differs(None) => Err(PutError::NoKey),
        Response::TooLarge if !repeated => Err(Error::TooLarge.into()),
        Response::TooLarge | Response::Deleted(_) => Err(Error::Unknown.into()),
    }
}
