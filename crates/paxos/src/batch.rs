//! Many commands in one slot: encoded once, handed to everybody as slices of the same bytes.

use bytes::{BufMut, Bytes, BytesMut};

/// Most commands a batch may claim to hold; more means the bytes are not ours.
const MAX_COMMANDS: u32 = 1 << 20;

/// Packs `commands` behind one another: a count, then each length and its bytes (little endian).
#[must_use]
pub fn pack<'a>(commands: impl ExactSizeIterator<Item = &'a Bytes> + Clone) -> Bytes {
    let size: usize = commands.clone().map(|c| 4 + c.len()).sum();
    let mut packed = BytesMut::with_capacity(4 + size);
    packed.put_u32_le(commands.len() as u32);
    for command in commands {
        packed.put_u32_le(command.len() as u32);
        packed.put_slice(command);
    }
    packed.freeze()
}

/// The commands of a batch, each a slice of it. `None` where the bytes are not a batch.
#[must_use]
pub fn unpack(batch: &Bytes) -> Option<Vec<Bytes>> {
    let mut at = 0;
    let count = read_u32(batch, &mut at)?;
    if count > MAX_COMMANDS || count as usize > batch.len() / 4 {
        return None;
    }
    let mut commands = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let length = read_u32(batch, &mut at)? as usize;
        let end = at.checked_add(length).filter(|end| *end <= batch.len())?;
        commands.push(batch.slice(at..end));
        at = end;
    }
    (at == batch.len()).then_some(commands)
}

fn read_u32(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let field = bytes.get(*at..*at + 4)?;
    *at += 4;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out() {
        let commands = [Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"ccc")];
        assert_eq!(unpack(&pack(commands.iter())).unwrap(), commands);
    }

    #[test]
    fn bytes_that_are_no_batch_are_refused() {
        let whole = pack([Bytes::from_static(b"abc")].iter());
        for cut in 0..whole.len() {
            assert_eq!(unpack(&whole.slice(..cut)), None, "cut at {cut}");
        }
        assert_eq!(unpack(&Bytes::from_static(&[255; 8])), None);
    }
}
