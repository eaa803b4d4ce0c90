//! What the records of a log say: those of a replica, of a view service, of a server of a
//! primary/backup store, or of a lock service.
//!
//! A directory does not say which of them wrote it, so every record is read as each of them would,
//! and the one who understands the most wrote it.

use bytes::Bytes;
use paxos::{Value, batch};
use paxosrsm::{Coded, sessions};
use pbservice::Item;
use protocol::NodeId;
use serde_json::{Value as Json, json};
use viewservice::SERVICE_NODE;

/// Commands or items of one record that are shown; the rest is counted.
const SHOWN: usize = 8;
/// Characters of one of them that are shown.
const SHOWN_CHARS: usize = 80;

/// Who wrote a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// One of several that agree by Paxos.
    Replica,
    /// A server of a primary/backup store.
    Server,
    /// A view service.
    Views,
    /// A lock service.
    Locks,
}

/// What a record says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// In a word.
    pub(crate) kind: &'static str,
    /// In a line.
    pub(crate) text: String,
    /// As an object.
    pub(crate) content: Json,
}

impl Said {
    fn new(kind: &'static str, text: String, mut content: Json) -> Self {
        content["kind"] = kind.into();
        Self { kind, text, content }
    }
}

/// Reads records as everybody would, and counts who understands how many.
#[derive(Default)]
pub(crate) struct Guess([u64; 4]);

impl Guess {
    const WRITERS: [Writer; 4] = [Writer::Replica, Writer::Server, Writer::Views, Writer::Locks];

    pub(crate) fn look(&mut self, payload: &[u8]) {
        for (count, writer) in self.0.iter_mut().zip(Self::WRITERS) {
            *count += u64::from(writer.understands(payload));
        }
    }

    /// Who most likely wrote what was looked at, in the directory of this node.
    pub(crate) fn writer(&self, node: NodeId) -> Writer {
        let [replica, server, views, locks] = self.0;
        // Theirs begin with a letter that nobody else's do.
        if locks > replica.max(server).max(views) {
            Writer::Locks
        } else if replica >= server.max(views) {
            Writer::Replica
        } else if views > server || (views == server && node == SERVICE_NODE) {
            Writer::Views
        } else {
            Writer::Server
        }
    }
}

impl Writer {
    fn understands(self, payload: &[u8]) -> bool {
        let makes_sense = |value: &Value| match value {
            Value::Noop => true,
            Value::Data(bytes) => batch::unpack(bytes).is_some(),
        };
        match self {
            Self::Replica => match paxos::server::decode_record(payload) {
                Ok(
                    paxos::Record::Accepted { value, .. } | paxos::Record::Learned { value, .. },
                ) => makes_sense(&value),
                other => other.is_ok(),
            },
            Self::Server => pbservice::storage::decode(payload).is_ok(),
            Self::Views => viewservice::record::decode(payload).is_ok(),
            Self::Locks => lockmgr::record::decode(payload).is_ok(),
        }
    }

    /// What a record of this writer says.
    pub(crate) fn read(self, payload: &[u8]) -> Said {
        let said = match self {
            Self::Replica => paxos::server::decode_record(payload).map(|it| of_replica(&it)).ok(),
            Self::Server => pbservice::storage::decode(payload).map(|it| of_server(&it)).ok(),
            Self::Views => viewservice::record::decode(payload).map(|it| of_views(&it)).ok(),
            Self::Locks => lockmgr::record::decode(payload).map(|it| of_locks(&it)).ok(),
        };
        said.unwrap_or_else(|| {
            let text = format!("{} bytes that are not understood", payload.len());
            Said { kind: "other", text, content: Json::Null }
        })
    }
}

