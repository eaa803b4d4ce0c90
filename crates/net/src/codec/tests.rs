//! Frames at their limits, and the mirror held up against the original.

use bytes::Bytes;

use super::*;

/// What tarpc itself would send.
fn request(id: u64, time_left: Duration, message: Bytes) -> ClientMessage<Bytes> {
    let context = context_until(Instant::now() + time_left);
    ClientMessage::Request(Request { context, id, message })
}

fn frame(message: ClientMessage<Bytes>) -> BytesMut {
    let mut bytes = BytesMut::new();
    ClientCodec::<Bytes, Bytes>::new(1024).encode(message, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_mirror_reads_what_tarpc_writes() {
    let sent = Bytes::from_static(b"put k v");
    let mut codec = ServerCodec::<Bytes, Bytes>::new(1024);
    let mut bytes = frame(request(7, Duration::from_secs(5), sent.clone()));
    bytes.unsplit(frame(ClientMessage::Cancel {
        trace_context: trace::Context::default(),
        request_id: 7,
    }));

    let Some(ClientMessage::Request(heard)) = codec.decode(&mut bytes).unwrap() else {
        panic!("not a request");
    };
    assert_eq!((heard.id, heard.message), (7, sent));
    let left = heard.context.deadline.duration_since(Instant::now());
    assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5), "{left:?}");
    let cancel = codec.decode(&mut bytes).unwrap();
    assert!(matches!(cancel, Some(ClientMessage::Cancel { request_id: 7, .. })));
    assert!(codec.decode_eof(&mut bytes).unwrap().is_none());
}

/// The bytes of a request whose time left no clock can hold.
pub(crate) fn hostile_deadline(secs: u64, nanos: u32) -> BytesMut {
    let trace = trace::Context::default();
    // Variant 0, then the fields in order: bincode writes nothing else.
    let payload = ((0u8, secs, nanos), (trace, 1u64, Bytes::new()));
    let encoded = protocol::codec::encode(&payload, 1024).unwrap();
    let mut bytes = BytesMut::new();
    bytes.put_u32(encoded.len() as u32);
    bytes.put_slice(&encoded);
    bytes
}

#[test]
fn a_deadline_that_no_clock_can_hold_is_cut_or_refused_and_never_panics() {
    for (secs, nanos) in [(u64::MAX, 0), (i64::MAX as u64, 999_999_999), (61, 0), (1 << 40, 1)] {
        let mut codec = ServerCodec::<Bytes, Bytes>::new(1024);
        let heard = codec.decode(&mut hostile_deadline(secs, nanos)).unwrap();
        let Some(ClientMessage::Request(heard)) = heard else { panic!("not a request") };
        let left = heard.context.deadline.duration_since(Instant::now());
        assert!(left <= MAX_DEADLINE && left > MAX_DEADLINE / 2, "{left:?}");
    }
    let mut codec = ServerCodec::<Bytes, Bytes>::new(1024);
    let overflow = codec.decode(&mut hostile_deadline(u64::MAX, u32::MAX));
    assert!(matches!(overflow, Err(FrameError::Malformed(_))));
    let zero = codec.decode(&mut hostile_deadline(0, 0)).unwrap();
    assert!(matches!(zero, Some(ClientMessage::Request(_))));
}

#[test]
fn a_frame_fits_up_to_its_limit_and_not_beyond() {
    let overhead = frame(request(1, Duration::from_secs(1), Bytes::from(vec![0; 300]))).len() - 304;
    for (excess, fits) in [(-1, true), (0, true), (1, false)] {
        let limit = 300 + overhead;
        let message = Bytes::from(vec![7; (300 + excess) as usize]);
        let mut bytes = BytesMut::new();
        let sent = ClientCodec::<Bytes, Bytes>::new(limit)
            .encode(request(1, Duration::from_secs(1), message.clone()), &mut bytes);
        // The encoded deadline is an integer of variable length, so a byte of slack remains.
        let outside = frame(request(1, Duration::from_secs(1), message));
        if outside.len() - HEAD > limit {
            assert!(!fits || excess == 0);
            assert!(matches!(sent, Err(FrameError::Malformed(_))) && bytes.is_empty());
        } else {
            sent.unwrap();
        }
    }
    for (length, fits) in [(63u32, true), (64, true), (65, false)] {
        let mut bytes = BytesMut::new();
        bytes.put_u32(length);
        let heard = ServerCodec::<Bytes, Bytes>::new(64).decode(&mut bytes);
        assert_eq!(heard.is_ok(), fits, "{heard:?}");
    }
}

#[test]
fn an_announced_length_reserves_no_memory() {
    let mut bytes = BytesMut::with_capacity(READ_BUFFER);
    bytes.put_u32(8 * 1024 * 1024);
    let heard = ServerCodec::<Bytes, Bytes>::new(8 * 1024 * 1024).decode(&mut bytes);
    assert!(matches!(heard, Ok(None)));
    assert!(bytes.capacity() <= 4 * READ_BUFFER, "{}", bytes.capacity());
}

/// What a big frame needed is given back when the next frame is written: every connection that ever
/// carried a big value would hold on to it otherwise.
#[test]
fn a_big_frame_leaves_no_big_buffer_behind() {
    let mut codec = ClientCodec::<Bytes, Bytes>::new(4 << 20);
    let mut bytes = BytesMut::new();
    let mut write = |size: usize| {
        let message = request(1, Duration::from_secs(5), Bytes::from(vec![7; size]));
        codec.encode(message, &mut bytes).unwrap();
        let capacity = bytes.capacity();
        bytes.advance(bytes.len()); // It was flushed.
        capacity
    };
    assert!(write(1 << 20) > 1 << 20);
    assert!(write(100) <= 4 * WRITE_BOUNDARY);
}

#[test]
fn an_answer_too_big_becomes_an_error_of_its_call() {
    let mut bytes = BytesMut::new();
    let mut server = ServerCodec::<Bytes, Bytes>::new(256);
    let big = Response { request_id: 3, message: Ok(Bytes::from(vec![0; 257])) };
    server.encode(big, &mut bytes).unwrap();
    let heard = ClientCodec::<Bytes, Bytes>::new(256).decode(&mut bytes).unwrap().unwrap();
    assert_eq!(heard.request_id, 3);
    assert!(heard.message.unwrap_err().detail.contains("does not fit a frame"));
    assert!(bytes.is_empty(), "nothing of the big answer was left behind");
}

#[test]
fn every_truncation_is_noticed() {
    let whole = frame(request(1, Duration::from_secs(1), Bytes::from_static(b"0123456789")));
    for cut in 1..whole.len() {
        let mut codec = ServerCodec::<Bytes, Bytes>::new(1024);
        let mut bytes = BytesMut::from(whole.get(..cut).unwrap());
        assert!(codec.decode(&mut bytes).unwrap().is_none());
        assert!(matches!(codec.decode_eof(&mut bytes), Err(FrameError::Truncated)), "at {cut}");
    }
}

/// A type whose decoder panics, as a stranger's bytes once made tarpc's.
#[derive(Debug)]
struct Bomb;

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("set off on purpose by a test");
    }
}

#[test]
fn a_decoder_that_panics_costs_one_connection() {
    let mut bytes = frame(request(1, Duration::from_secs(1), Bytes::new()));
    let heard = ServerCodec::<Bomb, Bytes>::new(1024).decode(&mut bytes);
    assert!(matches!(heard, Err(FrameError::Panicked)));
}
