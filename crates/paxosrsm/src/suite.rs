//! What every [`Agreement`] and every [`StateMachine`] must do. The test of an implementation is
//! one call.

mod bench;

mod promises;

mod tape;

use bytes::Bytes;
use protocol::{Lsn, NodeId};

use bench::Bench;
pub use tape::{Length, Tape, Text};

use crate::{
    agreement::{Agreement, Index},
    machine::{Coded, Image, StateMachine},
};

/// How many settled positions an agreement under test may keep behind a snapshot, at most: the
/// suite must be able to leave a member further behind than that.
pub const TRAILING: u64 = 8;

/// Checks everything an agreement promises, with `members` driven side by side, deterministically
/// and without a clock. `recover` is the agreement of one member: its seed, what the layer above
/// has applied already, and the records of its earlier lives. It must keep at most [`TRAILING`]
/// positions behind a snapshot, and refuse a past that does not reach back to what was applied.
///
/// # Panics
///
/// If a promise is broken.
pub fn agreement<A: Agreement>(
    members: &[NodeId],
    recover: impl Fn(NodeId, u64, Index, Vec<(Lsn, A::Record)>) -> Result<A, String>,
) {
    let new = || Bench::new(members, &recover);
    promises::commands_come_in_order_each_once(new());
    promises::nothing_is_answered_before_it_is_durable(new());
    promises::a_query_sees_everything_acknowledged(new());
    promises::recovery_hands_out_the_rest(new());
    promises::a_snapshot_replaces_what_the_log_forgets(new());
    promises::a_past_with_a_hole_is_refused(new());
    promises::too_large_is_refused_and_nothing_else_suffers(new());
    if members.len() > 1 {
        promises::who_is_far_behind_installs_a_snapshot(new());
        promises::a_crash_between_snapshot_and_shortening_strands_nobody(new());
    }
}

/// Checks everything a machine promises, on a run of `commands` applied to `fresh`, with all of
/// `queries` asked now and then. What neither of them shows is not checked: the suite is as good as
/// what it is given.
///
/// # Panics
///
/// If a promise is broken.
pub fn machine<M>(fresh: impl Fn() -> M, commands: &[M::Command], queries: &[M::Query])
where
    M: StateMachine,
    M::Command: Clone,
{
    commands.iter().for_each(|command| a_form_means_one_thing::<M::Command>(&command.to_bytes()));
    queries.iter().for_each(|query| a_form_means_one_thing::<M::Query>(&query.to_bytes()));
    equal_commands_give_equal_images(&fresh, commands);
    a_restored_machine_goes_on_as_if_nothing_had_happened(&fresh, commands, queries);
    a_query_changes_nothing(&fresh, commands, queries);
    an_image_is_of_its_moment(&fresh, commands);
    half_an_image_is_no_image(&fresh, commands);
}

fn run<M: StateMachine>(machine: &mut M, commands: &[M::Command]) -> Vec<Bytes>
where
    M::Command: Clone,
{
    commands.iter().map(|command| machine.apply(command.clone()).to_bytes()).collect()
}

fn image<M: StateMachine>(machine: &M) -> Bytes {
    Bytes::from(machine.freeze().write())
}

/// What the machine shows to all these queries.
fn looks<M: StateMachine>(machine: &M, queries: &[M::Query]) -> Vec<Bytes> {
    let look = |query: &M::Query| {
        let query = M::Query::decode(&query.to_bytes()).expect("a form has a meaning");
        machine.query(query).to_bytes()
    };
    queries.iter().map(look).collect()
}

fn equal_commands_give_equal_images<M: StateMachine>(
    fresh: &impl Fn() -> M,
    commands: &[M::Command],
) where
    M::Command: Clone,
{
    let (mut one, mut other) = (fresh(), fresh());
    for command in commands {
        let command = std::slice::from_ref(command);
        let (said, repeated) = (run(&mut one, command), run(&mut other, command));
        assert_eq!(said, repeated, "equal machines answer one command differently");
        a_form_means_one_thing::<M::Response>(&said[0]);
    }
    assert_eq!(image(&one), image(&other), "equal machines have different images");
}

fn a_restored_machine_goes_on_as_if_nothing_had_happened<M: StateMachine>(
    fresh: &impl Fn() -> M,
    commands: &[M::Command],
    queries: &[M::Query],
) where
    M::Command: Clone,
{
    for cut in 0..=commands.len() {
        let (before, after) = commands.split_at(cut);
        let mut whole = fresh();
        run(&mut whole, before);
        let frozen = image(&whole);
        let mut restored = M::restore(&frozen).expect("an image is an image");
        assert_eq!(image(&restored), frozen, "restored after {cut}: another image");
        let shown = looks(&whole, queries);
        assert_eq!(
            looks(&restored, queries),
            shown,
            "restored after {cut}: it shows another state"
        );
        shown.iter().for_each(a_form_means_one_thing::<M::Answer>);
        assert_eq!(run(&mut restored, after), run(&mut whole, after), "restored after {cut}");
        assert_eq!(image(&restored), image(&whole), "restored after {cut}, then the rest");
    }
}

fn a_query_changes_nothing<M: StateMachine>(
    fresh: &impl Fn() -> M,
    commands: &[M::Command],
    queries: &[M::Query],
) where
    M::Command: Clone,
{
    let (mut asked, mut left_alone) = (fresh(), fresh());
    for command in commands {
        let command = std::slice::from_ref(command);
        looks(&asked, queries);
        assert_eq!(run(&mut asked, command), run(&mut left_alone, command), "a query left a trace");
    }
    assert_eq!(image(&asked), image(&left_alone), "a query left a trace");
}

fn an_image_is_of_its_moment<M: StateMachine>(fresh: &impl Fn() -> M, commands: &[M::Command])
where
    M::Command: Clone,
{
    let (before, after) = commands.split_at(commands.len() / 2);
    let mut machine = fresh();
    run(&mut machine, before);
    let (at_once, later): (Image, Image) = (machine.freeze(), machine.freeze());
    let at_once = at_once.write();
    run(&mut machine, after);
    assert_eq!(later.write(), at_once, "an image changed after its moment");
}

fn half_an_image_is_no_image<M: StateMachine>(fresh: &impl Fn() -> M, commands: &[M::Command])
where
    M::Command: Clone,
{
    let mut machine = fresh();
    run(&mut machine, commands);
    let whole = image(&machine);
    for cut in 0..whole.len() {
        // Whatever a part means, reading it is harmless, and it does not mean the whole.
        if let Some(part) = M::restore(&whole.slice(..cut)) {
            assert_ne!(image(&part), whole, "cut at {cut}, and it reads as the whole");
        }
    }
}

/// Checks that `form` is a form of a `T`, and that none of its beginnings is taken for it.
///
/// # Panics
///
/// If it is not so.
pub fn a_form_means_one_thing<T: Coded>(form: &Bytes) {
    let value = T::decode(form).expect("a form has a meaning");
    assert_eq!(value.to_bytes(), form, "it was read and written again: other bytes");
    for cut in 0..form.len() {
        // A beginning may mean something of its own, but then exactly that.
        if let Some(part) = T::decode(&form.slice(..cut)) {
            assert_eq!(part.to_bytes(), form.slice(..cut), "cut at {cut}");
        }
    }
}