fn of_replica(record: &paxos::Record) -> Said {
    use paxos::Record as R;
    match record {
        R::Promised { ballot } => {
            let ballot = ballot.to_string();
            Said::new("promised", format!("promised {ballot}"), json!({"ballot": ballot}))
        }
        R::Accepted { ballot, slot, value, settled } => {
            let (text, commands) = commands(value);
            Said::new(
                "accepted",
                format!("accepted {ballot} in slot {slot}, chosen below {settled}: {text}"),
                json!({"ballot": ballot.to_string(), "slot": slot.0, "chosen_below": settled.0,
                    "value": commands}),
            )
        }
        R::Learned { slot, value } => {
            let (text, commands) = commands(value);
            let content = json!({"slot": slot.0, "value": commands});
            Said::new("learned", format!("learned slot {slot}: {text}"), content)
        }
        R::Checkpoint { promised, floor, settled, snapshot } => {
            let covers =
                snapshot.map_or("no snapshot".to_owned(), |s| format!("snapshot below {s}"));
            Said::new(
                "checkpoint",
                format!(
                    "checkpoint: promised {promised}, slots from {floor}, chosen below {settled}, {covers}"
                ),
                json!({"promised": promised.to_string(), "floor": floor.0,
                    "chosen_below": settled.0, "snapshot": snapshot.map(|s| s.0)}),
            )
        }
    }
}

fn of_views(record: &viewservice::Record) -> Said {
    use viewservice::Record as R;
    match record {
        R::Issued(incarnation) => Said::new(
            "issued",
            format!("issued incarnation {incarnation}"),
            json!({"incarnation": incarnation.to_string()}),
        ),
        R::Viewed(view) => Said::new(
            "viewed",
            format!("{view} is in force"),
            json!({"view": view.number.to_string(), "members": view.to_string()}),
        ),
        R::Acked { view, acknowledged } => {
            let word = if *acknowledged { "acknowledged" } else { "adopted" };
            Said::new(
                "acked",
                format!("view {view} was {word} by its primary"),
                json!({"view": view.to_string(), "acknowledged": acknowledged}),
            )
        }
        R::Checkpoint(safety) => Said::new(
            "checkpoint",
            format!("checkpoint: {} was in force", safety.view),
            json!({"view": safety.view.number.to_string(), "members": safety.view.to_string()}),
        ),
    }
}

fn of_locks(record: &lockmgr::Record) -> Said {
    use lockmgr::Record as R;
    match record {
        R::Born { rule } => {
            let rule = rule.to_string();
            Said::new(
                "born",
                format!("a table of locks; who yields: {rule}"),
                json!({"rule": rule}),
            )
        }
        R::Piece(piece) => {
            let text = shortened(format!("a piece of the table: {piece:?}"));
            Said::new("piece", text, json!({}))
        }
        R::Applied(command) => of_lock_command(command),
    }
}

fn of_lock_command(command: &lockmgr::Command) -> Said {
    use lockmgr::Command as C;
    let of = |kind, owner: &lockmgr::Owner, text: &str| {
        let content = json!({"session": owner.to_string()});
        Said::new(kind, format!("session {owner} {text}"), content)
    };
    match command {
        C::Open(terms) => {
            let lease = terms.lease.map(|lease| lease.as_millis() as u64);
            let text = lease.map_or("no lease".to_owned(), |it| format!("a lease of {it} ms"));
            Said::new("open", format!("a session opens, with {text}"), json!({"lease_ms": lease}))
        }
        C::Acquire(acquire) => {
            let want =
                |want: &lockmgr::Want| shortened(format!("`{}` in {}", want.name, want.mode));
            let mut wants: Vec<String> = acquire.wants.iter().take(SHOWN).map(want).collect();
            wants.extend(rest(acquire.wants.len()));
            let text = format!("request {} wants {}", acquire.ticket, wants.join(", "));
            let content = json!({"request": acquire.ticket.to_string(), "wants": wants});
            Said::new("acquire", text, content)
        }
        C::Release(release) => {
            let name = shortened(release.name.to_string());
            let text = format!("request {} gives `{name}` back", release.ticket);
            let content = json!({"request": release.ticket.to_string(), "name": name});
            Said::new("release", text, content)
        }
        C::Cancel { ticket, why } => {
            let why = match why {
                lockmgr::Why::Asked => "its session took it back".to_owned(),
                lockmgr::Why::TimedOut => "it has waited long enough".to_owned(),
                lockmgr::Why::Deadlock(chain) => {
                    let links: Vec<String> =
                        chain.iter().take(SHOWN).map(ToString::to_string).collect();
                    format!("a deadlock: {}", links.join("; "))
                }
            };
            let text = format!("request {ticket} waits no longer: {why}");
            Said::new("cancel", text, json!({"request": ticket.to_string(), "why": why}))
        }
        C::Enter { owner, .. } => of("enter", owner, "enters"),
        C::Pin(owner) => of("pin", owner, "can no longer yield"),
        C::Leave(owner) => of("leave", owner, "is closed"),
        C::Expire(owners) => {
            let mut names: Vec<String> =
                owners.iter().take(SHOWN).map(ToString::to_string).collect();
            names.extend(rest(owners.len()));
            let text = format!("silent longer than the lease: session {}", names.join(", "));
            Said::new("expire", text, json!({"sessions": names}))
        }
        C::Reopen(name) => {
            let name = shortened(name.to_string());
            Said::new("reopen", format!("`{name}` may be had again"), json!({"name": name}))
        }
    }
}

