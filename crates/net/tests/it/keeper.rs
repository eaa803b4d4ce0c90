//! A core of five requests, a log whose disk is a test's hand, and their service.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use net::{
    Addr, Ask, Bounds, Hello, Inbox, Life, Line, Mount, Network, Peers, PeersConfig, Post,
    RpcError, Running, Wire, drive, inbox, limits::INBOX,
};
use protocol::{CallId, Caller, Core, Effects, Event, Log, Lsn, NodeId, Time};
use tarpc::{context, server::Serve};

use crate::toy::CLUSTER;

#[derive(Clone, Debug)]
pub enum Request {
    /// Remember a number.
    Save(u32),
    /// Remember it together with all others that came at the same time.
    Batch(u32),
    /// What was remembered last.
    Last,
    /// What another node remembered last.
    LastOf(NodeId),
    /// Announce when so much time has passed.
    Alarm(Duration),
    /// Never answered.
    Mute,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Saved(u32),
    Last(u32),
    Unreachable,
}

#[derive(Default)]
pub struct Keeper {
    last: u32,
    batch: Vec<(Caller, u32)>,
    relayed: BTreeMap<CallId, Caller>,
    alarm: Option<Time>,
}

impl Core for Keeper {
    type Request = Request;
    type Reply = Reply;
    type Record = u32;
    type Output = &'static str;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request } => match request {
                Request::Save(n) => {
                    self.last = n;
                    fx.save(n);
                    fx.answer(caller, Reply::Saved(n));
                }
                Request::Batch(n) => self.batch.push((caller, n)),
                Request::Last => fx.answer(caller, Reply::Last(self.last)),
                Request::LastOf(node) => {
                    let call = fx.send(node, Request::Last);
                    self.relayed.insert(call, caller);
                }
                Request::Alarm(after) => self.alarm = Some(now.plus(after)),
                Request::Mute => {}
            },
            Event::Reply(heard) => {
                if let Some(caller) = self.relayed.remove(&heard.call()) {
                    fx.answer(caller, heard.take().1);
                }
            }
            Event::Failed { call, .. } => {
                if let Some(caller) = self.relayed.remove(&call) {
                    fx.answer(caller, Reply::Unreachable);
                }
            }
            Event::DiskHealthy(healthy) => {
                fx.output_free(Say(if healthy { "well" } else { "ill" }))
            }
            Event::Wake => {
                if self.alarm.is_none() && self.batch.is_empty() {
                    fx.output_free(Say("born"));
                }
                if self.alarm.is_some_and(|at| at <= now) {
                    self.alarm = None;
                    fx.output_free(Say("alarm"));
                }
                if let Some((_, n)) = self.batch.last() {
                    self.last = *n;
                    fx.save(*n);
                }
                for (caller, n) in self.batch.drain(..) {
                    fx.answer(caller, Reply::Saved(n));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        if self.batch.is_empty() { self.alarm } else { Some(Time::ZERO) }
    }
}

pub struct Say(&'static str);

impl protocol::Free for Say {
    const WHY: &'static str = "tests want to see it at once";
}

impl From<Say> for &'static str {
    fn from(say: Say) -> Self {
        say.0
    }
}

/// A log whose disk does only what it is told.
#[derive(Clone, Default)]
pub struct HandLog(Arc<Mutex<Hand>>);

#[derive(Default)]
struct Hand {
    records: Vec<Vec<u8>>,
    pushed: Vec<usize>,
    durable: u64,
    reported: u64,
    broken: bool,
    waker: Option<Waker>,
}

impl HandLog {
    /// Everything pushed so far is on disk.
    pub fn sync(&self) {
        self.change(|hand| hand.durable = hand.pushed.last().map_or(0, |n| *n as u64));
    }

    pub fn break_down(&self) {
        self.change(|hand| hand.broken = true);
    }

    fn change(&self, change: impl FnOnce(&mut Hand)) {
        let mut hand = self.0.lock().unwrap();
        change(&mut hand);
        if let Some(waker) = hand.waker.take() {
            waker.wake();
        }
    }

