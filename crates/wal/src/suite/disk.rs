//! What every implementation of [`Disk`] must do.

use std::io::ErrorKind;

use crate::Disk;
use crate::disk::{read_whole, write_atomically};

/// How often the rules about a sudden end are tried: a disk that forgets by chance gets as many
/// chances.
const ROUNDS: u8 = 32;

/// Bytes in two sectors and a bit, so that no rule rests on whole sectors.
const SOME: usize = 1100;

/// Runs every rule on one implementation. `reopen` gives the same disk each time, to its next
/// owner: it is called for the first time on an empty disk, and later when the value before was
/// dropped. What happens in between is the caller's choice: the end of a process, or a power cut
/// where one can be had. Whatever was synced must be there either way, and what was not synced may
/// be there or not.
///
/// It does not prove that a sync outlives the power: only a `reopen` that really cuts it does.
/// Failing calls are not provoked.
///
/// # Panics
///
/// With the broken rule.
pub fn disk_conformance<D: Disk>(mut reopen: impl FnMut() -> D) {
    {
        let disk = reopen();
        assert_eq!(names(&disk), [""; 0], "the suite begins on an empty disk");
        assert!(!disk.place().is_empty(), "a place has a name, for messages");
        names_are_opened_and_created_as_asked(&disk);
        bytes_are_where_they_were_written(&disk);
        a_file_stays_itself_when_names_change(&disk);
        for name in names(&disk) {
            disk.remove(&name).expect("a name that was listed");
        }
        disk.sync_dir().expect("a healthy disk");
    }
    what_was_synced_is_there(&mut reopen);
    a_renaming_happened_or_did_not(&mut reopen);
    what_was_removed_stays_removed(&mut reopen);
}

fn names(disk: &dyn Disk) -> Vec<String> {
    disk.list().expect("a healthy disk")
}

fn whole(disk: &dyn Disk, name: &str) -> Vec<u8> {
    read_whole(disk, name).unwrap_or_else(|error| panic!("{name} cannot be read: {error}"))
}

/// A file with these bytes, synced; its name is not.
fn written(disk: &dyn Disk, name: &str, bytes: &[u8]) {
    let file = disk.open(name, true).expect("a new name");
    file.write_at(0, bytes).expect("a healthy disk");
    file.sync().expect("a healthy disk");
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn names_are_opened_and_created_as_asked(disk: &dyn Disk) {
    assert_eq!(kind(disk.open("b", false)), Some(ErrorKind::NotFound), "nothing is called so yet");
    for name in ["b", "a", "c-1", "C", "a.tmp"] {
        written(disk, name, name.as_bytes());
    }
    assert_eq!(names(disk), ["C", "a", "a.tmp", "b", "c-1"], "all names, sorted");
    assert_eq!(kind(disk.open("b", true)), Some(ErrorKind::AlreadyExists), "the name is taken");
    assert_eq!(whole(disk, "b"), b"b", "a refused creation changes nothing");

    disk.rename("a", "b").expect("both names are there");
    assert_eq!(names(disk), ["C", "a.tmp", "b", "c-1"], "one name for another");
    assert_eq!(whole(disk, "b"), b"a", "the name stands for the other file now");
    assert_eq!(kind(disk.rename("a", "b")), Some(ErrorKind::NotFound), "no such name any more");
    assert_eq!(whole(disk, "b"), b"a", "a refused renaming changes nothing");

    disk.remove("b").expect("the name is there");
    assert_eq!(kind(disk.open("b", false)), Some(ErrorKind::NotFound), "it was removed");
    assert_eq!(kind(disk.remove("b")), Some(ErrorKind::NotFound), "it was removed before");
    let again = disk.open("b", true).expect("the name is free again");
    assert_eq!(again.size().expect("a healthy disk"), 0, "a new file of an old name is empty");
}

fn bytes_are_where_they_were_written(disk: &dyn Disk) {
    let file = disk.open("bytes", true).expect("a new name");
    file.write_at(10, b"middle").expect("a healthy disk");
    assert_eq!(file.size().expect("a healthy disk"), 16, "it is as long as its last byte says");
    assert_eq!(whole(disk, "bytes"), b"\0\0\0\0\0\0\0\0\0\0middle", "a hole reads as zeros");
    file.write_at(12, b"--").expect("a healthy disk");
    file.write_at(16, &[7; SOME]).expect("a healthy disk");
    file.write_at(0, b"front").expect("a healthy disk");
    assert_eq!(file.size().expect("a healthy disk"), 16 + SOME as u64, "only the end moves it");

    // What one handle writes, every handle reads, synced or not.
    let other = disk.open("bytes", false).expect("it was created");
    let mut seen = [0; 16];
    other.read_at(0, &mut seen).expect("it is long enough");
    assert_eq!(&seen, b"front\0\0\0\0\0mi--le");
    let mut tail = vec![0; SOME];
    other.read_at(16, &mut tail).expect("it is long enough");
    assert!(tail.iter().all(|byte| *byte == 7), "a long write is whole");
    let past = other.read_at(17, &mut tail);
    assert_eq!(kind(past), Some(ErrorKind::UnexpectedEof), "no bytes behind the end are made up");
    other.sync().expect("a healthy disk");
}

fn a_file_stays_itself_when_names_change(disk: &dyn Disk) {
    let file = disk.open("first", true).expect("a new name");
    file.write_at(0, b"1").expect("a healthy disk");
    disk.rename("first", "second").expect("the name is there");
    let stranger = disk.open("first", true).expect("the name is free");
    stranger.write_at(0, b"a stranger").expect("a healthy disk");
    file.write_at(1, b"2").expect("it is open");
    file.sync().expect("it is open");
    assert_eq!(whole(disk, "second"), b"12", "a handle follows its file, not the name");
    assert_eq!(whole(disk, "first"), b"a stranger");
}

/// Bytes of one round, different from those of every other.
fn of_round(round: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| round ^ (at % 251) as u8).collect()
}

