//! What is left when the dust has settled: everything acknowledged, once, everywhere, in an order.

use std::{collections::BTreeMap, path::Path, time::Duration};

use histcheck::{Action, Operation, Outcome};
use serde_json::json;

use super::{
    Recorder, Witness,
    input::Input,
    watch::{self, PATIENCE, Together},
    workload::{SHARED_KEYS, is_own, own_key},
};
use crate::{
    cli::Format,
    failure::{Exit, Failure},
    print,
    store::Connections,
};

/// How long a history may be pondered.
const PONDER: Duration = Duration::from_secs(60);

/// An answer sooner than this after a kill was on its way before it: no replica seeks election
/// sooner than 20 ms after its leader is gone.
const ON_ITS_WAY: u64 = 15_000_000;

/// One node stopped without warning.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// When, on the record's clock.
    pub at: u64,
    /// Whether it led, and somebody else could.
    pub led: bool,
}

/// Everything the judge is told.
pub struct Case<'a> {
    /// What was heard.
    pub recorder: &'a std::rc::Rc<Recorder>,
    /// Connections to all nodes.
    pub connections: &'a Connections,
    /// What was loaded before.
    pub input: Option<&'a Input>,
    /// How many clients worked.
    pub clients: usize,
    /// From when to when.
    pub worked: (u64, u64),
    /// What was done to the nodes.
    pub kills: &'a [Kill],
    /// From which everything random was drawn.
    pub seed: u64,
    /// The command that repeats all this.
    pub command: &'a str,
    /// Where the nodes' data is.
    pub dir: &'a Path,
    /// Whether it stays there: somebody named the directory. Otherwise it stays only if
    /// something does not hold.
    pub kept: bool,
}

/// How one check came out: `Err` with what is wrong.
type Finding = Result<(), String>;

/// What came out.
pub struct Verdict {
    checks: Vec<(&'static str, Finding)>,
    ops: usize,
    unknown: usize,
    max_unavailable_ms: f64,
    failovers_ms: Vec<f64>,
    kills: usize,
    seconds: f64,
}

impl Verdict {
    /// Waits for the replicas to settle, looks at every key, and judges.
    pub async fn of(case: &Case<'_>) -> Self {
        let mut witness = Witness::new(case.recorder, case.connections, case.seed ^ 0xFEED);
        let input = match case.input {
            Some(input) => Some(match input.first_missing(&mut witness).await {
                None => Ok(()),
                Some(key) => Err(format!("{key:?} does not hold what was loaded")),
            }),
            None => None,
        };
        let durable = all_present(case, &mut witness).await;
        for place in 0..SHARED_KEYS {
            witness.value(format!("shared/{place:02}").as_bytes(), PATIENCE).await;
        }
        let equal = match watch::wait_until_equal(case.connections).await {
            Some(Together { same: true, .. }) => Ok(()),
            Some(Together { same: false, point }) => Err(format!("{point}, yet states differ")),
            None => Err("not all have caught up".to_owned()),
        };
        let operations = case.recorder.operations().clone();
        // Its own thread: the search is long work, and the runtime has none to spare.
        let judged = tokio::task::spawn_blocking(move || linearizable(&operations)).await;
        let (linearizable, unknown) =
            judged.unwrap_or_else(|error| (Err(format!("the checker stopped: {error}")), 0));
        let acknowledged = case.recorder.acknowledged();
        let mut checks = vec![("linearizable", linearizable), ("durable", durable)];
        checks.extend(input.map(|finding| ("input_present", finding)));
        checks.push(("replicas_equal", equal));
        Self {
            checks,
            ops: case.recorder.operations().len(),
            unknown,
            max_unavailable_ms: longest_silence(&acknowledged, case.worked) as f64 / 1e6,
            failovers_ms: failovers(&acknowledged, case.kills),
            kills: case.kills.len(),
            seconds: (case.worked.1 - case.worked.0) as f64 / 1e9,
        }
    }

    /// Whether everything holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|(_, finding)| finding.is_ok())
    }