    pub fn records(&self) -> Vec<u32> {
        let hand = self.0.lock().unwrap();
        hand.records.iter().map(|r| u32::from_le_bytes(r[..].try_into().unwrap())).collect()
    }

    /// How many records each push found.
    pub fn pushes(&self) -> Vec<usize> {
        self.0.lock().unwrap().pushed.clone()
    }
}

impl Log for HandLog {
    fn append(&mut self, record: &[u8]) {
        self.0.lock().unwrap().records.push(record.to_vec());
    }

    fn push(&mut self) {
        let mut hand = self.0.lock().unwrap();
        let count = hand.records.len();
        hand.pushed.push(count);
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        let mut hand = self.0.lock().unwrap();
        if hand.broken {
            return Poll::Ready(Err(io::Error::other("the disk is gone")));
        }
        if hand.durable > hand.reported {
            hand.reported = hand.durable;
            return Poll::Ready(Ok(Lsn(hand.durable)));
        }
        hand.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn forget(&mut self, _keep: Lsn) {}
}

#[tarpc::service]
pub trait Keep {
    async fn last() -> u32;
}

#[derive(Clone)]
struct Handlers<A> {
    door: A,
    peer: Option<NodeId>,
}

impl<A: Ask<(), u32>> Keep for Handlers<A> {
    async fn last(self, _: context::Context) -> u32 {
        self.door.ask(self.peer, ()).await
    }
}

impl Wire<Request, Reply> for KeepClient {
    fn open(line: Line) -> Self {
        Self::new(line.config(), line.transport()).spawn()
    }

    async fn call(&self, context: context::Context, request: Request) -> Result<Reply, RpcError> {
        match request {
            Request::Last => self.last(context).await.map(Reply::Last),
            other => unreachable!("{other:?} is not for others"),
        }
    }
}

pub type Door = Inbox<Request, Reply>;

/// The keeper's service, mounted over its inbox in words of its own.
pub fn mount(door: &Door) -> Mount {
    let door = door.clone().wrap(
        |()| Request::Last,
        |reply| match reply {
            Reply::Last(n) => Some(n),
            _ => None,
        },
    );
    Mount::tarpc(Bounds::PEER, move |hello| {
        let keep = Handlers { door: door.clone(), peer: hello.node }.serve();
        move |context, request| keep.clone().serve(context, request)
    })
}

pub fn peers(
    network: Arc<dyn Network>,
    me: NodeId,
    addrs: BTreeMap<NodeId, Addr>,
) -> Peers<KeepClient, Request> {
    let hello = Hello { cluster: CLUSTER, node: Some(me), service: "keep".into() };
    let bounds = Bounds::PEER;
    Peers::new(
        network,
        PeersConfig { hello, addrs, bounds, patience: |_| Duration::from_secs(1), seed: 7 },
    )
}

pub struct Node {
    pub door: Door,
    pub log: HandLog,
    pub said: Arc<Mutex<Vec<&'static str>>>,
    pub running: Running<io::Result<()>>,
}

impl Node {
    pub fn start<W: net::Calls<Request, Reply> + Sync>(me: NodeId, calls: W) -> Self {
        let (door, post) = inbox(INBOX);
        Self::start_on(me, calls, door, post)
    }

    pub fn start_on<W: net::Calls<Request, Reply> + Sync>(
        me: NodeId,
        calls: W,
        door: Door,
        post: Post<Request, Reply>,
    ) -> Self {
        let log = HandLog::default();
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let stop = post.stopper();
        let life = Life {
            me,
            core: Keeper::default(),
            saved: Lsn(0),
            log: log.clone(),
            encode: |n: &u32, into: &mut Vec<u8>| into.extend_from_slice(&n.to_le_bytes()),
            calls,
            post,
            output: move |words| sink.lock().unwrap().push(words),
        };
        Self { door, log, said, running: Running::spawn(stop, drive(life)) }
    }

    pub fn said(&self) -> Vec<&'static str> {
        self.said.lock().unwrap().clone()
    }
}
