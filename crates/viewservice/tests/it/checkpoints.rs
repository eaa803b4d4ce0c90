//! A checkpoint may fall between any two records, and a crash between any two as well.

use viewservice::{Record, ViewService};

use crate::scene::{Scene, node};

/// One ping may save two records, that the view was adopted and that it was replaced. Wherever the
/// checkpoint falls, the log that is left can be read again.
#[test]
fn a_checkpoint_never_stands_inside_a_ping() {
    let mut checkpoints = 0;
    for joins in 990..=1_005 {
        let mut scene = Scene::new();
        scene.fresh(1);
        // An idle server waits for the first view to be adopted, and one ping does both.
        scene.fresh(2);
        for number in 0..joins {
            scene.try_join(3 + number % 7).expect("a name that nobody uses");
        }
        scene.fresh(2);
        let view = scene.ping(1, 1);
        assert_eq!(view.number.0, 2, "the idle server is appointed at once");
        scene.adopt(1, 2);
        let disk = scene.disk().to_vec();
        checkpoints += usize::from(matches!(disk[0].1, Record::Checkpoint(_)));
        for end in 1..=disk.len() {
            let recovered = ViewService::recover(disk[..end].to_vec());
            let recovered = recovered.unwrap_or_else(|why| panic!("{joins} joins, {end}: {why}"));
            assert!(recovered.safety().issued.0 > 0);
        }
        let safety = scene.core().safety().clone();
        scene.restart_service();
        assert_eq!(*scene.core().safety(), safety);
    }
    assert!(checkpoints > 0, "some of these logs were shortened");
}

/// Names that nobody pings under any more make room for others, also if nobody pings at all.
#[test]
fn forgotten_names_make_room_for_a_join() {
    let mut scene = Scene::new();
    for number in 1..=viewservice::MAX_SERVERS as u16 {
        scene.fresh(number);
    }
    assert_eq!(scene.try_join(100), Err(viewservice::Refused::TooMany));
    scene.pass(20_000);
    assert!(scene.try_join(100).is_ok(), "{} is new, and the others are gone", node(100));
}
