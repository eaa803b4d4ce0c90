//! Base64, the standard alphabet with padding, for bytes that JSON cannot hold as a string.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Three bytes become four letters.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for letter in 0..4 {
            if letter <= chunk.len() {
                let index = group >> (18 - 6 * letter) & 0x3F;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Four letters become three bytes. `None` for anything [`encode`] would not have written, so that
/// equal bytes have one spelling.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let letters = chunk.iter().position(|letter| *letter == b'=').unwrap_or(chunk.len());
        let mut group = 0u32;
        for letter in &chunk[..letters] {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            group = group << 6 | u32::try_from(value).ok()?;
        }
        group <<= 6 * (4 - letters);
        bytes.extend_from_slice(group.to_be_bytes()[1..].get(..letters.checked_sub(1)?)?);
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn every_length_and_byte_survives() {
        for length in 0..300usize {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 256) as u8).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes), "length {length}");
        }
    }

    #[test]
    fn known_spellings() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xFF, 0xFE, 0xFB]), "//77");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["Zg", "Zg=", "Zh==", "=", "====", "Z===", "Zm9v=", "Zm 9", "Zg==Zg==", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
