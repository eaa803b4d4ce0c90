//! The simplest machine that shows every mistake: it writes down what it is told.

use bytes::Bytes;

use crate::machine::{Coded, Image, Reader, StateMachine, put_bytes};

/// A machine that writes down what it is told: its state is the history of its commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape(pub Vec<Bytes>);

/// Any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Bytes);

/// How many commands are on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub u64);

impl Coded for Text {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0);
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        Some(Self(bytes.clone()))
    }
}

impl Coded for Length {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let length = reader.u64()?;
        reader.end(Self(length))
    }
}

impl StateMachine for Tape {
    type Command = Text;
    type Response = Length;
    type Query = Text;
    type Answer = Length;

    fn apply(&mut self, Text(text): Text) -> Length {
        self.0.push(text);
        Length(self.0.len() as u64)
    }

    fn query(&self, _: Text) -> Length {
        Length(self.0.len() as u64)
    }

    fn freeze(&self) -> Image {
        let frozen = self.0.clone();
        Image::new(move || {
            let mut image = (frozen.len() as u64).to_le_bytes().to_vec();
            frozen.iter().for_each(|text| put_bytes(&mut image, text));
            image
        })
    }

    fn restore(image: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(image);
        let mut tape = Vec::new();
        for _ in 0..reader.u64()? {
            tape.push(reader.bytes()?);
        }
        reader.end(Self(tape))
    }
}
