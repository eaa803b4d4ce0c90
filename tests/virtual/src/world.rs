//! One run: hosts, links and disks from a seed, the weather over them, and the verdict.

use std::{
    collections::BTreeSet,
    error::Error,
    fmt,
    hash::BuildHasher,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant, UNIX_EPOCH},
};

use mad_turmoil::time::SimClocksGuard;
use protocol::{NodeId, Rng};
use rand::{SeedableRng, rngs::StdRng};
use turmoil::{Builder, Sim};

use crate::{
    client::{self, Office, Record},
    disk::Disk,
    leak::Leak,
    node::{self, Machine},
    story::Story,
    verdict,
    weather::{self, CLEAR, Event},
};

/// A step of the simulation. Whole milliseconds: below that the hosts' clocks and the simulation's
/// drift apart.
const TICK: Duration = Duration::from_millis(1);
/// How long anything is on its way.
const TRAVEL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));
/// After the weather has cleared everybody must be served again and all must agree within this.
const SERVED: Duration = Duration::from_secs(20);
/// Bytes on their way on one connection, in segments.
const SEGMENTS: usize = 4096;

/// Somebody panicked; the runtime keeps that to itself.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// What a run was, in figures.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    /// Virtual milliseconds.
    pub(crate) lasted: u64,
    pub(crate) crashes: u64,
    /// Power cuts in the middle of a sync.
    pub(crate) cut_syncs: u64,
    /// Events of links and disks.
    pub(crate) troubles: u64,
    /// Nodes that had written a snapshot by the end.
    pub(crate) snapshots: u64,
}

/// Lives through one seed and tells its story. To be called once in a process: the C library's
/// randomness is set here.
///
/// # Errors
///
/// What was wrong, in words.
pub(crate) fn run(seed: u64, story: &Story, leak: Option<Leak>) -> Result<Done, String> {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Relaxed);
        said(panic);
    }));
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
    let _clocks = SimClocksGuard::init();
    let mut world = World::new(seed, story, leak).map_err(|error| error.to_string())?;
    world.live().map_err(|error| format!("at {:?}: {error}", world.sim.elapsed()))?;
    if PANICKED.load(Relaxed) {
        return Err("something panicked".into());
    }
    let book = world.record.book();
    verdict::judge(&book)?;
    Ok(Done {
        acknowledged: book.acknowledged,
        unknown: book.unknown,
        lasted: world.sim.elapsed().as_millis() as u64,
        crashes: world.crashes,
        cut_syncs: world.machines.iter().map(|machine| machine.disk.cut_syncs()).sum(),
        troubles: world.troubles,
        snapshots: book.snapshots,
    })
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lasted, unknown, crashes, cut_syncs, troubles, snapshots, .. } = self;
        write!(
            f,
            "virtual_ms {lasted} unknown {unknown} crashes {crashes} cut_syncs {cut_syncs} \
             troubles {troubles} snapshots {snapshots}"
        )
    }
}

struct World {
    sim: Sim<'static>,
    story: Story,
    record: Record,
    machines: Vec<Machine>,
    down: BTreeSet<NodeId>,
    plan: std::vec::IntoIter<(Duration, Event)>,
    crashes: u64,
    troubles: u64,
}

/// What every run begins with: that the clock and the randomness of the C library are the
/// simulation's. Should an update break that, no two runs would be alike, and this says why.
async fn check_overrides(story: Story) -> Result<(), Box<dyn Error>> {
    let begun = (Instant::now(), tokio::time::Instant::now().into_std());
    tokio::time::sleep(Duration::from_millis(7)).await;
    let passed = (begun.0.elapsed(), begun.1.elapsed());
    if begun.0 != begun.1 || passed.0 != passed.1 || passed.0 != Duration::from_millis(7) {
        return Err(format!("the real clock shows through: {begun:?}, {passed:?}").into());
    }
    let order = std::hash::RandomState::new().hash_one(0_u64);
    story.tell(crate::story::now(), format_args!("chance begins with {order:016x}"), &[]);
    Ok(())
}

