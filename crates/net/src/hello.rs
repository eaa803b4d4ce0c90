//! The first frame of each connection, in which both sides say who they are.
//!
//! ```text
//!   magic (8) | version (2, big-endian) | length (2, big-endian) | payload
//! ```
//!
//! The head never changes, so that versions which cannot talk can still say so. A stranger who
//! does not begin with the magic is not answered at all.

use std::io;

use protocol::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limits::{HELLO_FRAME, SERVICE_NAME};

/// The first bytes of every connection.
pub const MAGIC: [u8; 8] = *b"SYNODnet";

/// The version this crate speaks.
pub const VERSION: u16 = 1;

/// Bytes before the payload.
const HEAD: usize = 12;

/// What a caller says of himself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The number every node of one installation shares, so that nodes of two never mix.
    pub cluster: u64,
    /// Which node calls; `None` for a client.
    pub node: Option<NodeId>,
    /// What he wants to talk to.
    pub service: String,
}

/// Why a connection is not wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// He belongs to another installation.
    #[error("this node belongs to cluster {ours}")]
    WrongCluster {
        /// The one he reached.
        ours: u64,
    },
    /// He speaks another version.
    #[error("this node speaks version {ours} of the protocol")]
    WrongVersion {
        /// The one spoken here.
        ours: u16,
    },
    /// Nothing of that name is served here.
    #[error("no such service here")]
    UnknownService,
    /// The server has as many connections as it may have.
    #[error("too many connections")]
    TooMany,
    /// The service is for members, and he is none.
    #[error("not a member")]
    NotAMember,
}

/// Why two sides did not come together.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The stream broke or ended.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
    /// Whoever is there does not speak this protocol.
    #[error("that is no Synod node or client")]
    Foreign,
    /// The payload is longer than a greeting may be, or means nothing.
    #[error("a malformed greeting")]
    Malformed,
    /// The other side speaks another version.
    #[error("the other side speaks version {theirs}")]
    Version {
        /// Which one.
        theirs: u16,
    },
    /// The other side does not want us.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// What a server says: who it is, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    Accepted(NodeId),
    Refused(Refusal),
}

/// The client's side of the greeting: says hello, returns who answered.
///
/// # Errors
///
/// If the stream breaks, the other side is something else, or it refuses. The caller sets the
/// time limit.
pub async fn greet<S>(stream: &mut S, hello: &Hello) -> Result<NodeId, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    write(stream, hello).await?;
    match read(stream).await {
        Ok(Answer::Accepted(node)) => Ok(node),
        Ok(Answer::Refused(refusal)) => Err(HelloError::Refused(refusal)),
        Err(HelloError::Version { theirs }) => {
            Err(HelloError::Refused(Refusal::WrongVersion { ours: theirs }))
        }
        Err(error) => Err(error),
    }
}

/// The server's first half: hears who calls.
///
/// # Errors
///
/// If the stream breaks or what comes is no greeting. The caller sets the time limit.
pub async fn hear<S: AsyncRead + Unpin + ?Sized>(stream: &mut S) -> Result<Hello, HelloError> {
    let hello: Hello = read(stream).await?;
    if hello.service.len() > SERVICE_NAME { Err(HelloError::Malformed) } else { Ok(hello) }
}

/// The server's second half: accepts or refuses.
///
/// # Errors
///
/// If the stream breaks.
pub async fn answer<S>(stream: &mut S, verdict: Result<NodeId, Refusal>) -> Result<(), HelloError>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    let answer = match verdict {
        Ok(me) => Answer::Accepted(me),
        Err(refusal) => Answer::Refused(refusal),
    };
    write(stream, &answer).await
}

async fn write<S, T>(stream: &mut S, value: &T) -> Result<(), HelloError>
where
    S: AsyncWrite + Unpin + ?Sized,
    T: Serialize,
{
    let payload =
        protocol::codec::encode(value, HELLO_FRAME as u64).map_err(|_| HelloError::Malformed)?;
    let length = u16::try_from(payload.len()).map_err(|_| HelloError::Malformed)?;
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&VERSION.to_be_bytes());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&payload);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads exactly one greeting and not a byte more: what follows belongs to the service.
async fn read<S, T>(stream: &mut S) -> Result<T, HelloError>
where
    S: AsyncRead + Unpin + ?Sized,
    T: DeserializeOwned,
{
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(HelloError::Foreign);
    }
    let theirs = stream.read_u16().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > HELLO_FRAME {
        return Err(HelloError::Malformed);
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    if theirs != VERSION {
        return Err(HelloError::Version { theirs });
    }
    protocol::codec::decode(&payload, HELLO_FRAME as u64).map_err(|_| HelloError::Malformed)
}
