//! Bytes held still: each form on disk and on the wire beside its name in a file that people read.
//!
//! A line is `name: hex`, with a run of many zeros written as `00*N`; a line that begins with `#`
//! says what follows. `cargo xtask golden` rewrites the files from what the code does now
//! (`UPDATE_GOLDENFILES=1`); whoever does that signs that old bytes are still understood.

use std::{fmt::Write as _, fs, path::PathBuf};

/// Zeros in a row from which on they are counted instead of written.
const RUN: usize = 16;

/// One golden file, and what a test says must be in it.
pub struct Golden {
    path: PathBuf,
    text: String,
    names: Vec<String>,
}

impl Golden {
    /// The file at `path`; `manifest` is the `CARGO_MANIFEST_DIR` of the crate under test.
    #[must_use]
    pub fn new(manifest: &str, path: &str) -> Self {
        let path = PathBuf::from(manifest).join(path);
        Self { path, text: String::new(), names: Vec::new() }
    }

    /// Says what follows.
    pub fn about(&mut self, comment: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{gap}# {comment}");
    }

    /// This name has these bytes.
    ///
    /// # Panics
    ///
    /// If the name was used before.
    pub fn hold(&mut self, name: &str, bytes: &[u8]) {
        assert!(!self.names.iter().any(|used| used == name), "{name} is there twice");
        self.names.push(name.to_owned());
        let _ = writeln!(self.text, "{name}: {}", hex(bytes));
    }

    /// Each of `values` has the bytes that `encode` makes of it, under the name of its variant,
    /// numbered where it comes more than once; `decode` gives the same value back. `variants` is
    /// what [`variants!`](crate::variants) made: each of them must be among the values.
    ///
    /// # Panics
    ///
    /// If a variant has no value, or a value does not come back as it was.
    pub fn hold_all<T: PartialEq + std::fmt::Debug>(
        &mut self,
        values: &[T],
        (name, all): (fn(&T) -> &'static str, &[&str]),
        encode: impl Fn(&T) -> Vec<u8>,
        decode: impl Fn(&[u8]) -> T,
    ) {
        for wanted in all {
            let there = values.iter().any(|value| name(value) == *wanted);
            assert!(there, "{wanted} has no golden bytes: add a value of it");
        }
        for (at, value) in values.iter().enumerate() {
            let bytes = encode(value);
            assert_eq!(decode(&bytes), *value, "its bytes mean something else");
            let earlier = values[..at].iter().filter(|other| name(other) == name(value)).count();
            match earlier {
                0 => self.hold(name(value), &bytes),
                earlier => self.hold(&format!("{} {}", name(value), earlier + 1), &bytes),
            }
        }
    }

    /// Compares with the file, or rewrites it if that was asked for.
    ///
    /// # Panics
    ///
    /// With the first line that differs.
    pub fn end(self) {
        if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
            if let Some(dir) = self.path.parent() {
                fs::create_dir_all(dir).expect("the directory of golden files");
            }
            return fs::write(&self.path, &self.text).expect("a golden file");
        }
        let path = self.path.display();
        let held = fs::read_to_string(&self.path)
            .unwrap_or_else(|error| panic!("{path}: {error}; `cargo xtask golden` makes it"));
        for (held, now) in held.lines().zip(self.text.lines()) {
            assert_eq!(
                held, now,
                "{path} says otherwise: whoever changes these bytes has changed a format, and \
                 must raise its version"
            );
        }
        assert_eq!(held.lines().count(), self.text.lines().count(), "{path} has more or less");
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros >= RUN {
            let _ = write!(text, " 00*{zeros} ");
            rest = &rest[zeros..];
        } else {
            let _ = write!(text, "{first:02x}");
            rest = behind;
        }
    }
    text.trim().to_owned()
}

/// The names of an enum's variants: a function that names a value, and the list of all. A variant
/// that is not listed does not compile; a listed one must have golden bytes.
#[macro_export]
macro_rules! variants {
    ($type:ty: $($name:literal => $pattern:pat),+ $(,)?) => {{
        fn name(value: &$type) -> &'static str {
            match value { $($pattern => $name),+ }
        }
        (name as fn(&$type) -> &'static str, &[$($name),+][..])
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_in_a_row_are_counted() {
        assert_eq!(hex(&[0, 1, 0xFF]), "0001ff");
        assert_eq!(hex(&[&[7][..], &[0; 20], &[8]].concat()), "07 00*20 08");
        assert_eq!(hex(&[0; 16]), "00*16");
    }

    #[test]
    #[should_panic(expected = "no golden bytes")]
    fn a_variant_without_bytes_is_noticed() {
        let variants = crate::variants!(Option<u8>: "some" => Some(_), "none" => None);
        let mut golden = Golden::new("", "never");
        golden.hold_all(&[Some(1)], variants, |it| it.iter().copied().collect(), |b| Some(b[0]));
    }
}