    /// The checks that failed, by name.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.checks.iter().filter(|(_, finding)| finding.is_err()).map(|(check, _)| *check)
    }

    /// Prints it, its last line being the verdict, and ends with the fitting exit code.
    ///
    /// # Errors
    ///
    /// If something does not hold.
    pub fn deliver(&self, case: &Case<'_>, format: Format) -> Result<(), Failure> {
        for (check, finding) in &self.checks {
            if let Err(why) = finding {
                eprintln!("{check}: {why}");
            }
        }
        match format {
            Format::Json => print::json(&self.json(case))?,
            Format::Table | Format::Plain => self.print(case)?,
        }
        if self.passed() { Ok(()) } else { Err(Failure::told(Exit::Failed)) }
    }

    /// Whether the data is worth keeping, or somebody wants it kept.
    fn keeps(&self, case: &Case<'_>) -> bool {
        case.kept || !self.passed()
    }

    fn word(&self) -> &'static str {
        if self.passed() { "pass" } else { "fail" }
    }

    fn json(&self, case: &Case<'_>) -> serde_json::Value {
        let checks: BTreeMap<_, _> =
            self.checks.iter().map(|(check, finding)| (*check, mark(finding))).collect();
        json!({
            "verdict": self.word(), "seed": case.seed, "ops": self.ops, "unknown": self.unknown,
            "max_unavailable_ms": self.max_unavailable_ms, "checks": checks,
            "seconds": self.seconds, "clients": case.clients, "kills": self.kills,
            "leader_kills": self.failovers_ms.len(),
            "failover_ms": {
                "p50": share(&self.failovers_ms, 0.5), "p99": share(&self.failovers_ms, 0.99),
                "max": share(&self.failovers_ms, 1.0),
            },
            "dir": self.keeps(case).then_some(case.dir), "repeat": case.command,
        })
    }

    fn print(&self, case: &Case<'_>) -> Result<(), Failure> {
        let (equal, killed) = match case.connections {
            Connections::Kv(_) => ("all replicas hold the same state", "the leader"),
            Connections::Pb(_) => (
                "primary and backup hold the same state",
                "a primary whose backup was to take over",
            ),
        };
        let words = [
            ("linearizable", "one order explains every answer"),
            ("durable", "every acknowledged write is there, exactly once"),
            ("input_present", "what was loaded is there"),
            ("replicas_equal", equal),
        ];
        for (check, finding) in &self.checks {
            let meaning = words.iter().find(|(known, _)| known == check).map_or("", |(_, m)| m);
            let mark = tinted(finding.is_ok(), &format!("{:<6}", mark(finding)));
            print::line(format!("  {:<16}{mark}{meaning}", check.replace('_', " ")))?;
        }
        let show =
            |at| share(&self.failovers_ms, at).map_or("-".to_owned(), |ms| format!("{ms:.0}"));
        print::line(format!(
            "  {} kills, {} of them of {killed}; until the next answer p50 {} ms, p99 {} ms, max {} ms",
            self.kills,
            self.failovers_ms.len(),
            show(0.5),
            show(0.99),
            show(1.0)
        ))?;
        let data = match self.keeps(case) {
            true => format!("data kept in {}", case.dir.display()),
            false => "data removed (--dir keeps it)".to_owned(),
        };
        print::line(format!("  {data}; again: {}", case.command))?;
        print::line(format!(
            "{}: {} operations of {} clients in {:.1} s, {} unknown, never unavailable for more than {:.0} ms (seed {})",
            tinted(self.passed(), self.word()),
            self.ops,
            case.clients,
            self.seconds,
            self.unknown,
            self.max_unavailable_ms,
            case.seed
        ))
    }
}

fn tinted(good: bool, text: &str) -> String {
    let mood = if good { print::Mood::Good } else { print::Mood::Bad };
    print::coloured(&std::io::stdout(), mood, text)
}

fn mark(finding: &Finding) -> &'static str {
    if finding.is_ok() { "pass" } else { "fail" }
}

