//! The same commands in another process: the same image, to the last byte.
//!
//! A replicated machine that iterates a hash map, or lets an address, a clock or chance of its own
//! in, gives each process another image.

use bytes::Bytes;
use kvpaxos::{Command, Expect, Store};
use paxosrsm::{
    Sessions, StateMachine,
    machine::fingerprint,
    sessions::{self, ClientId, RequestNo},
};
use protocol::Rng;

/// Commands applied.
pub const COMMANDS: u64 = 6000;
/// Clients remembered; more than that ask, so some are forgotten.
const SESSIONS: usize = 40;
/// Clients that ask.
const CLIENTS: u64 = 60;
/// Keys in use.
const KEYS: u64 = 200;

/// The machine that is replicated.
pub type Machine = Sessions<Store>;

/// The command at this place of the sequence that `rng` makes.
fn command(rng: &mut Rng, place: u64) -> Command {
    let key = Bytes::from(format!("key {}", rng.below(KEYS)));
    let value = Bytes::from(format!("value {place}"));
    match rng.below(10) {
        0..4 => Command::Put(key, value),
        4..7 => Command::Append(key, value),
        7..9 => Command::Delete(key),
        _ => Command::Cas(key, Expect::Absent, value),
    }
}

/// A machine that was told the sequence of this seed. With `twice`, every command came twice in a
/// row, as it does when an answer got lost.
#[must_use]
pub fn told(seed: u64, twice: bool) -> Machine {
    let mut rng = Rng::new(seed);
    let mut machine = Machine::with_limit(Store::default(), SESSIONS);
    for place in 0..COMMANDS {
        let command = match rng.below(20) {
            0 => sessions::Command::Register,
            _ => sessions::Command::Do {
                client: ClientId(rng.below(CLIENTS + place / 100)),
                request: RequestNo(place + 1),
                command: command(&mut rng, place),
            },
        };
        if twice && command != sessions::Command::Register {
            machine.apply(command.clone());
        }
        machine.apply(command);
    }
    machine
}

/// The image of a machine, whole.
#[must_use]
pub fn image(machine: &Machine) -> Bytes {
    machine.freeze().write().into()
}

/// The length and the fingerprint of the image that the sequence of this seed leads to.
#[must_use]
pub fn of_image(seed: u64) -> String {
    let machine = told(seed, false);
    let image = image(&machine);
    let (keys, clients) = (machine.machine().len(), machine.len());
    format!(
        "{keys} keys, {clients} clients, {} bytes, {:016x}",
        image.len(),
        fingerprint(0, &image)
    )
}
