//! The bench on which an agreement is tried: replicas of a tape, their disks in memory, and a
//! clock that jumps to whatever is due next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};

use crate::{
    agreement::{Agreement, Index, Refused},
    core::{Config, Replica, Restored},
    machine::Coded,
    message::{CHUNK, Output, Query, Reply, Request, Submit},
    suite::{Length, Tape},
};

/// How the agreement of one member is made.
pub(super) type Recover<'a, A> =
    &'a dyn Fn(NodeId, u64, Index, Vec<(Lsn, <A as protocol::Core>::Record)>) -> Result<A, String>;

type Asked<A> = Request<<A as protocol::Core>::Request>;
type Said<A> = Reply<<A as protocol::Core>::Reply>;

/// One member: what its disk holds, and what runs on it.
struct Member<A: Agreement> {
    desk: Option<Desk<Replica<A, Tape>>>,
    life: u64,
    durable: VecDeque<(Lsn, A::Record)>,
    pending: VecDeque<(Lsn, A::Record)>,
    saved: Lsn,
    snapshots: BTreeMap<Index, Bytes>,
}

/// Who waits for an answer.
#[derive(Clone, Copy)]
enum Waiting {
    Client,
    Peer { node: NodeId, life: u64, call: CallId },
}

enum Post<A: Agreement> {
    Ask { from: NodeId, life: u64, to: NodeId, call: CallId, request: Asked<A> },
    Answer { from: NodeId, to: NodeId, life: u64, call: CallId, reply: Said<A> },
}

pub(super) struct Bench<'a, A: Agreement> {
    recover: Recover<'a, A>,
    pub(super) ids: Vec<NodeId>,
    members: BTreeMap<NodeId, Member<A>>,
    now: Time,
    posts: VecDeque<Post<A>>,
    waiting: BTreeMap<u64, Waiting>,
    tickets: u64,
    answers: BTreeMap<u64, Said<A>>,
    /// Nothing becomes durable while this is set.
    pub(super) disks_hold: bool,
    /// Snapshots are written, but nobody hears that they are durable.
    pub(super) reports_lost: bool,
    cut_off: BTreeSet<NodeId>,
    snapshot_bytes: u64,
}

impl<'a, A: Agreement> Bench<'a, A> {
    pub(super) fn new(ids: &[NodeId], recover: Recover<'a, A>) -> Self {
        let new = || Member {
            desk: None,
            life: 0,
            durable: VecDeque::new(),
            pending: VecDeque::new(),
            saved: Lsn(0),
            snapshots: BTreeMap::new(),
        };
        let mut bench = Self {
            recover,
            ids: ids.to_vec(),
            members: ids.iter().map(|id| (*id, new())).collect(),
            now: Time::ZERO,
            posts: VecDeque::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            answers: BTreeMap::new(),
            disks_hold: false,
            reports_lost: false,
            cut_off: BTreeSet::new(),
            snapshot_bytes: u64::MAX,
        };
        for id in ids {
            bench.start(*id).expect("nothing is wrong with an empty past");
        }
        bench
    }

    /// From the next life on, snapshots are taken this often.
    pub(super) fn snapshots_every(&mut self, bytes: u64) {
        self.snapshot_bytes = bytes;
    }

    fn member(&mut self, id: NodeId) -> &mut Member<A> {
        self.members.get_mut(&id).expect("a member")
    }

    /// Begins a life with what the disk holds.
    pub(super) fn start(&mut self, id: NodeId) -> Result<(), String> {
        let (recover, now, snapshot_bytes) = (self.recover, self.now, self.snapshot_bytes);
        let member = self.member(id);
        member.life += 1;
        let image = member.snapshots.last_key_value().map(|(_, image)| image);
        let restored = image.map_or_else(
            || Restored::fresh(Tape::default()),
            |image| Restored::open(image).expect("a snapshot that was durable"),
        );
        let past = member.durable.iter().cloned().collect();
        let seed = u64::from(id.0) << 32 | member.life;
        let agreement = recover(id, seed, restored.applied, past)?;
        let replica = Replica::new(Config { me: id, snapshot_bytes }, agreement, restored);
        let mut desk = Desk::new(id, replica, member.saved);
        desk.wake(now);
        member.desk = Some(desk);
        Ok(())
    }

