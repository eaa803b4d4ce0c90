//! What goes wrong, and when: a seed expands into a plan, and the plan is carried out.

use std::time::Duration;

use protocol::{NodeId, Rng, Time};

/// How links and disks behave between the big events.
#[derive(Clone, Debug)]
pub struct Climate {
    /// Messages lost, per mille, each way.
    pub loss: u64,
    /// Messages delivered twice, per mille.
    pub duplication: u64,
    /// The shortest and longest time a message travels.
    pub delay: (Duration, Duration),
    /// Messages that travel ten times as long, per mille.
    pub stragglers: u64,
    /// The shortest and longest time a sync takes.
    pub sync: (Duration, Duration),
    /// Syncs that hang for up to two seconds, per mille.
    pub stalls: u64,
    /// How long a caller waits before it gives a call up.
    pub patience: Duration,
}

/// How long a delayed path takes.
pub const DELAYED: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(5));
/// How many times slower than usual a slow node is.
pub const SLOWNESS: u32 = 10;

impl Climate {
    /// A local network and a quiet disk.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            delay: (Duration::from_micros(40), Duration::from_micros(120)),
            stragglers: 0,
            sync: (Duration::from_micros(150), Duration::from_micros(400)),
            stalls: 0,
            patience: Duration::from_millis(300),
        }
    }
}

/// One thing that happens to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node loses power.
    Crash(NodeId),
    /// It comes back with what its disk kept.
    Restart(NodeId),
    /// Everybody loses power at once.
    CrashAll,
    /// Messages from the first to the second are lost until healed.
    Cut(NodeId, NodeId),
    /// Nobody's calls reach this node until healed; its own calls are answered.
    Deaf(NodeId),
    /// Messages to and from this node get lost, per mille each way, until healed.
    Lossy(NodeId, u64),
    /// Messages flow within each group only, until healed.
    Partition(Vec<Vec<NodeId>>),
    /// Messages from the first to the second take so long, until healed.
    Delay(NodeId, NodeId, (Duration, Duration)),
    /// All links work again.
    Heal,
    /// A node does nothing for so long, then goes on as if no time had passed.
    Pause(NodeId, Duration),
    /// A node's syncs take this long until the time is over.
    SlowDisk(NodeId, Duration),
    /// A node works so many times slower than usual, and its clock runs as slowly.
    Slow(NodeId, u32),
    /// A slow node is as quick as usual again; its clock stays behind.
    Quick(NodeId),
    /// A node loses power and its disk is not there any more: it refuses to start.
    LoseDisk(NodeId),
    /// The disk is there again, with what was on it.
    FindDisk(NodeId),
}

/// A whole bad day.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything else that is random is drawn from this.
    pub seed: u64,
    /// How links and disks behave.
    pub climate: Climate,
    /// What happens, in order of time.
    pub faults: Vec<(Time, Fault)>,
    /// When the storm ends: everything is healed and must come to rest.
    pub storm_until: Time,
}

impl Plan {
    /// No faults at all, until `storm_until`.
    #[must_use]
    pub fn calm(seed: u64, storm_until: Duration) -> Self {
        let storm_until = Time::ZERO.plus(storm_until);
        Self { seed, climate: Climate::calm(), faults: Vec::new(), storm_until }
    }

