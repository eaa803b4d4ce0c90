//! What calls look like on the wire, for tests that hold the bytes still.

use std::time::Instant;

use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};
use tarpc::{ClientMessage, Request, Response, trace};
use tokio_util::codec::{Decoder, Encoder};

use super::{ClientCodec, FrameError, ServerCodec};
use crate::{limits::PEER_FRAME, rpc::context_until};

/// The frame of the request `message` with number `id`, by a caller without a trace and without
/// any time left, since no other time is the same twice.
///
/// # Errors
///
/// If it does not fit.
pub fn request_frame<Q: Serialize>(id: u64, message: Q) -> Result<Vec<u8>, FrameError> {
    let mut context = context_until(Instant::now());
    context.trace_context = trace::Context::default();
    put(ClientMessage::Request(Request { context, id, message }))
}

/// The frame that says that nobody waits for request `id` any more.
///
/// # Errors
///
/// None in practice: it is small.
pub fn cancel_frame(id: u64) -> Result<Vec<u8>, FrameError> {
    let trace_context = trace::Context::default();
    put::<()>(ClientMessage::Cancel { trace_context, request_id: id })
}

fn put<Q: Serialize>(message: ClientMessage<Q>) -> Result<Vec<u8>, FrameError> {
    let mut bytes = BytesMut::new();
    ClientCodec::<Q, ()>::new(PEER_FRAME).encode(message, &mut bytes)?;
    Ok(bytes.to_vec())
}

/// The frame of the answer `message` to request `id`.
///
/// # Errors
///
/// If it does not fit.
pub fn answer_frame<R: Serialize>(id: u64, message: R) -> Result<Vec<u8>, FrameError> {
    let mut bytes = BytesMut::new();
    let answer = Response { request_id: id, message: Ok(message) };
    ServerCodec::<(), R>::new(PEER_FRAME).encode(answer, &mut bytes)?;
    Ok(bytes.to_vec())
}

/// The number and the message of the one request in a frame; `None` if it is a cancellation or
/// not all there.
///
/// # Errors
///
/// If its bytes mean nothing.
pub fn request_of<Q: DeserializeOwned>(frame: &[u8]) -> Result<Option<(u64, Q)>, FrameError> {
    let message = ServerCodec::<Q, ()>::new(PEER_FRAME).decode(&mut BytesMut::from(frame))?;
    Ok(match message {
        Some(ClientMessage::Request(request)) => Some((request.id, request.message)),
        _ => None,
    })
}

/// The number and the message of the one answer in a frame; `None` if it is an error or not all
/// there.
///
/// # Errors
///
/// If its bytes mean nothing.
pub fn answer_of<R: DeserializeOwned>(frame: &[u8]) -> Result<Option<(u64, R)>, FrameError> {
    let answer = ClientCodec::<(), R>::new(PEER_FRAME).decode(&mut BytesMut::from(frame))?;
    Ok(answer.and_then(|answer| Some((answer.request_id, answer.message.ok()?))))
}
