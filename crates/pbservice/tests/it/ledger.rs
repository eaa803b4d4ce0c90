//! What clients did and heard, for the judge.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use histcheck::{Action, Answer, Operation, check};
use pbservice::{Client, Error};
use tokio::time::Instant;

/// Longer than the judge takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The operations of all clients, on one clock.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    began: Instant,
    ids: AtomicU64,
    done: Mutex<Vec<Operation>>,
}

/// A client whose every word is written down.
pub struct Witness {
    client: Client,
    ledger: Ledger,
    /// Under which number the judge knows it; another one after each request that nobody knows
    /// the end of.
    name: u64,
}

impl Ledger {
    pub fn new() -> Self {
        let began = Instant::now();
        Self(Arc::new(Shared { began, ids: AtomicU64::new(1), done: Mutex::default() }))
    }

    pub fn witness(&self, client: Client) -> Witness {
        Witness { client, ledger: self.clone(), name: self.id() }
    }

    fn id(&self) -> u64 {
        self.0.ids.fetch_add(1, Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_nanos()).expect("less than centuries")
    }

    fn write(&self, operation: Operation) {
        self.0.done.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    /// How many operations were answered, and the longest that one took.
    pub fn answered(&self) -> (u64, Duration) {
        let done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        let times = done.iter().filter_map(|it| Some(it.finish? - it.call));
        (times.clone().count() as u64, Duration::from_nanos(times.max().unwrap_or(0)))
    }

    /// Asks the judge.
    ///
    /// # Panics
    ///
    /// If the history is not linearizable, or there was nothing to contradict it.
    pub fn judge(&self) {
        let history = self.0.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = check(&history, PATIENCE);
        assert!(report.passed(), "{report}");
    }
}

impl Witness {
    pub async fn get(&mut self, key: &Bytes) -> Result<Option<Bytes>, Error> {
        let asked = self.asked(Action::Get { key: key.to_vec() });
        let heard = self.client.get(key.clone()).await;
        let told = heard.clone().map(|value| Answer::Value(value.map(|it| it.to_vec())));
        self.wrote(asked, told);
        heard
    }

    pub async fn put(&mut self, key: &Bytes, value: &Bytes) -> Result<(), Error> {
        let asked = self.asked(Action::Put { key: key.to_vec(), value: value.to_vec() });
        let heard = self.client.put(key.clone(), value.clone()).await;
        self.wrote(asked, heard.clone().map(|()| Answer::Done));
        heard
    }

    pub async fn append(&mut self, key: &Bytes, value: &Bytes) -> Result<(), Error> {
        let asked = self.asked(Action::Append { key: key.to_vec(), value: value.to_vec() });
        let heard = self.client.append(key.clone(), value.clone()).await;
        self.wrote(asked, heard.clone().map(|()| Answer::Done));
        heard
    }

    pub async fn delete(&mut self, key: &Bytes) -> Result<bool, Error> {
        let asked = self.asked(Action::Delete { key: key.to_vec() });
        let heard = self.client.delete(key.clone()).await;
        self.wrote(asked, heard.clone().map(|_| Answer::Done));
        heard
    }

    fn asked(&self, action: Action) -> Operation {
        Operation::asked(self.ledger.id(), self.name, self.ledger.now(), action)
    }

    fn wrote(&mut self, asked: Operation, heard: Result<Answer, Error>) {
        let now = self.ledger.now();
        self.ledger.write(match heard {
            Ok(answer) => asked.answered(now, answer),
            Err(Error::Unknown) => {
                self.name = self.ledger.id();
                asked
            }
            Err(Error::Unreachable(_) | Error::TooLarge) => asked.refused(now),
        });
    }
}
