//! Hosts that run the shipped client, and what its users heard.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use histcheck::{Action, Answer, Operation};
use kvpaxos::{Client, Connections, Error as Refusal, Expect};
use net::Network;
use protocol::Rng;
use tokio::time::sleep;

use crate::{
    network::Virtual,
    node::{addrs, nodes},
    story::{Story, now},
};

/// Client hosts.
pub(crate) const HOSTS: u64 = 2;
/// Users on each.
const USERS: u64 = 3;
/// Keys that are only appended to, and as many that are put, compared and deleted.
const KEYS: u64 = 6;
/// Operations that each user must have acknowledged after the weather has cleared.
const AFTER: u64 = 10;
/// How long an operation is tried for.
const BUDGET: Duration = Duration::from_secs(3);
/// How long a user thinks between two operations, at most.
const THINK: Duration = Duration::from_millis(20);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// What all users of a run heard. Clones are the same record.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Book>>);

/// What is in a [`Record`].
#[derive(Default)]
pub(crate) struct Book {
    /// Every operation that ended.
    pub(crate) history: Vec<Operation>,
    /// Operations that were answered.
    pub(crate) acknowledged: u64,
    /// Operations whose outcome nobody knows.
    pub(crate) unknown: u64,
    /// What each key holds at the end.
    pub(crate) last: BTreeMap<String, Option<Bytes>>,
    /// The state of the servers at the end, as all of them said.
    pub(crate) digest: Option<u64>,
    /// Snapshots that the servers said were durable at the end.
    pub(crate) snapshots: u64,
    operations: u64,
    names: u64,
    idle: u64,
}

impl Record {
    /// The book, while nobody else writes in it.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client host needs.
#[derive(Clone)]
pub(crate) struct Office {
    pub(crate) number: u64,
    pub(crate) cluster: u64,
    pub(crate) rng: Rng,
    pub(crate) record: Record,
    pub(crate) story: Story,
    /// When the weather clears.
    pub(crate) clear: Duration,
}

/// The name of a client host.
pub(crate) fn host(number: u64) -> String {
    format!("c{number}")
}

/// The name of a key that is only appended to.
fn appended(number: u64) -> String {
    format!("a{number}")
}

/// The name of a key with which anything may be done.
fn mixed(number: u64) -> String {
    format!("m{number}")
}

impl Office {
    /// Every user works until the weather is clear and everybody was served again. On the first
    /// host somebody then reads every key and compares the servers.
    ///
    /// # Errors
    ///
    /// If something that must work does not.
    pub(crate) async fn live(self) -> Result<(), Box<dyn Error>> {
        let network: Arc<dyn Network> = Arc::new(Virtual::new(&host(self.number), &self.story));
        let seed = self.rng.fork(0).next_u64();
        let connections = Connections::new(network, self.cluster, addrs(), seed);
        let users = (0..USERS).map(|user| {
            let rng = self.rng.fork(user + 1);
            tokio::spawn(User::new(&self, &connections, rng).work(self.clear))
        });
        for user in users.collect::<Vec<_>>() {
            user.await?;
        }
        if self.number == 0 {
            while self.record.book().idle < HOSTS * USERS {
                sleep(LOOK).await;
            }
            let mut user = User::new(&self, &connections, self.rng.fork(USERS + 1));
            for key in (0..KEYS).flat_map(|key| [appended(key), mixed(key)]) {
                let value = user.insist(&key).await;
                self.record.book().last.insert(key, value);
            }
            self.compare(&connections).await;
        }
        Ok(())
    }

    /// Waits until all servers have applied the same and say that they are the same.
    async fn compare(&self, connections: &Connections) {
        loop {
            let mut digests = Vec::new();
            for node in nodes() {
                digests.extend(connections.digest(node).await.ok());
            }
            let all = digests.len() == nodes().count();
            if all && digests.iter().all(|digest| digest.applied == digests[0].applied) {
                self.story.tell(now(), format_args!("digests {digests:?}"), &[]);
                let same = digests.iter().all(|digest| digest.state == digests[0].state);
                self.record.book().digest = same.then_some(digests[0].state);
                break;
            }
            sleep(LOOK).await;
        }
        for node in nodes() {
            if let Ok(status) = connections.status(node).await {
                self.record.book().snapshots += u64::from(status.replica.snapshot.0 > 0);
            }
        }
    }
}

/// What a user is told about one operation.
enum Told {
    Done(Answer, Option<u64>),
    Nothing,
    No,
}

/// Somebody who asks one thing after the other.
struct User {
    client: Client,
    rng: Rng,
    record: Record,
    story: Story,
    /// What the user is called in the history: another name after each unknown outcome.
    name: u64,
    /// What the user last saw of each mixed key.
    seen: BTreeMap<String, Option<Bytes>>,
}

impl User {
    fn new(office: &Office, connections: &Connections, rng: Rng) -> Self {
        let mut client = Client::new(connections.clone(), rng.fork(0).next_u64());
        client.budget = BUDGET;
        let (record, story) = (office.record.clone(), office.story.clone());
        let name = Self::name(&record);
        Self { client, rng, record, story, name, seen: BTreeMap::new() }
    }

