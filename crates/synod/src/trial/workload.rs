//! Clients that put, get, append, delete and, where the store can, compare-and-set until they are
//! told to stop.
//!
//! Half of what they write goes to a few keys that all of them share, so that they get into each
//! other's way; the rest is added to a key of each client's own, where every token must be found
//! at the end.

use std::{cell::Cell, rc::Rc, time::Duration};

use histcheck::{Action, Answer, Outcome};
use protocol::Rng;
use tokio::task::JoinHandle;

use super::{Recorder, Witness};
use crate::store::Connections;

/// Keys that all clients share.
pub const SHARED_KEYS: u64 = 64;

/// The longest a client thinks between an answer and its next question.
const THINKING: Duration = Duration::from_millis(4);

/// The beginning of the keys that each client has for itself.
const OWN: &str = "client/";

/// Clients at work. They go on until they are told to stop.
pub struct Workload {
    stop: Rc<Cell<bool>>,
    clients: Vec<JoinHandle<()>>,
    recorder: Rc<Recorder>,
    began: u64,
}

impl Workload {
    /// Sends so many clients to work, in the present `LocalSet`.
    #[must_use]
    pub fn start(
        recorder: &Rc<Recorder>,
        connections: &Connections,
        seed: u64,
        clients: usize,
    ) -> Self {
        let stop = Rc::new(Cell::new(false));
        let rng = Rng::new(seed);
        let tasks = (0..clients as u64).map(|slot| {
            let worker = Worker {
                slot,
                rng: rng.fork(slot + 1),
                witness: Witness::new(recorder, connections, seed ^ (slot * 7919 + 1)),
                written: 0,
                seen: vec![None; SHARED_KEYS as usize],
                compares: matches!(connections, Connections::Kv(_)),
            };
            tokio::task::spawn_local(worker.work(Rc::clone(&stop)))
        });
        let clients = tasks.collect();
        Self { stop, clients, recorder: Rc::clone(recorder), began: recorder.now() }
    }

    /// Lets every client finish what it asked, and tells from when to when they worked.
    pub async fn stop(self) -> (u64, u64) {
        self.stop.set(true);
        // What is still asked may last; being told to stop is the end of the work.
        let ended = self.recorder.now();
        for client in self.clients {
            // A panic in a client has shown its own message, and its missing tokens will speak.
            let _ = client.await;
        }
        (self.began, ended)
    }
}

/// The key that a client has for itself.
#[must_use]
pub fn own_key(slot: u64) -> Vec<u8> {
    format!("{OWN}{slot:03}").into_bytes()
}

/// Whether a key is some client's own.
#[must_use]
pub fn is_own(key: &[u8]) -> bool {
    key.starts_with(OWN.as_bytes())
}

struct Worker {
    slot: u64,
    rng: Rng,
    witness: Witness,
    /// How many values it has written: each is different.
    written: u64,
    /// What it last saw under each shared key.
    seen: Vec<Option<Vec<u8>>>,
    /// Whether the store can compare and set; if not, it puts instead.
    compares: bool,
}

impl Worker {
    async fn work(mut self, stop: Rc<Cell<bool>>) {
        while !stop.get() {
            self.once().await;
            tokio::time::sleep(self.rng.between(Duration::ZERO, THINKING)).await;
        }
    }

    async fn once(&mut self) {
        let place = self.rng.below(SHARED_KEYS);
        let key = format!("shared/{place:02}").into_bytes();
        let value = self.unique();
        let action = match self.rng.below(100) {
            0..30 => Action::Get { key },
            30..50 => Action::Put { key, value },
            50..65 => Action::Append { key, value },
            65..70 => Action::Delete { key },
            70..80 if !self.compares => Action::Put { key, value },
            70..80 => Action::Cas { key, expect: self.seen[place as usize].clone(), value },
            _ => Action::Append { key: own_key(self.slot), value },
        };
        let (outcome, _) = self.witness.ask(action.clone()).await;
        let seen = &mut self.seen[place as usize];
        match (action, outcome) {
            (Action::Get { .. }, Outcome::Ok(Answer::Value(value))) => *seen = value,
            (Action::Put { value, .. }, Outcome::Ok(_)) => *seen = Some(value),
            (Action::Delete { .. }, Outcome::Ok(_)) => *seen = None,
            _ => {}
        }
    }

    fn unique(&mut self) -> Vec<u8> {
        self.written += 1;
        format!("{}.{};", self.slot, self.written).into_bytes()
    }
}
