//! Text into commands, and commands into words: the same at every prompt and in every script.

/// A quote that nobody has closed: what was given so far means nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open;

/// The commands in `text`, each as its words. A command ends with its line. Words are separated by
/// blanks; `'...'` holds anything but its own quote; `"..."` holds anything, with `\n`, `\t`, `\"`
/// and `\\` for what cannot be typed in it; elsewhere a backslash takes the next character as it
/// is. A line that begins with `#` says nothing.
///
/// # Errors
///
/// If a quote is open at the end: more is to come.
pub fn commands(text: &str) -> Result<Vec<Vec<String>>, Open> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if words.is_empty() && word.is_none() => {
                while rest.next_if(|c| *c != '\n').is_some() {}
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(Open)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => quoted(word.get_or_insert_default(), &mut rest)?,
            // As the first character it belongs to the name of a command: \timing.
            '\\' if words.is_empty() && word.is_none() => word = Some("\\".to_owned()),
            '\\' => {
                // At the end of a line it joins the next one, as everywhere.
                let next = rest.next().ok_or(Open)?;
                if next != '\n' {
                    word.get_or_insert_default().push(next);
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    Ok(commands)
}

/// The rest of a word in double quotes.
fn quoted(word: &mut String, rest: &mut impl Iterator<Item = char>) -> Result<(), Open> {
    loop {
        match rest.next().ok_or(Open)? {
            '"' => return Ok(()),
            '\\' => match rest.next().ok_or(Open)? {
                'n' => word.push('\n'),
                't' => word.push('\t'),
                c @ ('"' | '\\') => word.push(c),
                other => word.extend(['\\', other]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Open, commands};

    #[test]
    fn words_quotes_and_lines() {
        let cases: [(&str, &[&[&str]]); 9] = [
            ("", &[]),
            ("  put  a\tb ", &[&["put", "a", "b"]]),
            ("put a ''", &[&["put", "a", ""]]),
            (r#"put "a b" 'c "d"' e\ f"#, &[&["put", "a b", "c \"d\"", "e f"]]),
            (r#"put a "x\ny\t\"z\"\q""#, &[&["put", "a", "x\ny\t\"z\"\\q"]]),
            ("put a b\n\n# nothing\nget a\n", &[&["put", "a", "b"], &["get", "a"]]),
            ("put a 'x\ny'\nget a", &[&["put", "a", "x\ny"], &["get", "a"]]),
            ("\\timing\nput a#1 #b", &[&["\\timing"], &["put", "a#1", "#b"]]),
            ("put a \\\n  b", &[&["put", "a", "b"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(commands(text).expect("closed"), expected, "{text:?}");
        }
        for open in ["put a 'b", "put a \"b", "put a \"b\\", "put a b\\"] {
            assert_eq!(commands(open), Err(Open), "{open:?}");
        }
    }
}
