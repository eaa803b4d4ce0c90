//! How tarpc's messages become frames, and how a stranger's bytes are kept from doing harm.
//!
//! A frame is a length (4 bytes, big-endian, itself not counted) and that many bytes of
//! [`protocol::codec`]. The bytes are tarpc's own message types, with one difference on the way
//! in: tarpc adds a request's time left to the clock *while it decodes*, which panics for a time
//! no clock can hold. So requests are decoded into a mirror of its types that holds the time left
//! as a duration, cut to [`MAX_DEADLINE`], and only then become tarpc's.

use std::{
    io,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tarpc::{ClientMessage, Request, Response, ServerError, trace};
use tokio_util::codec::{Decoder, Encoder};

use crate::{
    limits::{MAX_DEADLINE, READ_BUFFER, WRITE_BOUNDARY},
    rpc::context_until,
};

pub mod frames;

/// Bytes of a frame's length.
const HEAD: usize = 4;

/// Why a connection's bytes were not understood. Each of them ends that connection.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream itself broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
    /// The head of a frame announces more than is allowed.
    #[error("a frame of {announced} bytes was announced, the limit is {limit}")]
    Oversize {
        /// Bytes announced.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// A frame's bytes mean nothing.
    #[error(transparent)]
    Malformed(#[from] protocol::codec::Malformed),
    /// A decoder panicked over a frame's bytes.
    #[error("a decoder panicked")]
    Panicked,
    /// A frame was begun and not finished in time.
    #[error("a frame was not finished in time")]
    Slow,
}

/// A server's end: requests in, answers out.
#[derive(Debug)]
pub struct ServerCodec<Q, R> {
    frames: Frames,
    types: PhantomData<fn(R) -> Q>,
}

impl<Q, R> ServerCodec<Q, R> {
    /// A codec for frames of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { frames: Frames::new(limit), types: PhantomData }
    }
}

impl<Q: DeserializeOwned, R> Decoder for ServerCodec<Q, R> {
    type Item = ClientMessage<Q>;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<ClientMessage<Q>>, FrameError> {
        Ok(self.frames.take::<Incoming<Q>>(from)?.map(Incoming::into_tarpc))
    }

    fn decode_eof(&mut self, from: &mut BytesMut) -> Result<Option<ClientMessage<Q>>, FrameError> {
        let frame = self.decode(from)?;
        end_of_frames(frame, from)
    }
}

impl<Q, R: Serialize> Encoder<Response<R>> for ServerCodec<Q, R> {
    type Error = FrameError;

    /// An answer too big for a frame becomes an error of its call: tarpc would end the whole
    /// connection, and with it every other call on it.
    fn encode(&mut self, answer: Response<R>, into: &mut BytesMut) -> Result<(), FrameError> {
        let Err(error) = self.frames.put(&answer, into) else { return Ok(()) };
        let detail = format!("the answer does not fit a frame: {error}");
        let message = Err(ServerError::new(io::ErrorKind::InvalidData, detail));
        self.frames.put(&Response::<()> { request_id: answer.request_id, message }, into)
    }
}

/// A client's end: requests out, answers in.
#[derive(Debug)]
pub struct ClientCodec<Q, R> {
    frames: Frames,
    types: PhantomData<fn(Q) -> R>,
}

impl<Q, R> ClientCodec<Q, R> {
    /// A codec for frames of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { frames: Frames::new(limit), types: PhantomData }
    }
}

impl<Q, R: DeserializeOwned> Decoder for ClientCodec<Q, R> {
    type Item = Response<R>;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Response<R>>, FrameError> {
        self.frames.take(from)
    }

    fn decode_eof(&mut self, from: &mut BytesMut) -> Result<Option<Response<R>>, FrameError> {
        let frame = self.decode(from)?;
        end_of_frames(frame, from)
    }
}

impl<Q: Serialize, R> Encoder<ClientMessage<Q>> for ClientCodec<Q, R> {
    type Error = FrameError;