    /// Ends a life: what was not durable is gone.
    pub(super) fn crash(&mut self, id: NodeId) {
        let member = self.member(id);
        member.desk = None;
        member.pending.clear();
        member.saved = member.durable.back().map_or(member.saved, |(lsn, _)| *lsn);
    }

    pub(super) fn forget_snapshots(&mut self, id: NodeId) {
        self.member(id).snapshots.clear();
    }

    pub(super) fn cut_off(&mut self, id: NodeId) {
        self.cut_off.insert(id);
    }

    pub(super) fn rejoin(&mut self) {
        self.cut_off.clear();
    }

    pub(super) fn replica(&self, id: NodeId) -> &Replica<A, Tape> {
        self.members[&id].desk.as_ref().expect("it runs").core()
    }

    pub(super) fn tape(&self, id: NodeId) -> &[Bytes] {
        &self.replica(id).machine().0
    }

    pub(super) fn records(&self, id: NodeId) -> usize {
        self.members[&id].durable.len()
    }

    pub(super) fn newest_snapshot(&self, id: NodeId) -> Option<Index> {
        self.members[&id].snapshots.keys().next_back().copied()
    }

    pub(super) fn ask(&mut self, id: NodeId, request: Asked<A>) -> u64 {
        self.tickets += 1;
        let (ticket, now) = (self.tickets, self.now);
        self.waiting.insert(ticket, Waiting::Client);
        let desk = self.member(id).desk.as_mut().expect("it runs");
        desk.request(now, ticket, None, request);
        ticket
    }

    pub(super) fn submit(&mut self, id: NodeId, text: &Bytes) -> u64 {
        self.ask(id, Request::Submit(Submit(text.clone())))
    }

    pub(super) fn answer(&mut self, ticket: u64) -> Option<Said<A>> {
        self.answers.remove(&ticket)
    }

    /// Does `text` somewhere, and says what the tape's length was then.
    pub(super) fn perform(&mut self, text: &Bytes) -> u64 {
        let running = self.ids.iter().copied().filter(|id| !self.cut_off.contains(id));
        self.insist(&running.collect::<Vec<_>>(), || Request::Submit(Submit(text.clone())))
    }

    /// The length of the tape, as a query at this member sees it.
    pub(super) fn look(&mut self, id: NodeId) -> u64 {
        self.insist(&[id], || Request::Query(Query(Bytes::new())))
    }

    /// Asks one after the other until somebody does it.
    fn insist(&mut self, whom: &[NodeId], request: impl Fn() -> Asked<A>) -> u64 {
        for turn in 0..1000 {
            let ticket = self.ask(whom[turn % whom.len()], request());
            let mut heard = None;
            self.until("an answer", |bench| {
                heard = bench.answer(ticket);
                heard.is_some()
            });
            match heard {
                Some(Reply::Done(done)) => return Length::decode(&done.0).expect("a length").0,
                Some(Reply::Refused(Refused::NotLeading(_) | Refused::Busy)) => {
                    self.pass(50);
                }
                other => panic!("{other:?} is no answer in fine weather"),
            }
        }
        panic!("nobody ever led")
    }

    /// Lets so many turns pass.
    pub(super) fn pass(&mut self, turns: u32) {
        for _ in 0..turns {
            self.turn();
        }
    }