fn what_was_synced_is_there<D: Disk>(reopen: &mut impl FnMut() -> D) {
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let disk = reopen();
        if round > 0 {
            let there = whole(&disk, "log").starts_with(&expected);
            assert!(there, "synced bytes are there, whatever was written behind them");
        } else {
            written(&disk, "log", b"");
            disk.sync_dir().expect("a healthy disk");
        }
        let file = disk.open("log", false).expect("its name was synced");
        let more = of_round(round, SOME);
        file.write_at(expected.len() as u64, &more).expect("a healthy disk");
        file.sync().expect("a healthy disk");
        expected.extend_from_slice(&more);
        // Behind the end, and never synced: whether it is there does not matter.
        file.write_at(expected.len() as u64, &[round; SOME]).expect("a healthy disk");
    }
    reopen().remove("log").expect("its name was synced");
}

fn a_renaming_happened_or_did_not<D: Disk>(reopen: &mut impl FnMut() -> D) {
    let mut old = of_round(0, SOME);
    {
        let disk = reopen();
        write_atomically(&disk, "place", &old).expect("a healthy disk");
    }
    for round in 1..ROUNDS {
        let new = of_round(round, SOME - usize::from(round));
        let disk = reopen();
        assert_eq!(whole(&disk, "place"), old, "a synced renaming is there");
        // Everything but the last sync.
        let _ = disk.remove("place.new");
        written(&disk, "place.new", &new);
        disk.rename("place.new", "place").expect("both names are there");
        assert_eq!(whole(&disk, "place"), new);
        drop(disk);
        let disk = reopen();
        let found = whole(&disk, "place");
        assert!(found == old || found == new, "a renaming leaves the old file or the new one");
        old = of_round(round | 0x80, SOME);
        write_atomically(&disk, "place", &old).expect("a healthy disk");
    }
    reopen().remove("place").expect("its name was synced");
}

fn what_was_removed_stays_removed<D: Disk>(reopen: &mut impl FnMut() -> D) {
    for round in 0..ROUNDS {
        let disk = reopen();
        assert!(!names(&disk).iter().any(|name| name == "gone"), "a synced removal is there");
        assert_eq!(round > 0, names(&disk).iter().any(|name| name == "kept"), "a synced name");
        if round > 0 {
            assert_eq!(whole(&disk, "kept"), of_round(round - 1, SOME));
        }
        let _ = disk.remove("kept");
        written(&disk, "kept", &of_round(round, SOME));
        written(&disk, "gone", b"soon");
        disk.sync_dir().expect("a healthy disk");
        disk.remove("gone").expect("the name is there");
        disk.sync_dir().expect("a healthy disk");
    }
}