    /// A request too big for a frame is an error; tarpc fails that call and goes on.
    fn encode(&mut self, message: ClientMessage<Q>, into: &mut BytesMut) -> Result<(), FrameError> {
        self.frames.put(&message, into)
    }
}

/// Frames of any content.
#[derive(Debug)]
struct Frames {
    limit: usize,
    /// Encoded here first, since a length is written before what it measures. Kept from frame to
    /// frame.
    scratch: Vec<u8>,
}

impl Frames {
    fn new(limit: usize) -> Self {
        Self { limit, scratch: Vec::new() }
    }

    /// Adds a frame to `into`; adds nothing on error.
    fn put<T: Serialize>(&mut self, value: &T, into: &mut BytesMut) -> Result<(), FrameError> {
        self.scratch.clear();
        protocol::codec::encode_into(value, self.limit as u64, &mut self.scratch)?;
        let needed = HEAD + self.scratch.len();
        into.reserve(needed); // Which also shows how much there was all along.
        if into.is_empty() && into.capacity() > 4 * WRITE_BOUNDARY.max(needed) {
            *into = BytesMut::with_capacity(needed); // An earlier frame was big; this one is not.
        }
        into.put_u32(u32::try_from(self.scratch.len()).unwrap_or(u32::MAX));
        into.put_slice(&self.scratch);
        if self.scratch.capacity() > READ_BUFFER {
            // A thousand connections that once sent something big must not hold on to it.
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// Takes the first frame out of `from`, if all of it is there.
    fn take<T: DeserializeOwned>(&mut self, from: &mut BytesMut) -> Result<Option<T>, FrameError> {
        let Some(head) = from.first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > self.limit {
            return Err(FrameError::Oversize { announced: length, limit: self.limit });
        }
        let whole = HEAD + length;
        let Some(frame) = from.get(HEAD..whole) else {
            // Room grows with what really came, not with what a stranger announced.
            from.reserve((whole - from.len()).min(from.len().max(READ_BUFFER)));
            return Ok(None);
        };
        let limit = self.limit as u64;
        let value = catch_unwind(AssertUnwindSafe(|| protocol::codec::decode(frame, limit)))
            .map_err(|_| FrameError::Panicked)??;
        from.advance(whole);
        if from.is_empty() && from.capacity() > 2 * READ_BUFFER {
            *from = BytesMut::with_capacity(READ_BUFFER);
        }
        Ok(Some(value))
    }
}

fn end_of_frames<T>(frame: Option<T>, rest: &BytesMut) -> Result<Option<T>, FrameError> {
    match frame {
        None if !rest.is_empty() => Err(FrameError::Truncated),
        frame => Ok(frame),
    }
}

/// The mirror of tarpc's [`ClientMessage`], field by field.
#[derive(Deserialize)]
enum Incoming<Q> {
    Request(IncomingRequest<Q>),
    Cancel { trace_context: trace::Context, request_id: u64 },
}

/// The mirror of tarpc's [`Request`].
#[derive(Deserialize)]
struct IncomingRequest<Q> {
    context: IncomingContext,
    id: u64,
    message: Q,
}

/// The mirror of tarpc's request context.
#[derive(Deserialize)]
struct IncomingContext {
    time_left: Duration,
    trace_context: trace::Context,
}

impl<Q> Incoming<Q> {
    fn into_tarpc(self) -> ClientMessage<Q> {
        match self {
            Self::Request(IncomingRequest { context, id, message }) => {
                let deadline = Instant::now() + context.time_left.min(MAX_DEADLINE);
                let mut clamped = context_until(deadline);
                clamped.trace_context = context.trace_context;
                ClientMessage::Request(Request { context: clamped, id, message })
            }
            Self::Cancel { trace_context, request_id } => {
                ClientMessage::Cancel { trace_context, request_id }
            }
        }
    }
}

#[cfg(test)]
mod tests;