    fn name(record: &Record) -> u64 {
        let mut book = record.book();
        book.names += 1;
        book.names
    }

    async fn work(mut self, clear: Duration) {
        let mut after = 0;
        while after < AFTER {
            let acknowledged = self.anything().await;
            after += u64::from(acknowledged && now() >= clear);
            sleep(self.rng.between(Duration::ZERO, THINK)).await;
        }
        self.record.book().idle += 1;
    }

    /// Some operation; whether it was acknowledged.
    async fn anything(&mut self) -> bool {
        let token = {
            let book = self.record.book();
            format!("[{}.{}]", self.name, book.operations).into_bytes()
        };
        let key = self.rng.below(KEYS);
        let chance = self.rng.below(100);
        let action = match chance {
            0..30 => Action::Append { key: appended(key).into_bytes(), value: token },
            30..40 => Action::Get { key: appended(key).into_bytes() },
            40..65 => Action::Get { key: mixed(key).into_bytes() },
            65..85 => Action::Put { key: mixed(key).into_bytes(), value: token },
            85..97 => {
                let key = mixed(key);
                let expect = self.seen.get(&key).cloned().flatten().map(|value| value.to_vec());
                Action::Cas { key: key.into_bytes(), expect, value: token }
            }
            _ => Action::Delete { key: mixed(key).into_bytes() },
        };
        self.ask(action).await.is_some()
    }

    /// Reads a key until there is an answer.
    async fn insist(&mut self, key: &str) -> Option<Bytes> {
        loop {
            let action = Action::Get { key: key.as_bytes().to_vec() };
            if let Some(Answer::Value(value)) = self.ask(action).await {
                return value.map(Bytes::from);
            }
        }
    }

    /// One operation, from the question to the record. The answer, if there was one.
    async fn ask(&mut self, action: Action) -> Option<Answer> {
        let id = {
            let mut book = self.record.book();
            book.operations += 1;
            book.operations
        };
        let call = now();
        self.story.tell(call, format_args!("user {} asks {id}: {action:?}", self.name), &[]);
        let told = self.hear(&action).await;
        let at = now();
        let asked = Operation::asked(id, self.name, call.as_nanos() as u64, action);
        let finish = at.as_nanos() as u64;
        let (operation, answer) = match told {
            Told::Nothing => (asked, None),
            Told::No => (asked.refused(finish), None),
            Told::Done(answer, version) => {
                let answered = asked.answered(finish, answer.clone());
                let answered = match version {
                    Some(version) => answered.at_version(version),
                    None => answered,
                };
                (answered, Some(answer))
            }
        };
        let (name, outcome) = (self.name, &operation.outcome);
        self.story.tell(at, format_args!("user {name} hears {id}: {outcome:?}"), &[]);
        let unknown = matches!(outcome, histcheck::Outcome::Unknown);
        {
            let mut book = self.record.book();
            book.acknowledged += u64::from(answer.is_some());
            book.unknown += u64::from(unknown);
            book.history.push(operation);
        }
        if unknown {
            self.name = Self::name(&self.record);
        }
        answer
    }

    async fn hear(&mut self, action: &Action) -> Told {
        let bytes = |text: &Vec<u8>| Bytes::copy_from_slice(text);
        let told = match action {
            Action::Get { key } => match self.client.get(bytes(key)).await {
                Ok(found) => {
                    let version = found.as_ref().map(|(_, version)| version.0);
                    let value = found.map(|(value, _)| value);
                    let text = String::from_utf8_lossy(key).into_owned();
                    self.seen.insert(text, value.clone());
                    Ok((Answer::Value(value.map(|value| value.to_vec())), version))
                }
                Err(refusal) => Err(refusal),
            },
            Action::Put { key, value } => {
                let put = self.client.put(bytes(key), bytes(value)).await;
                put.map(|version| (Answer::Done, Some(version.0)))
            }
            Action::Append { key, value } => {
                let append = self.client.append(bytes(key), bytes(value)).await;
                append.map(|version| (Answer::Done, Some(version.0)))
            }
            Action::Delete { key } => {
                self.client.delete(bytes(key)).await.map(|_| (Answer::Done, None))
            }
            Action::Cas { key, expect, value } => {
                let expect =
                    expect.as_ref().map_or(Expect::Absent, |value| Expect::Value(bytes(value)));
                let cas = self.client.cas(bytes(key), expect, bytes(value)).await;
                cas.map(|swapped| (Answer::Swapped(swapped.is_ok()), None))
            }
            Action::Txn { .. } => unreachable!("nobody asks for transactions here"),
        };
        match told {
            Ok((answer, version)) => Told::Done(answer, version),
            Err(Refusal::Unknown) => Told::Nothing,
            Err(_) => Told::No,
        }
    }
}
