//! What must be refused, and that nothing has changed then; and what a service's own restart and
//! a server with its disk may expect.

use protocol::{NodeId, Time};
use viewservice::{
    Incarnation, Join, MAX_ADDR, MAX_SERVERS, Ping, Record, Refused, Reply, Request, Role, Safety,
    ViewNum, ViewService, core::COOLING,
};

use crate::scene::{Scene, node};

/// What can be seen of a service from outside, but for the passing of time.
fn outside(scene: &mut Scene) -> String {
    let mut status = scene.status();
    for server in &mut status.servers {
        server.silent = std::time::Duration::ZERO;
    }
    status.since = std::time::Duration::ZERO;
    format!("{status:?} {}", scene.disk().len())
}

#[test]
fn what_nobody_proved_is_refused() {
    let mut scene = Scene::pair();
    let before = outside(&mut scene);
    let ping = scene.words(2, 2);
    for peer in [None, Some(node(1)), Some(node(9))] {
        let reply = scene.ask(peer, Request::Ping(ping.clone()));
        assert_eq!(reply, Reply::Pong(Err(Refused::Unproven)), "{peer:?}");
        let reply = scene.ask(peer, Request::Join(Join { node: node(2) }));
        assert_eq!(reply, Reply::Joined(Err(Refused::Unproven)), "{peer:?}");
    }
    assert_eq!(outside(&mut scene), before);
}

#[test]
fn what_was_never_issued_is_refused() {
    let mut scene = Scene::pair();
    let before = outside(&mut scene);
    let words = scene.words(1, 2);
    let with = |incarnation: u64| {
        let mut ping = words.clone();
        ping.server.member.incarnation = Incarnation(incarnation);
        ping
    };
    let strange = [
        with(0),
        with(3),
        with(u64::MAX),
        Ping { view: ViewNum(3), ..words.clone() },
        Ping { view: ViewNum(u64::MAX), ..words.clone() },
        Ping { heir: vec![Incarnation(0)], ..words.clone() },
        Ping { heir: vec![Incarnation(3)], ..words.clone() },
    ];
    for ping in strange {
        assert_eq!(scene.try_ping(ping.clone()), Err(Refused::Unknown), "{ping:?}");
    }
    assert_eq!(outside(&mut scene), before);
}

#[test]
fn a_name_that_is_in_use_is_refused_for_a_moment() {
    let mut scene = Scene::pair();
    scene.ping(2, 2);
    let before = outside(&mut scene);
    scene.pass(149);
    assert_eq!(scene.try_join(2), Err(Refused::Taken));
    assert_eq!(outside(&mut scene), before, "no number was burned");
    scene.pass(1);
    assert_eq!(scene.try_join(2), Ok(Incarnation(3)));
    assert_eq!(scene.try_join(2), Ok(Incarnation(4)), "a join that is repeated burns one more");
    assert_eq!(scene.adopt(2, 2).number, ViewNum(2), "who only has a name has not begun to live");
}

#[test]
fn an_earlier_life_is_told_that_it_is_over() {
    let mut scene = Scene::pair();
    let ghost = scene.words(2, 2);
    scene.fresh(2);
    let by = scene.life(2).incarnation;
    assert_eq!(scene.try_ping(ghost.clone()), Err(Refused::Superseded { by }));
    scene.ping(1, 2);
    scene.restart_service();
    // Only the disk remembers now, and the later life is a member of the view.
    assert_eq!(scene.try_ping(ghost), Err(Refused::Superseded { by }));
}

#[test]
fn an_address_is_refused_beyond_its_limit() {
    for (length, expected) in [(255, true), (256, true), (257, false), (100_000, false)] {
        let mut scene = Scene::pair();
        let mut ping = scene.words(2, 2);
        ping.server.addr = "a".repeat(length);
        let before = outside(&mut scene);
        let result = scene.try_ping(ping);
        assert_eq!(result.is_ok(), expected, "{length} of {MAX_ADDR}");
        if !expected {
            assert_eq!(result, Err(Refused::TooLong));
            assert_eq!(outside(&mut scene), before);
        }
    }
}

#[test]
fn one_server_too_many_is_refused_until_another_is_forgotten() {
    let mut scene = Scene::pair();
    let last = MAX_SERVERS as u16;
    for number in 3..=last {
        scene.fresh(number);
    }
    let early = scene.try_join(last + 1);
    assert_eq!(early, Err(Refused::TooMany));
    let before = outside(&mut scene);
    let mut stranger = scene.words(1, 2);
    stranger.server.member.node = NodeId(last + 1);
    assert_eq!(scene.try_ping(stranger), Err(Refused::TooMany));
    assert_eq!(outside(&mut scene), before);
    // The idle ones fall silent for good; the members of the view are never forgotten.
    scene.intervals(101, &[(1, 2), (2, 2)]);
    assert_eq!(scene.status().servers.len(), 2);
    scene.fresh(last + 1);
    assert_eq!(scene.status().servers.len(), 3);
}

