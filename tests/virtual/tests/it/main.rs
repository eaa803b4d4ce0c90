//! H-01 for the whole stack: the same seed is the same run, in any process and under any load, and
//! the comparison that says so can fail.
//!
//! A run is a process of `synod-virtual`, which overrides the C library's clock and randomness for
//! itself; this one is left as it is.

mod processes;

use std::{collections::BTreeMap, ops::Range, sync::Mutex, thread};

use processes::{Busy, Run, Surroundings, first_difference, live, trace_of};
use sim::Scenario;

/// Seeds of a whole run, and of a quick one.
const SEEDS: (Range<u64>, Range<u64>) = (0..12, 0..5);
/// Busy loops beside the second run of each seed.
const BUSY: usize = 4;
/// Runs side by side.
const WORKERS: usize = 2;

fn seeds() -> Range<u64> {
    if std::env::var_os("SYNOD_QUICK").is_some() { SEEDS.1 } else { SEEDS.0 }
}

/// Every seed once.
fn all(seeds: &Range<u64>, surroundings: Surroundings) -> BTreeMap<u64, Run> {
    let left = Mutex::new(seeds.clone());
    let done = Mutex::new(BTreeMap::new());
    let next = || left.lock().expect("nobody panics with it").next();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    let run = live(seed, &[], surroundings);
                    done.lock().expect("nobody panics with it").insert(seed, run);
                }
            });
        }
    });
    done.into_inner().expect("nobody panicked with it")
}

#[test]
fn h_01_same_seed_same_hash_in_two_processes() {
    let seeds = seeds();
    let idle = all(&seeds, Surroundings::Plain);
    let loaded = {
        let _busy: Vec<Busy> = (0..BUSY).map(|_| Busy::start()).collect();
        all(&seeds, Surroundings::Other)
    };
    let mut scenario = Scenario::default();
    let mut sums = BTreeMap::<String, u64>::new();
    for (seed, first) in &idle {
        assert!(
            first.well,
            "{}{}\ntrace: {}\nreplay: cargo xtask virtual --seed {seed} --trace",
            first.line,
            first.errors,
            trace_of(*seed)
        );
        let second = &loaded[seed];
        assert_eq!(
            first.line,
            second.line,
            "seed {seed} is another run under load{}\n{}",
            second.errors,
            first_difference(*seed, &[])
        );
        scenario.seeds += 1;
        scenario.events += first.figure("events");
        scenario.acknowledged += first.figure("acknowledged");
        for (name, figure) in &first.figures {
            *sums.entry(name.clone()).or_default() += figure;
        }
    }
    // Weather that did not happen has shown nothing.
    for rare in ["crashes", "cut_syncs", "troubles", "unknown", "snapshots"] {
        assert!(sums[rare] > 0, "no seed had any {rare}: {sums:?}");
    }
    scenario.figure = format!(
        "{} virtual seconds, each twice with the same hash, once beside {BUSY} busy loops: \
         {} power cuts, {} of them inside a sync, {} events of links and disks, {} outcomes unknown",
        sums["virtual_ms"] / 1000,
        sums["crashes"],
        sums["cut_syncs"],
        sums["troubles"],
        sums["unknown"]
    );
    scenario.write("h_01_same_seed_same_hash_in_two_processes");
}

#[test]
fn h_01_a_leak_of_the_real_machine_changes_the_hash() {
    let name = "h_01_a_leak_of_the_real_machine_changes_the_hash";
    let seed = 1;
    let mut scenario = Scenario { seeds: 1, ..Scenario::default() };
    let mut noticed = Vec::new();
    for leak in ["threads", "clock", "addresses"] {
        let [first, second] = [Surroundings::Plain, Surroundings::Other]
            .map(|surroundings| live(seed, &["--leak", leak], surroundings));
        let (one, other) = (first.hash(), second.hash());
        assert_ne!(one, other, "nobody noticed that {leak} leak");
        scenario.events += first.figure("events") + second.figure("events");
        noticed.push(leak);
    }
    scenario.figure = format!("noticed: {}", noticed.join(", "));
    scenario.write(name);
}

#[test]
fn a_trace_is_the_whole_story_and_disturbs_nothing() {
    let seed = 2;
    let plain = live(seed, &[], Surroundings::Plain);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = file.path().to_str().expect("a path in plain letters");
    let traced = live(seed, &["--trace", path], Surroundings::Other);
    assert_eq!(plain.line, traced.line, "reading along changes the run");
    let trace = std::fs::read_to_string(path).expect("a trace was written");
    assert_eq!(trace.lines().count() as u64, plain.figure("events"));
    let last = trace.lines().next_back().unwrap_or_default();
    assert!(last.ends_with(&format!("={}", plain.hash())), "{last}");
}
