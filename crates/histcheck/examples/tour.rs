//! A tour of the judge: one honest history, one with a lie, one in which nobody looked.
//!
//! Run it with `cargo run -p histcheck --example tour`.

use std::time::Duration;

use histcheck::{Action, Answer, Header, Operation, Verdict, Writer, check, read};

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), histcheck::Error> {
    let key = || b"colour".to_vec();
    let put = |value: &str| Action::Put { key: key(), value: value.into() };
    let get = || Action::Get { key: key() };
    let saw = |value: &str| Answer::Value(Some(value.into()));

    // Client 1 writes red; client 2 writes blue and never hears whether it arrived; client 3 reads
    // twice. The second write may come as late as it likes, so red and then blue is no lie.
    let honest = vec![
        Operation::asked(1, 1, 100, put("red")).answered(200, Answer::Done),
        Operation::asked(2, 2, 150, put("blue")),
        Operation::asked(3, 3, 300, get()).answered(350, saw("red")),
        Operation::asked(4, 3, 400, get()).answered(450, saw("blue")),
    ];

    // A history travels as one line of JSON per operation.
    let mut writer = Writer::new(Vec::new(), &Header::default())?;
    for operation in &honest {
        writer.record(operation)?;
    }
    let file = writer.finish()?;
    println!("{}", String::from_utf8_lossy(&file));
    let honest = read(file.as_slice())?.operations;
    let report = check(&honest, PATIENCE);
    println!("as recorded: {report}\n");
    assert!(report.passed());

    // The same with a fifth answer: red again, after blue had been seen.
    let mut lie = honest.clone();
    lie.push(Operation::asked(5, 1, 500, get()).answered(550, saw("red")));
    let report = check(&lie, PATIENCE);
    println!("with a lie: {report}\n");
    assert!(matches!(report.verdict, Verdict::Illegal(_)));

    // The same with nobody looking: nothing is wrong, and nothing was checked.
    let report = check(&honest[..2], PATIENCE);
    println!("with nobody looking: {report}");
    assert!(!report.passed());
    Ok(())
}
