//! What a stage prints, made short.

/// Of so many equal letters only the number is shown.
const LONG_RUN: usize = 32;

/// Short forms of what Rust prints.
pub fn plain(text: &str) -> String {
    let mut text = text.replace("-> n0  ", "-> service  ");
    for (long, short) in [
        ("Forward(Forward { ", "Forward { "),
        ("Forwarded(Ok(Forwarded { ", "Forwarded { "),
        ("Forwarded(Err(", "refused: "),
        ("n0 saves Service(", "service saves "),
        ("puts out Server(Adopted(", "adopts "),
        ("puts out Server(", "puts out "),
        ("saves Server(", "saves "),
        ("answers Client(Ok(", "answers "),
        ("answers Client(Err(", "refuses: "),
        ("SessionId(", "("),
        ("RequestNo(", "("),
        ("Seq(", "("),
        ("(b\"", "(\""),
        (" b\"", " \""),
    ] {
        text = text.replace(long, short);
    }
    // What is tried again and again is shown once.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup();
    let lines = lines.into_iter().map(|line| {
        let mut line = line.to_owned();
        // A number in brackets is a number.
        while let Some(at) = line.find('(')
            && let Some(end) = line[at..].find(')')
            && line[at + 1..at + end].chars().all(|it| it.is_ascii_digit())
        {
            let gap = if line[..at].ends_with(char::is_alphabetic) { " " } else { "" };
            line.replace_range(at + end..=at + end, "");
            line.replace_range(at..=at, gap);
        }
        while let Some(run) = long_run(&line) {
            let (letter, length) = (line[run.clone()].chars().next(), run.len());
            line.replace_range(run, &format!("{}*{length}", letter.unwrap_or(' ')));
        }
        // What was opened by a word that was left out is closed by nothing.
        let lost = line.strip_suffix("   LOST").map(str::len);
        let tail = lost.map_or(String::new(), |at| line.split_off(at));
        while line.ends_with(')') && line.matches(')').count() > line.matches('(').count() {
            line.pop();
        }
        format!("{line}{tail}\n")
    });
    lines.collect()
}

/// Where the same letter stands more often in a row than anybody wants to read.
fn long_run(line: &str) -> Option<std::ops::Range<usize>> {
    let bytes = line.as_bytes();
    let mut from = 0;
    for at in 1..=bytes.len() {
        if at < bytes.len() && bytes[at] == bytes[from] {
            continue;
        }
        if at - from > LONG_RUN && bytes[from].is_ascii_alphanumeric() {
            return Some(from..at);
        }
        from = at;
    }
    None
}