    /// Runs until `done`.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..100_000 {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("it never happened: {what}")
    }

    /// Everything that can happen now; if that is nothing, the clock jumps to what is due next.
    fn turn(&mut self) {
        self.now = self.now.plus(std::time::Duration::from_micros(50));
        for id in self.ids.clone() {
            self.disk_and_words(id);
        }
        if self.posts.is_empty() {
            let desks = self.members.values().filter_map(|member| member.desk.as_ref());
            let due = desks.filter_map(Desk::deadline).min();
            self.now = due.map_or(self.now, |due| due.max(self.now));
        }
        for post in std::mem::take(&mut self.posts) {
            self.carry(post);
        }
        let now = self.now;
        for member in self.members.values_mut() {
            if let Some(desk) = &mut member.desk
                && desk.deadline().is_some_and(|at| at <= now)
            {
                desk.wake(now);
            }
        }
    }

    fn disk_and_words(&mut self, id: NodeId) {
        let (now, hold) = (self.now, self.disks_hold);
        let member = self.member(id);
        let Some(desk) = &mut member.desk else { return };
        for record in desk.records() {
            member.saved.0 += 1;
            member.pending.push_back((member.saved, record));
        }
        if !hold {
            member.durable.append(&mut member.pending);
            desk.durable(now, member.saved);
        }
        let life = member.life;
        while let Some(word) = self.member(id).desk.as_mut().and_then(Desk::next_word) {
            match word {
                Word::Send { to, call, request } => {
                    self.posts.push_back(Post::Ask { from: id, life, to, call, request });
                }
                Word::Answer { ticket, reply } => match self.waiting.remove(&ticket) {
                    Some(Waiting::Client) => drop(self.answers.insert(ticket, reply)),
                    Some(Waiting::Peer { node, life, call }) => {
                        self.posts.push_back(Post::Answer {
                            from: id,
                            to: node,
                            life,
                            call,
                            reply,
                        });
                    }
                    None => panic!("a caller was answered twice"),
                },
                Word::Forget(keep) => self.member(id).durable.retain(|(lsn, _)| *lsn >= keep),
                Word::Output(output) => self.output(id, output),
            }
        }
    }

    fn output(&mut self, id: NodeId, output: Output) {
        let lost = self.reports_lost;
        let member = self.member(id);
        let request = match output {
            Output::Save { upto, image } => {
                member.snapshots.insert(upto, Bytes::from(image.write()));
                while member.snapshots.len() > 2 {
                    member.snapshots.pop_first();
                }
                if lost {
                    return;
                }
                Request::Saved { upto, written: true }
            }
            Output::Load { ticket, chunk } => {
                let piece = member.snapshots.get(&chunk.upto).and_then(|image| {
                    let from = usize::try_from(chunk.offset).ok()?.min(image.len());
                    // Small pieces, so that there are several.
                    let end = image.len().min(from + CHUNK.min(100));
                    Some((image.len() as u64, image.slice(from..end)))
                });
                Request::Loaded { ticket, piece }
            }
            Output::Applied { .. } | Output::Installed(_) => return,
        };
        self.ask(id, request);
    }

    fn carry(&mut self, post: Post<A>) {
        let now = self.now;
        match post {
            Post::Ask { from, life, to, call, request } => {
                let lost = self.cut_off.contains(&from) || self.cut_off.contains(&to);
                if lost || self.member(to).desk.is_none() {
                    let sender = self.member(from);
                    if let Some(desk) = sender.desk.as_mut().filter(|_| sender.life == life) {
                        desk.failed(now, to, call);
                    }
                    return;
                }
                self.tickets += 1;
                let ticket = self.tickets;
                self.waiting.insert(ticket, Waiting::Peer { node: from, life, call });
                if let Some(desk) = self.member(to).desk.as_mut() {
                    desk.request(now, ticket, Some(from), request);
                }
            }
            Post::Answer { from, to, life, call, reply } => {
                let asker = self.member(to);
                if let Some(desk) = asker.desk.as_mut().filter(|_| asker.life == life) {
                    desk.reply(now, from, call, reply);
                }
            }
        }
    }
}
