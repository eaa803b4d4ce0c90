//! Acceptance 8.1-1 to 8.1-14, in virtual time. An interval is 100 ms; a server that was not heard
//! for five of them is dead.

use protocol::Time;
use viewservice::{Ping, Role, Stuck};

use crate::scene::Scene;

#[test]
fn s8_1_01_before_any_ping_there_is_no_primary() {
    let mut scene = Scene::new();
    assert_eq!(scene.seen(), (0, 0, 0));
    scene.pass(10_000);
    assert_eq!(scene.seen(), (0, 0, 0), "looking does not volunteer");
    assert_eq!(scene.status().stuck, Some(Stuck::Nobody));
    scene.try_join(1).expect("a name");
    assert_eq!(scene.seen(), (0, 0, 0), "a name alone activates nothing");
    scene.end("s8_1_01_before_any_ping_there_is_no_primary", "view 0 after 10 s of looking");
}

#[test]
fn s8_1_02_the_first_ping_makes_a_primary() {
    let mut scene = Scene::new();
    scene.fresh(1);
    assert_eq!(scene.seen(), (1, 1, 0));
    scene.end("s8_1_02_the_first_ping_makes_a_primary", "in the answer to that very ping");
}

#[test]
fn s8_1_03_an_acknowledged_view_gets_a_backup() {
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.ping(1, 1);
    scene.fresh(2);
    scene.intervals(1, &[(1, 1)]);
    assert_eq!(scene.seen(), (2, 1, 2));
    scene.end("s8_1_03_an_acknowledged_view_gets_a_backup", "at the primary's next ping");
}

#[test]
fn s8_1_04_nobody_joins_before_the_acknowledgement_and_then_at_once() {
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.fresh(2);
    for _ in 0..20 {
        scene.pass(100);
        scene.adopt(1, 0);
        scene.adopt(2, 0);
        assert_eq!(scene.seen(), (1, 1, 0), "the primary does not know view 1 yet");
    }
    let told = scene.ping(1, 1);
    assert_eq!((told.number.0, told.role(scene.life(2))), (2, Role::Backup));
    let figure = "nothing for 2 s; then in the answer to the acknowledgement itself";
    scene.end("s8_1_04_nobody_joins_before_the_acknowledgement_and_then_at_once", figure);
}

/// The primary's last ping is at zero; the backup's come at `phase`, and every interval after.
fn takes_over_after(phase: u64) -> u64 {
    let mut scene = Scene::pair();
    scene.ping(1, 2);
    let silent = scene.now;
    scene.pass(phase);
    loop {
        scene.ping(2, 2);
        let passed = scene.now.since(silent).as_millis() as u64;
        match scene.seen() {
            (2, 1, 2) => assert!(passed <= 600, "nobody took over within {passed} ms"),
            (3, 2, 0) => return passed,
            other => panic!("{other:?}"),
        }
        scene.pass(100);
    }
}

#[test]
fn s8_1_05_fail_over_happens_in_time_not_early_and_counts_one() {
    let all: Vec<u64> = (0..100).map(takes_over_after).collect();
    let (first, last) = (all.iter().min().copied(), all.iter().max().copied());
    assert!(first > Some(500), "five intervals are not over: {first:?}");
    assert!(last <= Some(600), "the sixth is over: {last:?}");
    let figure = format!("between {first:?} and {last:?} ms of silence, by the backup's phase")
        .replace("Some(", "")
        .replace(')', "");
    sim::Scenario { seeds: 100, events: 100 * 7, acknowledged: 100, figure }
        .write("s8_1_05_fail_over_happens_in_time_not_early_and_counts_one");
}

#[test]
fn s8_1_06_the_old_primary_comes_back_as_backup() {
    for with_its_stale_number in [false, true] {
        let mut scene = Scene::pair();
        scene.intervals(6, &[(2, 2)]);
        assert_eq!(scene.seen(), (3, 2, 0));
        scene.ping(2, 3);
        if with_its_stale_number {
            let told = scene.ping(1, 2);
            assert_eq!(told.role(scene.life(1)), Role::Idle, "it is told that it is nobody now");
        } else {
            scene.fresh(1);
        }
        scene.intervals(1, &[(2, 3)]);
        assert_eq!(scene.seen(), (4, 2, 1), "stale: {with_its_stale_number}");
        scene.end("s8_1_06_the_old_primary_comes_back_as_backup", "within one interval, one view");
    }
}

#[test]
fn s8_1_07_with_an_idle_server_primary_and_backup_are_replaced_in_one_step() {
    let mut scene = Scene::pair();
    scene.fresh(3);
    scene.intervals(6, &[(3, 0), (2, 2)]);
    assert_eq!(scene.seen(), (3, 2, 3));
    let name = "s8_1_07_with_an_idle_server_primary_and_backup_are_replaced_in_one_step";
    scene.end(name, "one view for both");
}

#[test]
fn s8_1_08_a_primary_that_restarted_is_replaced_although_it_never_missed_a_ping() {
    let mut scene = Scene::pair();
    scene.intervals(3, &[(1, 2), (2, 2)]);
    assert_eq!(scene.fresh(1).number.0, 3, "in the answer to its first ping");
    scene.intervals(1, &[(2, 2)]);
    assert_eq!(scene.seen(), (3, 2, 1));
    let name = "s8_1_08_a_primary_that_restarted_is_replaced_although_it_never_missed_a_ping";
    scene.end(name, "in the answer to its first ping");
}

