//! What is replicated: a machine that turns commands into responses, the same ones everywhere.

use std::fmt;

use bytes::Bytes;

/// A value that has a form in bytes of its own. Decoding is total: whatever a stranger sent, it
/// answers `None` rather than panic, and keeps slices of the bytes it was given instead of copies.
pub trait Coded: Sized {
    /// Adds its bytes to `into`.
    fn encode(&self, into: &mut Vec<u8>);

    /// The value that exactly these bytes mean.
    fn decode(bytes: &Bytes) -> Option<Self>;

    /// Its bytes.
    fn to_bytes(&self) -> Bytes {
        // Room for the small ones, which are most, in one piece.
        let mut bytes = Vec::with_capacity(32);
        self.encode(&mut bytes);
        Bytes::from(bytes)
    }
}

/// A deterministic machine. Equal machines given equal commands stay equal and answer equally:
/// no clock, no chance, no order that differs from run to run, no failure that is not a response.
pub trait StateMachine: Sized {
    /// What changes it.
    type Command: Coded;
    /// What a change answers.
    type Response: Coded + Clone;
    /// What only looks at it.
    type Query: Coded;
    /// What a look shows.
    type Answer: Coded;

    /// Changes the machine. Total: a command that makes no sense has a response that says so.
    fn apply(&mut self, command: Self::Command) -> Self::Response;

    /// Looks at it.
    fn query(&self, query: Self::Query) -> Self::Answer;

    /// A view of the state as it is now, to be written down later and elsewhere.
    fn freeze(&self) -> Image;

    /// The machine that was frozen into these bytes; `None` if they are not an image of it.
    fn restore(image: &Bytes) -> Option<Self>;
}

/// A state as it was at one moment, not yet written out: the slow part runs on another thread.
pub struct Image(Box<dyn FnOnce() -> Vec<u8> + Send>);

impl Image {
    /// An image that `write` will produce. It must not depend on anything that changes later.
    #[must_use]
    pub fn new(write: impl FnOnce() -> Vec<u8> + Send + 'static) -> Self {
        Self(Box::new(write))
    }

    /// Its bytes. Equal states have equal bytes.
    #[must_use]
    pub fn write(self) -> Vec<u8> {
        (self.0)()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Image")
    }
}

/// A 64-bit fingerprint of bytes, chained onto `before`. Not for secrets; equal replicas have equal
/// ones, and unequal ones differ but for an accident in 2^64.
#[must_use]
pub fn fingerprint(before: u64, bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let mix = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(MIX);
    // Four chains side by side: every replica does this to every byte of every command, and one
    // chain would wait for its own multiplications.
    let seed = (before ^ bytes.len() as u64).wrapping_mul(MIX);
    let mut lanes = [seed, seed.rotate_left(16), seed.rotate_left(32), seed.rotate_left(48)];
    let mut blocks = bytes.chunks_exact(32);
    for block in &mut blocks {
        for (lane, part) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = mix(*lane, word(part));
        }
    }
    let mut hash = lanes.into_iter().fold(seed, mix);
    for byte in blocks.remainder() {
        hash = mix(hash, u64::from(*byte));
    }
    hash ^ (hash >> 32)
}

/// Reads fields off the front of bytes. Every step is checked: what is not there is `None`.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    #[must_use]
    pub fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number of eight bytes, little endian.
    pub fn u64(&mut self) -> Option<u64> {
        let end = self.at.checked_add(8)?;
        let field = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(u64::from_le_bytes(field.try_into().ok()?))
    }

    /// A length of four bytes and as many bytes: a slice of what is read, not a copy.
    pub fn bytes(&mut self) -> Option<Bytes> {
        let end = self.at.checked_add(4)?;
        let length = u32::from_le_bytes(self.bytes.get(self.at..end)?.try_into().ok()?) as usize;
        let stop = end.checked_add(length).filter(|stop| *stop <= self.bytes.len())?;
        self.at = stop;
        Some(self.bytes.slice(end..stop))
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(self) -> Bytes {
        self.bytes.slice(self.at..)
    }

    /// `value`, if nothing is left over.
    pub fn end<T>(self, value: T) -> Option<T> {
        (self.at == self.bytes.len()).then_some(value)
    }
}

/// Adds a length of four bytes and the bytes.
///
/// # Panics
///
/// If they are 4 GiB or more; the limits of every layer lie far below.
pub fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("no field comes near 4 GiB");
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(bytes);
}