impl World {
    fn new(seed: u64, story: &Story, leak: Option<Leak>) -> Result<Self, Box<dyn Error>> {
        let rng = Rng::new(seed).fork(0x51_0D);
        let mut sim = Builder::new()
            .epoch(UNIX_EPOCH)
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(CLEAR + SERVED + SERVED)
            .min_message_latency(TRAVEL.0)
            .max_message_latency(TRAVEL.1)
            .tcp_capacity(SEGMENTS)
            .build();
        sim.client("check", check_overrides(story.clone()));
        let cluster = rng.fork(1).next_u64();
        let mut machines = Vec::new();
        for me in node::nodes() {
            let host = node::host(me);
            let disk = Disk::new(&host, story, rng.fork(0x100 + u64::from(me.0)));
            let machine = Machine { me, cluster, disk, story: story.clone(), leak };
            machine.init()?;
            machines.push(machine.clone());
            sim.host(host, move || machine.clone().live());
        }
        let record = Record::default();
        for number in 0..client::HOSTS {
            let rng = rng.fork(0x200 + number);
            let (record, story) = (record.clone(), story.clone());
            let office = Office { number, cluster, rng, record, story, clear: CLEAR };
            sim.client(client::host(number), office.live());
        }
        let plan = weather::plan(&mut rng.fork(2)).into_iter();
        let (story, down) = (story.clone(), BTreeSet::new());
        Ok(Self { sim, story, record, machines, down, plan, crashes: 0, troubles: 0 })
    }

    /// Until all clients are content.
    fn live(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let at = self.sim.elapsed();
            while self.plan.as_slice().first().is_some_and(|(due, _)| *due <= at) {
                if let Some((_, event)) = self.plan.next() {
                    self.happen(at, event);
                }
            }
            if self.sim.step()? {
                return Ok(());
            }
            if at > CLEAR + SERVED {
                let book = self.record.book();
                let (done, last) = (book.acknowledged, book.last.len());
                return Err(format!(
                    "{SERVED:?} after the weather cleared not everybody is served: \
                     {done} operations acknowledged, {last} keys read at the end"
                )
                .into());
            }
        }
    }

    fn happen(&mut self, at: Duration, event: Event) {
        self.story.tell(at, format_args!("{event:?}"), &[]);
        match event {
            Event::Part(a, b) => self.between(&a, &b, |sim, a, b| sim.partition(a, b)),
            Event::PartOneWay(a, b) => {
                self.between(&a, &b, |sim, a, b| sim.partition_oneway(a, b));
            }
            Event::Hold(a, b) => self.between(&a, &b, |sim, a, b| sim.hold(a, b)),
            // To release is to repair as well.
            Event::Mend(a, b) => self.between(&a, &b, |sim, a, b| sim.release(a, b)),
            Event::Stall(node, pause) => {
                self.troubles += 1;
                self.machine(node).disk.stall(at, pause);
            }
            Event::Crash(nodes) => {
                for node in nodes {
                    if self.down.insert(node) {
                        self.crashes += 1;
                        // The disk first: no destructor may write what a power cut would not.
                        self.machine(node).disk.cut(at);
                        self.sim.crash(node::host(node));
                    }
                }
            }
            Event::Bounce(nodes) => {
                for node in nodes {
                    if self.down.remove(&node) {
                        self.sim.bounce(node::host(node));
                    }
                }
            }
        }
    }

    fn machine(&self, node: NodeId) -> &Machine {
        &self.machines[usize::from(node.0) - 1]
    }

    fn between(&mut self, a: &[String], b: &[String], act: impl Fn(&Sim<'static>, &str, &str)) {
        self.troubles += 1;
        for one in a {
            for other in b {
                act(&self.sim, one, other);
            }
        }
    }
}