    /// The day of this seed: which classes of fault occur, how often and how badly are drawn from
    /// it. One seed in twenty has no faults, one in twenty has a single class.
    #[must_use]
    pub fn storm(seed: u64, nodes: &[NodeId], length: Duration) -> Self {
        let mut rng = Rng::new(seed).fork(0x57_0A_4D);
        let mut plan = Self::calm(seed, length);
        let classes: u64 = match rng.below(20) {
            0 => 0,
            1 => 1 << rng.below(8),
            _ => rng.next_u64(),
        };
        let on = |class: u64| classes & (1 << class) != 0;
        let climate = &mut plan.climate;
        if on(0) {
            climate.loss = 1 << rng.below(8);
        }
        if on(1) {
            climate.duplication = 1 << rng.below(9);
        }
        if on(2) {
            let longest = Duration::from_micros(100 << rng.below(9));
            climate.delay = (Duration::from_micros(40), longest.max(Duration::from_micros(120)));
            climate.stragglers = rng.below(50);
        }
        if on(3) {
            climate.sync.1 = Duration::from_micros(400 << rng.below(8));
            climate.stalls = rng.below(4);
        }
        // Some days have a fault a second, some one every few milliseconds, and last as briefly.
        let pace = Duration::from_millis(30 << rng.below(6));
        let mut at = Time::ZERO.plus(rng.between(Duration::from_millis(100), length / 4));
        let end = Time::ZERO.plus(length);
        while at < end {
            let node = nodes[rng.below(nodes.len() as u64) as usize];
            plan.one_fault(&mut rng, (at, pace), node, nodes, classes);
            at = at.plus(rng.between(Duration::from_millis(5), pace * 2));
        }
        if classes != 0 {
            plan.oddities(seed, nodes, length);
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// On some days, what is rarer: a path that is delayed, a node that is deaf, one that is slow,
    /// one that cannot find its disk for a while.
    fn oddities(&mut self, seed: u64, nodes: &[NodeId], length: Duration) {
        let mut rng = Rng::new(seed).fork(0x0D_D1_7E);
        let mut some = || nodes[rng.below(nodes.len() as u64) as usize];
        let (node, other) = (some(), some());
        let at = Time::ZERO.plus(rng.between(Duration::from_millis(50), length / 2));
        let end = at.plus(rng.between(Duration::from_millis(100), length / 2));
        let (fault, over) = match rng.below(16) {
            0 => (Fault::Delay(node, other, DELAYED), Fault::Heal),
            1 => (Fault::Deaf(node), Fault::Heal),
            2 => (Fault::Slow(node, SLOWNESS), Fault::Quick(node)),
            3 => {
                self.faults.push((end, Fault::FindDisk(node)));
                // Somebody tries in vain in the meantime.
                self.faults.push((at.plus(Duration::from_millis(50)), Fault::Restart(node)));
                (Fault::LoseDisk(node), Fault::Restart(node))
            }
            _ => return,
        };
        self.faults.push((at, fault));
        self.faults.push((end, over));
    }

    /// One fault of a class that is on today, and its end.
    fn one_fault(
        &mut self,
        rng: &mut Rng,
        (at, pace): (Time, Duration),
        node: NodeId,
        nodes: &[NodeId],
        classes: u64,
    ) {
        let class = 4 + rng.below(4);
        if classes & (1 << class) == 0 {
            return;
        }
        let later = at.plus(rng.between(Duration::from_millis(5), pace * 2));
        match class {
            4 if rng.chance(150) => {
                self.faults.push((at, Fault::CrashAll));
                for node in nodes {
                    let up = later.plus(rng.between(Duration::ZERO, Duration::from_millis(300)));
                    self.faults.push((up, Fault::Restart(*node)));
                }
            }
            4 => {
                self.faults.push((at, Fault::Crash(node)));
                self.faults.push((later, Fault::Restart(node)));
            }
            5 => {
                self.faults.push((at, Fault::Partition(split(rng, nodes))));
                self.faults.push((later, Fault::Heal));
            }
            6 => {
                let other = nodes[rng.below(nodes.len() as u64) as usize];
                self.faults.push((at, Fault::Cut(node, other)));
                if rng.chance(400) {
                    self.faults.push((at, Fault::Cut(other, node)));
                }
                self.faults.push((later, Fault::Heal));
            }
            _ if rng.chance(500) => self.faults.push((at, Fault::Pause(node, later.since(at)))),
            _ => self.faults.push((at, Fault::SlowDisk(node, later.since(at)))),
        }
    }
}

/// Two or three groups, at random.
pub fn split(rng: &mut Rng, nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let count = 2 + rng.below(2) as usize;
    let mut groups = vec![Vec::new(); count];
    for node in nodes {
        groups[rng.below(count as u64) as usize].push(*node);
    }
    groups
}