#[test]
fn a_backup_that_is_out_of_reach_of_its_primary_is_left_alone_for_a_while() {
    let mut scene = Scene::pair();
    let lost = Ping { lost_backup: true, ..scene.words(1, 2) };
    let told = scene.try_ping(lost).expect("it is listened to");
    assert_eq!((told.number, told.backup), (ViewNum(3), None));
    let cooling = (COOLING.as_millis() / 100) as u32;
    scene.intervals(cooling - 1, &[(2, 2), (1, 3)]);
    assert_eq!(scene.seen(), (3, 1, 0), "it lives, but its primary cannot reach it");
    scene.intervals(2, &[(2, 2), (1, 3)]);
    assert_eq!(scene.seen(), (4, 1, 2), "one more try");
    // Another one is free to try at once.
    scene.fresh(3);
    let lost = Ping { lost_backup: true, ..scene.words(1, 4) };
    scene.try_ping(lost).expect("it is listened to");
    assert_eq!(scene.seen(), (5, 1, 3));
}

#[test]
fn a_primary_that_comes_back_with_its_disk_goes_on() {
    // Before it acknowledged anything: nobody else could have.
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.ping(1, 1);
    scene.fresh(2);
    scene.ping(1, 1);
    scene.ping(2, 2);
    assert_eq!(scene.seen(), (2, 1, 2));
    let told = scene.heir(1);
    assert_eq!((told.number, told.role(scene.life(1))), (ViewNum(3), Role::Primary));
    assert_eq!(told.role(scene.life(2)), Role::Backup, "to be filled anew");
    // After the backup took over it has nothing that counts.
    let mut scene = Scene::pair();
    scene.intervals(6, &[(2, 2)]);
    assert_eq!(scene.heir(1).role(scene.life(2)), Role::Primary);
}

/// A ping that is lost between two restarts must not strand the data.
#[test]
fn an_heir_inherits_from_every_life_of_its_disk() {
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.ping(1, 1);
    let first = scene.life(1).incarnation;
    scene.pass(1000);
    let second = scene.try_join(1).expect("a name");
    // That life never got a ping through.
    let third = scene.try_join(1).expect("a name");
    let mut ping = scene.words(1, 0);
    ping.server.member.incarnation = third;
    let disk_of = |heir| Ping { heir: vec![heir], ..ping.clone() };
    assert_eq!(scene.try_ping(disk_of(second)).map(|view| view.number), Ok(ViewNum(1)));
    let both = Ping { heir: vec![first, second], ..ping.clone() };
    assert_eq!(scene.try_ping(both).map(|view| view.number), Ok(ViewNum(2)));
}

/// A server that was started without its disk, for one life, was somebody else in that life: what
/// its disk has is older than what that life knew.
#[test]
fn an_heir_does_not_inherit_from_a_life_that_was_lived_elsewhere() {
    let mut scene = Scene::pair();
    let disk = scene.life(2).incarnation;
    scene.pass(300);
    scene.fresh(2);
    let elsewhere = scene.life(2).incarnation;
    // That life gets everything, takes over, and serves.
    scene.ping(1, 2);
    scene.ping(1, 3);
    for _ in 0..7 {
        scene.pass(100);
        scene.ping(2, 3);
    }
    assert_eq!(scene.core().view().role(scene.life(2)), Role::Primary);
    scene.ping(2, 4);
    scene.pass(1000);
    let before = scene.core().view().clone();
    let third = scene.try_join(2).expect("a name");
    let mut ping = scene.words(2, 0);
    ping.server.member.incarnation = third;
    let old_disk = Ping { heir: vec![disk], ..ping.clone() };
    assert_eq!(scene.try_ping(old_disk), Ok(before.clone()), "its data is older than the view");
    let disk_of_both = Ping { heir: vec![disk, elsewhere], ..ping };
    assert_eq!(scene.try_ping(disk_of_both).map(|view| view.number), Ok(before.number.next()));
}

#[test]
fn too_many_lives_are_refused() {
    let mut scene = Scene::pair();
    let heir = vec![Incarnation(1); viewservice::MAX_LIVES + 1];
    let ping = Ping { heir, ..scene.words(1, 2) };
    assert_eq!(scene.try_ping(ping), Err(Refused::TooLong));
}