fn of_server(record: &pbservice::Record) -> Said {
    use pbservice::Record as R;
    let life = |kind, incarnation: &viewservice::Incarnation, text: &str| {
        let content = json!({"incarnation": incarnation.to_string()});
        Said::new(kind, format!("incarnation {incarnation} {text}"), content)
    };
    match record {
        R::Born(incarnation) => life("born", incarnation, "carries on with what is here"),
        R::Fresh(incarnation) => life("fresh", incarnation, "begins with an empty state"),
        R::Wiped(incarnation) => {
            life("wiped", incarnation, "is backup: what is written before is void")
        }
        R::Checkpoint(lives) => {
            let lives: Vec<String> = lives.iter().map(ToString::to_string).collect();
            Said::new(
                "checkpoint",
                format!(
                    "checkpoint: the state that incarnations {} had is written down again",
                    lives.join(", ")
                ),
                json!({"incarnations": lives}),
            )
        }
        R::Items(items) => {
            let mut shown: Vec<String> = items.iter().take(SHOWN).map(item).collect();
            shown.extend(rest(items.len()));
            Said::new("items", shown.join("; "), json!({"items": shown}))
        }
    }
}

fn item(item: &Item) -> String {
    let text = match item {
        Item::Probe => "a probe".to_owned(),
        Item::Open { evict: None } => "a session opens".to_owned(),
        Item::Open { evict: Some(gone) } => format!("a session opens in place of {}", gone.0),
        Item::Do { session, number, change } => {
            format!("session {} request {} {change:?}", session.0, number.0)
        }
        Item::Begin { .. } => "the state begins".to_owned(),
        Item::Keys { pairs, .. } => format!("a piece of {} keys", pairs.len()),
        Item::Sessions { rows, .. } => format!("a piece of {} sessions", rows.len()),
    };
    shortened(text)
}

fn commands(value: &Value) -> (String, Json) {
    let batch = match value {
        Value::Noop => return ("no-op".to_owned(), json!([])),
        Value::Data(batch) => batch,
    };
    let Some(commands) = batch::unpack(batch) else {
        return (format!("{} bytes that are no batch", batch.len()), Json::Null);
    };
    let mut shown: Vec<String> = commands.iter().take(SHOWN).map(command).collect();
    shown.extend(rest(commands.len()));
    (shown.join("; "), json!(shown))
}

/// How many of them are not shown, if any.
fn rest(count: usize) -> Option<String> {
    count.checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("and {more} more"))
}

fn command(bytes: &Bytes) -> String {
    match sessions::Command::<kvpaxos::Command>::decode(bytes) {
        Some(sessions::Command::Register) => "a client registers".to_owned(),
        Some(sessions::Command::Do { client, request, command }) => {
            shortened(format!("client {} request {} {command:?}", client.0, request.0))
        }
        Some(sessions::Command::Bare(command)) => shortened(format!("{command:?}")),
        None => format!("{} bytes that are no command", bytes.len()),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