#[test]
fn s8_1_09_a_backup_that_restarted_gets_a_new_view() {
    let mut scene = Scene::pair();
    let first = scene.life(2);
    scene.fresh(2);
    scene.intervals(1, &[(1, 2)]);
    assert_eq!(scene.seen(), (3, 1, 2));
    assert_ne!(scene.life(2), first);
    let second = scene.life(2);
    assert_eq!(scene.get().role(second), Role::Backup);
    assert_eq!(scene.get().role(first), Role::Idle, "the old life is nobody");
    scene.end("s8_1_09_a_backup_that_restarted_gets_a_new_view", "a new number, the same primary");
}

#[test]
fn s8_1_10_a_silent_backup_is_dropped_or_replaced() {
    let mut scene = Scene::pair();
    scene.intervals(6, &[(1, 2)]);
    assert_eq!(scene.seen(), (3, 1, 0));
    let mut scene = Scene::pair();
    scene.fresh(3);
    scene.intervals(6, &[(3, 0), (1, 2)]);
    assert_eq!(scene.seen(), (3, 1, 3));
    scene.end("s8_1_10_a_silent_backup_is_dropped_or_replaced", "one view in either case");
}

#[test]
fn s8_1_11_an_unacknowledged_view_never_changes() {
    // The backup of view 2 has not everything: its primary adopted the view, and fell silent.
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.ping(1, 1);
    scene.fresh(2);
    scene.ping(1, 1);
    scene.adopt(1, 2);
    for _ in 0..15 {
        scene.intervals(1, &[(2, 2)]);
        assert_eq!(scene.seen(), (2, 1, 2));
    }
    let stuck = scene.status().stuck;
    assert!(matches!(stuck, Some(Stuck::Unacknowledged { .. })), "people are told: {stuck:?}");
    // The acknowledgement comes late; then the primary dies for good.
    scene.ping(1, 2);
    assert_eq!((scene.seen(), scene.status().stuck), ((2, 1, 2), None));
    scene.intervals(6, &[(2, 2)]);
    assert_eq!(scene.seen(), (3, 2, 0), "the change that had to wait");
    let figure = "15 intervals without a change; 6 after a late acknowledgement";
    scene.end("s8_1_11_an_unacknowledged_view_never_changes", figure);
}

#[test]
fn s8_1_12_a_fresh_server_never_becomes_primary() {
    // Both members die after acknowledging; then the new primary dies before acknowledging.
    for promoted in [false, true] {
        let mut scene = Scene::pair();
        let before = if promoted {
            scene.intervals(6, &[(2, 2)]);
            (3, 2, 0)
        } else {
            (2, 1, 2)
        };
        assert_eq!(scene.seen(), before);
        for interval in 0..20 {
            scene.pass(100);
            // It restarts now and then; it never has any data.
            if interval % 5 == 0 {
                scene.fresh(3);
            } else {
                scene.adopt(3, 0);
            }
            assert_eq!(scene.seen(), before);
        }
        let stuck = scene.status().stuck.expect("people are told").to_string();
        for advice in ["let it be heard again", "with its disk", "if it had no disk, the data is"] {
            assert!(stuck.contains(advice), "and what to do: {stuck}");
        }
        let figure = "20 intervals, four lives, after both died and after the heir died";
        scene.end("s8_1_12_a_fresh_server_never_becomes_primary", figure);
    }
}

#[test]
fn s8_1_13_a_server_that_died_is_not_made_backup() {
    let mut scene = Scene::pair();
    // It pings once while it is not needed, and dies.
    scene.fresh(3);
    scene.intervals(3, &[(1, 2), (2, 2)]);
    scene.intervals(6, &[(1, 2)]);
    assert_eq!(scene.seen(), (3, 1, 0), "the backup is gone, and so is the one that came once");
    scene.end("s8_1_13_a_server_that_died_is_not_made_backup", "not heard for two intervals");
}

#[test]
fn s8_1_14_no_view_equals_the_one_before() {
    let mut scene = Scene::pair();
    scene.fresh(3);
    // Noisy: everybody pings, some stale, some with other wishes, for ten seconds.
    for round in 0_u64..100 {
        scene.intervals(1, &[(1, 2), (2, 2), (3, 0)]);
        scene.adopt(2, round % 3);
        scene.ping(3, round % 3);
        assert_eq!(scene.seen(), (2, 1, 2));
    }
    // Silent: nobody says anything for ten seconds, then all are back.
    scene.pass(10_000);
    scene.intervals(5, &[(1, 2), (2, 2), (3, 0)]);
    assert_eq!(scene.seen(), (2, 1, 2));
    // Alone and noisy: there is nobody else to appoint.
    let mut alone = Scene::new();
    alone.fresh(1);
    alone.intervals(100, &[(1, 1)]);
    let lost = Ping { lost_backup: true, installed: true, ..alone.words(1, 1) };
    alone.try_ping(lost).expect("it is listened to");
    assert_eq!(alone.seen(), (1, 1, 0));
    assert!(alone.now > Time::ZERO);
    scene.end("s8_1_14_no_view_equals_the_one_before", "20 s of noise and silence, one view");
}