#[test]
fn a_backup_that_comes_back_with_its_disk_takes_over() {
    let again = |scene: &mut Scene, heir| {
        for _ in 0..6 {
            scene.pass(100);
            let ping = Ping { heir: vec![heir], ..scene.words(2, 0) };
            scene.try_ping(ping).expect("it is listened to");
        }
    };
    let mut scene = Scene::pair();
    let heir = scene.life(2).incarnation;
    assert_eq!(scene.heir(2).number, ViewNum(2), "the primary may live still");
    again(&mut scene, heir);
    assert_eq!(scene.seen(), (3, 2, 0));
    // Not from a view that was not acknowledged.
    let mut scene = Scene::new();
    scene.fresh(1);
    scene.ping(1, 1);
    scene.fresh(2);
    scene.ping(1, 1);
    scene.adopt(1, 2);
    let heir = scene.life(2).incarnation;
    scene.heir(2);
    again(&mut scene, heir);
    assert_eq!(scene.seen(), (2, 1, 2));
}

#[test]
fn a_service_that_restarts_rewinds_nothing_and_changes_nothing() {
    let mut scene = Scene::pair();
    scene.fresh(3);
    for _ in 0..5 {
        let before = scene.core().safety().clone();
        scene.restart_service();
        assert_eq!(scene.core().safety(), &before);
        // The members need up to a second to find the way back, and one is quicker.
        scene.pass(300);
        scene.ping(1, 2);
        scene.pass(400);
        scene.intervals(6, &[(1, 2)]);
        scene.ping(2, 2);
        scene.intervals(1, &[(1, 2), (2, 2)]);
        assert_eq!(scene.seen(), (2, 1, 2));
        assert_eq!(scene.try_join(1), Err(Refused::Taken), "its members are taken as just heard");
    }
    // One that does not come back is dead all the same.
    scene.restart_service();
    scene.intervals(16, &[(2, 2)]);
    assert_eq!(scene.seen(), (3, 2, 0));
}

#[test]
fn a_service_that_was_away_takes_nobody_for_dead() {
    let mut scene = Scene::pair();
    // Its machine slept; the first who comes back must not find the other dead.
    for absence in [301, 700, 60_000] {
        scene.pass(absence);
        scene.ping(1, 2);
        scene.pass(50);
        scene.ping(2, 2);
        assert_eq!(scene.seen(), (2, 1, 2), "{absence} ms");
    }
}

#[test]
fn a_log_is_shortened_and_still_the_whole_story() {
    let mut scene = Scene::pair();
    for _ in 0..5_000 {
        scene.try_join(7).expect("a name");
    }
    assert!(scene.disk().len() <= 1_001, "{} records are kept", scene.disk().len());
    let (_, oldest) = &scene.disk()[0];
    assert!(matches!(oldest, Record::Checkpoint(_)), "{oldest:?}");
    let before = scene.core().safety().clone();
    assert_eq!(before.issued, Incarnation(5_002));
    scene.restart_service();
    assert_eq!(scene.core().safety(), &before);
    assert_eq!(scene.try_join(8), Ok(Incarnation(5_003)));
}

#[test]
fn records_that_do_not_fit_together_are_refused() {
    let scene = Scene::pair();
    let records: Vec<_> = scene.disk().to_vec();
    let heavy = |at: &usize| !matches!(records[*at].1, Record::Acked { .. });
    for missing in (0..records.len() - 1).filter(heavy) {
        let mut holed = records.clone();
        holed.remove(missing);
        let error = ViewService::recover(holed).expect_err("a hole is noticed").to_string();
        assert!(error.contains("cannot follow"), "{error}");
    }
    let mut doubled = records.clone();
    doubled.push(records[records.len() - 2].clone());
    assert!(ViewService::recover(doubled).is_err());
    let late = (records[0].0, Record::Checkpoint(Safety::default()));
    let mut rewound = records.clone();
    rewound.push(late);
    assert!(ViewService::recover(rewound).is_err(), "a checkpoint in the middle changes nothing");
    assert!(scene.now == Time::ZERO);
}

#[test]
fn every_refusal_says_why() {
    let all = [
        Refused::Unproven,
        Refused::Superseded { by: Incarnation(7) },
        Refused::Unknown,
        Refused::Taken,
        Refused::TooMany,
        Refused::TooLong,
    ];
    for refused in all {
        let sentence = refused.to_string();
        assert!(sentence.contains(' ') && sentence.len() > 20, "{refused:?}: {sentence}");
    }
    assert!(all[1].to_string().contains('7'));
}