/// The value that this share of all is not above; none of none.
fn share(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Whether the history is linearizable, and how many outcomes are unknown.
fn linearizable(operations: &[Operation]) -> (Finding, usize) {
    let report = histcheck::check(operations, PONDER);
    let finding = match &report.verdict {
        histcheck::Verdict::Illegal(violation) => Err(violation.to_string()),
        histcheck::Verdict::Unknown(_) => Err("the check came to no end in its time".to_owned()),
        histcheck::Verdict::Ok if report.is_vacuous() => {
            Err("no answer could have been wrong: nothing was tried".to_owned())
        }
        histcheck::Verdict::Ok => Ok(()),
    };
    (finding, report.counts.unknown)
}

/// Whether each client's own key holds each acknowledged token once, in order, and each unknown
/// one at most once.
async fn all_present(case: &Case<'_>, witness: &mut Witness) -> Finding {
    let mut wrong = Vec::new();
    for slot in 0..case.clients as u64 {
        let key = own_key(slot);
        let finding = match witness.value(&key, PATIENCE).await {
            None => Err("nobody could be asked".to_owned()),
            Some(value) => tokens(&case.recorder.operations(), &key, &value.unwrap_or_default()),
        };
        if let Err(why) = finding {
            wrong.push(format!("{}: {why}", print::text(&key)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Compares what a client added to its own key with what is there.
fn tokens(operations: &[Operation], key: &[u8], value: &[u8]) -> Finding {
    let mut found = value.split_inclusive(|byte| *byte == b';').peekable();
    let mut asked: Vec<&Operation> = operations
        .iter()
        .filter(|operation| is_own(key) && operation.key() == Some(key))
        .filter(|operation| matches!(operation.action, Action::Append { .. }))
        .collect();
    asked.sort_by_key(|operation| operation.call);
    // A write of unknown outcome may take effect any time later, even after the next one.
    let mut pending: Vec<&[u8]> = Vec::new();
    for operation in asked {
        let Action::Append { value: token, .. } = &operation.action else { continue };
        match operation.outcome {
            Outcome::Fail => {}
            Outcome::Unknown => pending.push(token),
            Outcome::Ok(_) => loop {
                match found.next() {
                    Some(here) if here == &token[..] => break,
                    Some(here) => match pending.iter().position(|late| *late == here) {
                        Some(at) => drop(pending.swap_remove(at)),
                        None => return Err(format!("{} is out of place", print::text(here))),
                    },
                    None => {
                        return Err(format!("{} was acknowledged and is lost", print::text(token)));
                    }
                }
            },
        }
    }
    for here in found {
        match pending.iter().position(|late| *late == here) {
            Some(at) => drop(pending.swap_remove(at)),
            None => return Err(format!("{} is there once too often", print::text(here))),
        }
    }
    Ok(())
}

/// The longest time within `worked` in which nothing was acknowledged.
fn longest_silence(acknowledged: &[u64], worked: (u64, u64)) -> u64 {
    let within = acknowledged.iter().copied().filter(|at| (worked.0..worked.1).contains(at));
    let mut last = worked.0;
    let mut longest = 0;
    for at in within.chain([worked.1]) {
        longest = longest.max(at - last);
        last = at;
    }
    longest
}

/// For each killed leader, the milliseconds until the next answer that its successor gave.
fn failovers(acknowledged: &[u64], kills: &[Kill]) -> Vec<f64> {
    let led = kills.iter().filter(|kill| kill.led);
    led.filter_map(|kill| {
        let next = acknowledged.partition_point(|at| *at < kill.at + ON_ITS_WAY);
        acknowledged.get(next).map(|at| (at - kill.at) as f64 / 1e6)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use histcheck::{Action, Answer, Operation};

    use super::{Kill, failovers, longest_silence, share, tokens};

    fn appended(id: u64, token: &str) -> Operation {
        let (key, value) = (b"client/000".to_vec(), token.into());
        Operation::asked(id, 1, id, Action::Append { key, value })
    }

    #[test]
    fn a_token_is_there_once_and_an_unknown_one_at_most_once() {
        let done = |id, token| appended(id, token).answered(id, Answer::Done);
        let history =
            [done(1, "a;"), appended(2, "b;"), done(3, "c;"), appended(4, "d;").refused(4)];
        let judge = |value: &str| tokens(&history, b"client/000", value.as_bytes()).is_ok();
        for right in ["a;c;", "a;b;c;", "a;c;b;"] {
            assert!(judge(right), "{right} could be");
        }
        for wrong in ["", "a;", "c;a;", "a;a;c;", "a;b;c;b;", "a;c;d;", "a;c;x;", "b;a;c;a;"] {
            assert!(!judge(wrong), "{wrong} cannot be");
        }
    }

    #[test]
    fn silences_and_failovers_are_measured_from_the_right_moment() {
        assert_eq!(longest_silence(&[1, 12, 15, 40], (10, 30)), 15);
        assert_eq!(longest_silence(&[], (10, 30)), 20);
        let ms = 1_000_000;
        let kills = [Kill { at: 0, led: true }, Kill { at: 50 * ms, led: false }];
        assert_eq!(failovers(&[2 * ms, 90 * ms, 91 * ms], &kills), [90.0]);
        assert_eq!(share(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(share(&[3.0, 1.0, 2.0], 0.99), Some(3.0));
        assert_eq!(share(&[], 0.5), None);
    }
}
