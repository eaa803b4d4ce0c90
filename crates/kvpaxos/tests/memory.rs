//! What the memory of past clients costs. Alone in its program, because it measures the program.

use bytes::Bytes;
use kvpaxos::{Command, Expect, Response, Store, Version};
use paxosrsm::{ClientId, RequestNo, Sessions, StateMachine, sessions};
use sim::Scenario;

const CLERKS: u64 = 100_000;
/// Those that put over a version, of whom nothing is remembered.
const NAMELESS: u64 = 20_000;

/// Resident bytes of this program, where the system says so. A counting allocator would be exact
/// and needs `unsafe`; this one also counts what the allocator keeps back.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What each nameless clerk costs: resident bytes, and bytes of a snapshot of all of them.
fn nameless(key: &Bytes, value: &Bytes) -> (Option<u64>, u64) {
    let mut sessions = Sessions::new(Store::default());
    let put = |expect| sessions::Command::Bare(Command::Cas(key.clone(), expect, value.clone()));
    sessions.apply(put(Expect::Absent));
    let (before, small) = (resident(), sessions.freeze().write().len());
    for version in 1..=NAMELESS {
        let said = sessions.apply(put(Expect::Version(Version(version))));
        assert_eq!(said, sessions::Response::Done(Response::Written(Version(version + 1))));
    }
    let grown = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
    assert!(sessions.is_empty());
    (grown, (sessions.freeze().write().len() - small) as u64)
}

#[test]
fn s8_5_14_records_of_past_clients_cost_little_memory() {
    let (key, value) = (Bytes::from_static(b"k"), Bytes::from(vec![7; 1000]));
    let (grown, larger) = nameless(&key, &value);
    assert!(grown.is_none_or(|bytes| bytes <= 10 * NAMELESS), "{grown:?} bytes for the nameless");
    assert_eq!(larger, 0, "bytes of a snapshot for the nameless");
    let mut sessions = Sessions::new(Store::default());
    let before = resident();
    for clerk in 1..=CLERKS {
        sessions.apply(sessions::Command::Register);
        let command = Command::Put(key.clone(), value.clone());
        let (client, request) = (ClientId(clerk), RequestNo(1));
        sessions.apply(sessions::Command::Do { client, request, command });
    }
    let after = resident();
    assert_eq!((sessions.len() as u64, sessions.machine().len()), (CLERKS, 1));
    let resident = before.zip(after).map(|(before, after)| after.saturating_sub(before) / CLERKS);
    assert!(resident.is_none_or(|bytes| bytes <= 200), "{resident:?} bytes of memory per clerk");
    // In a snapshot exactly: name, number, length and nine of answer.
    let image = sessions.freeze().write();
    let per_clerk = image.len() as u64 / CLERKS;
    assert!(per_clerk <= 29, "{per_clerk} bytes of snapshot per clerk");
    let figure = resident.map_or_else(String::new, |bytes| format!("{bytes} bytes in memory, "));
    let figure = format!("{figure}{per_clerk} in a snapshot per clerk, of 100,000");
    let nameless = grown.map_or_else(String::new, |bytes| format!("; {bytes} bytes"));
    let figure = format!("{figure}{nameless} for all of 20,000 over a version");
    let (events, acknowledged) = (2 * CLERKS + NAMELESS, CLERKS + NAMELESS);
    let scenario = Scenario { seeds: 1, events, acknowledged, figure };
    scenario.write("s8_5_14_records_of_past_clients_cost_little_memory");
}
