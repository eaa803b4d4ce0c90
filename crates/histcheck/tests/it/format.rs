//! The history file: what is written is what is read, and nothing else is accepted.

use histcheck::{Action, Answer, Error, Header, Operation, Outcome, Step, Verb, Writer, read};

use crate::store::{Mix, Rng, history};

/// One operation of each kind and spelling, in the format's own words.
const GOLDEN: &str = include_str!("../data/golden.jsonl");

fn written(header: &Header, operations: &[Operation]) -> String {
    let mut writer = Writer::new(Vec::new(), header).expect("memory can be written");
    for operation in operations {
        writer.record(operation).expect("memory can be written");
    }
    String::from_utf8(writer.finish().expect("memory can be written")).expect("JSON is UTF-8")
}

#[test]
fn the_golden_file_is_read_and_written_byte_for_byte() {
    let history = read(GOLDEN.as_bytes()).expect("the golden file is well formed");
    let header = history.header.clone().expect("it begins with a header");
    assert_eq!(header.seed, Some(42));
    assert_eq!(written(&header, &history.operations), GOLDEN);

    let key = |text: &str| text.as_bytes().to_vec();
    let put = Action::Put { key: key("a"), value: key("x") };
    let put = Operation::asked(17, 3, 1_200_345, put).answered(1_310_200, Answer::Done);
    assert_eq!(history.operations[0], put.at_version(9));
    let bytes = Action::Append { key: key("a"), value: vec![0xFF, 0x00] };
    assert_eq!(history.operations[1], Operation::asked(18, 4, 1_200_400, bytes));
    let steps = vec![
        Step { verb: Verb::Append, key: key("k1"), with: "7".into() },
        Step { verb: Verb::Read, key: key("k2"), with: vec!["3", "5"].into() },
    ];
    let txn = Operation::asked(20, 5, 1_500_000, Action::Txn { steps });
    assert_eq!(history.operations[3], txn.answered(1_502_000, Answer::Done));
    let missing = &history.operations[4];
    assert_eq!(missing.outcome, Outcome::Ok(Answer::Value(None)));
}

#[test]
fn histories_survive_the_trip() {
    for seed in 0..20 {
        let mut operations = history(Mix { versions: true, ..Mix::ALL }, seed);
        let mut rng = Rng::new(seed);
        for operation in &mut operations {
            if let Action::Put { key, value } = &mut operation.action {
                key.push(rng.next() as u8);
                value.extend_from_slice(&rng.next().to_le_bytes());
            }
        }
        let text = written(&Header::default(), &operations);
        assert_eq!(read(text.as_bytes()).expect("just written").operations, operations);
    }
}

#[test]
fn a_history_needs_no_header_and_may_have_blank_lines() {
    let body: String = GOLDEN.lines().skip(1).map(|line| format!("{line}\r\n\n")).collect();
    let history = read(body.trim_end().as_bytes()).expect("well formed");
    assert_eq!(history.header, None);
    assert_eq!(history.operations, read(GOLDEN.as_bytes()).expect("well formed").operations);
}

#[test]
fn malformed_lines_are_named() {
    let good = r#"{"id":1,"client":1,"call":1,"return":2,"op":"delete","key":"k","outcome":"ok"}"#;
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let bad = [
        ("no JSON", "nonsense".into()),
        ("not UTF-8", change("\"k\"", "{\"b64\":\"?\"}")),
        ("a number for a key", change("\"k\"", "7")),
        ("no key", change(",\"key\":\"k\"", "")),
        ("no client", change("\"client\":1,", "")),
        ("negative time", change("\"call\":1", "\"call\":-1")),
        ("answered before asked", change("\"call\":1", "\"call\":3")),
        ("answered at no time", change("\"return\":2", "\"return\":null")),
        ("unheard-of outcome", change("\"ok\"", "\"maybe\"")),
        ("unheard-of operation", change("delete", "destroy")),
        ("a get without result", change("delete", "get")),
        ("a put without value", change("delete", "put")),
        ("a cas without expect", change("\"delete\"", "\"cas\",\"value\":\"x\",\"swapped\":true")),
        ("a cas without answer", change("\"delete\"", "\"cas\",\"value\":\"x\",\"expect\":null")),
        ("a transaction without steps", change("delete", "txn")),
        ("a step of two parts", change("\"delete\"", "\"txn\",\"ops\":[[\"r\",\"k\"]]")),
        ("an unknown verb", change("\"delete\"", "\"txn\",\"ops\":[[\"x\",\"k\",1]]")),
        ("a header further down", "{\"synod_history\":1}".into()),
    ];
    for (what, line) in bad {
        let text = format!("{good}\n{line}\n{good}\n");
        match read(text.as_bytes()) {
            Err(Error::Line { line: 2, .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    let newer = read("{\"synod_history\":2}\n".as_bytes()).expect_err("a format of the future");
    assert!(newer.to_string().contains("format 2"), "{newer}");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let mut rng = Rng::new(9);
    for _ in 0..3_000 {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len());
            match rng.below(3) {
                0 => bytes[at] = rng.next() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(history) = read(bytes.as_slice()) {
            let limit = std::time::Duration::from_secs(60);
            assert!(
                history.operations.len() >= histcheck::check(&history.operations, limit).counts.ok
            );
        }
    }
}
