//! Long random lives of a table, held against [the naive one](super::model) after every command.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use protocol::{Rng, Time};

use super::model::{Model, told};
use crate::{
    Command, Grant, Link, Name, News, Owner, Refusal, Reply, Rule, State, Table, Ticket, Token,
    Why,
    policy::{RULES, SEARCH_AFTER},
    table::Rebuilt,
};

mod said;

/// So many names are wanted by so many owners: few enough to be in each other's way.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const OWNERS: u64 = 6;

/// What a life of a table was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Commands applied, those of time among them.
    pub commands: u64,
    /// Grants, at once or later.
    pub grants: u64,
    /// Requests that had to wait.
    pub waits: u64,
    /// Circles that were found.
    pub circles: u64,
    /// Owners that lost what they held to an older one.
    pub wounds: u64,
    /// Leases that ran out.
    pub expiries: u64,
}

/// Lives a table of the rule number `seed % 5` through so many random commands.
///
/// # Errors
///
/// With the first difference from the naive table, or the first promise that does not hold.
pub fn random(seed: u64, commands: usize) -> Result<Walked, String> {
    let rule = RULES[(seed % RULES.len() as u64) as usize];
    let mut life = Life::new(rule, seed);
    for step in 0..commands {
        life.step().map_err(|what| format!("{rule}, step {step}: {what}"))?;
    }
    let twin = hash(&life.twin);
    if hash(life.table.state()) != twin {
        return Err(format!("{rule}: the same commands made another state"));
    }
    Ok(life.walked)
}

fn hash(state: &State<Rule>) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

struct Life {
    rng: Rng,
    rule: Rule,
    table: Table,
    /// Hears the same commands, and is never put together from pieces.
    twin: State<Rule>,
    model: Model,
    now: Time,
    number: u64,
    tokens: u64,
    /// What may be asked once more.
    asked: Vec<Command>,
    walked: Walked,
}

impl Life {
    fn new(rule: Rule, seed: u64) -> Self {
        let table = Table::fenced(rule);
        Self {
            rng: Rng::new(seed),
            rule,
            twin: table.state().clone(),
            table,
            model: Model::new(rule),
            now: Time::ZERO,
            number: 0,
            tokens: 0,
            asked: Vec::new(),
            walked: Walked::default(),
        }
    }

    fn step(&mut self) -> Result<(), String> {
        if self.rng.chance(150) {
            let times = [0, 1, 5, 20, 25, 60, 400];
            let time = Duration::from_millis(times[self.below(times.len())]);
            self.now = self.now.plus(time);
            self.do_what_is_due()?;
            if self.rule == Rule::Detect && time >= SEARCH_AFTER {
                // What time has just granted may close a circle, which is looked for once more.
                if self.no_circle_is_left().is_err() {
                    self.now = self.now.plus(SEARCH_AFTER);
                    self.do_what_is_due()?;
                    self.no_circle_is_left()?;
                }
            }
            return Ok(());
        }
        if let Some(owner) = self.somebody().filter(|_| self.rng.chance(100)) {
            let before = hash(self.table.state());
            self.table.renew(self.now, owner).map_err(|it| it.to_string())?;
            return same("a renewal changes only clocks", &hash(self.table.state()), &before);
        }
        if self.rng.chance(40) {
            self.written_and_read()?;
        }
        self.do_what_is_due()?;
        let command = self.command();
        if matches!(command, Command::Acquire(_) | Command::Release(_)) {
            self.asked.push(command.clone());
        }
        self.apply(command)
    }

    fn do_what_is_due(&mut self) -> Result<(), String> {
        while let Some(command) = self.table.due(self.now) {
            if let Command::Cancel { ticket, why: Why::Deadlock(chain) } = &command {
                self.is_a_circle(*ticket, chain)?;
                self.walked.circles += 1;
            }
            if let Command::Expire(owners) = &command {
                self.walked.expiries += owners.len() as u64;
            }
            self.apply(command)?;
        }
        match self.table.deadline() {
            Some(deadline) if deadline <= self.now => Err("time brings nothing more".into()),
            _ => Ok(()),
        }
    }

    /// The state goes through its pieces, and now and then on from there.
    fn written_and_read(&mut self) -> Result<(), String> {
        let mut rebuilt = Rebuilt::new(self.rule);
        let mut state = None;
        for piece in self.table.state().pieces() {
            state = rebuilt.take(piece).map_err(|torn| torn.to_string())?;
        }
        let state = state.ok_or("the last piece ends it")?;
        same("the state from its pieces", &state, self.table.state())?;
        if self.rng.chance(200) {
            self.table = Table::resume(state, self.now);
        }
        Ok(())
    }

    fn apply(&mut self, command: Command) -> Result<(), String> {
        let mut news = Vec::new();
        let text = format!("{command:?}");
        let reply = self.table.apply(self.now, command.clone(), &mut news);
        let mut twin_news = Vec::new();
        let twin = self.twin.apply(command.clone(), &mut twin_news);
        same("the twin", &(&reply, &news), &(&twin, &twin_news))?;
        self.count(&reply, &news);
        let told = told(&command, &reply, &news);
        self.tokens_grow(&told)?;
        let (wanted, told) = self.model.apply(&command, told);
        let all = format!("after {text}");
        same(&format!("{all}: the reply"), &reply, &wanted)?;
        same(&format!("{all}: the news"), &sorted(&news), &sorted(&told))?;
        self.looks_the_same().map_err(|what| format!("{all}: {what}"))
    }

    fn count(&mut self, reply: &Reply, news: &[News]) {
        self.walked.commands += 1;
        self.walked.waits += u64::from(*reply == Reply::Waiting);
        self.walked.grants += u64::from(matches!(reply, Reply::Granted(_)));
        for one in news {
            match one {
                News::Granted(..) => self.walked.grants += 1,
                News::Lost(_, Refusal::Wounded { .. }) => self.walked.wounds += 1,
                News::Refused(..) | News::Lost(..) => {}
            }
        }
    }

    /// Tokens of new holds are new, and larger than all before.
    fn tokens_grow(&mut self, told: &[(Ticket, Vec<Grant>)]) -> Result<(), String> {
        let before = self.tokens;
        for grant in told.iter().flat_map(|(_, grants)| grants) {
            let Some(Token(token)) = grant.token else { return Err("a grant has a token".into()) };
            self.tokens = self.tokens.max(token);
        }
        let largest = self.model.largest().map_or(0, |token| token.0);
        if largest > before {
            return Err(format!("token {largest} was not told when it was given"));
        }
        same("the largest token", &self.table.state().tokens(), &self.tokens)
    }

    /// Holders, queues, edges and counts, as the naive table has them.
    fn looks_the_same(&self) -> Result<(), String> {
        let (table, model) = (&self.table, &self.model);
        let owners: Vec<_> = table.state().owners().collect();
        let standing = model.standing();
        same("the owners", &owners, &standing.iter().map(|one| one.0).collect())?;
        for (owner, held, _) in &standing {
            same("what one holds", &table.held_by(*owner).collect(), held)?;
        }
        for name in NAMES.map(Name::from) {
            let seen = table.look(self.now, &name);
            let (mut holders, mut queue, mut quiet) = (Vec::new(), Vec::new(), false);
            if let Some(lock) = seen {
                holders = lock.holders.iter().map(|held| (held.owner, held.mode)).collect();
                queue = lock.queue.iter().map(|wanted| (wanted.ticket, wanted.mode)).collect();
                quiet = lock.quiet;
                if holders.is_empty() && queue.is_empty() && !quiet {
                    return Err(format!("`{name}` is idle and takes room"));
                }
            }
            let naive = model.holders(&name).into_iter().map(|(owner, hold)| (owner, hold.mode));
            same("the holders", &holders, &naive.collect())?;
            same("the queue", &queue, &model.queue(&name))?;
            same("whether it rests", &quiet, &model.is_quiet(&name))?;
        }
        let waiting: Vec<_> = table.state().waiting().collect();
        let mut naive = model.waiting();
        naive.sort_unstable();
        same("who waits", &waiting, &naive)?;
        let view = table.view(self.now, None);
        same("the count of waiters", &view.waiting, &naive.len())?;
        same("the count of places", &table.state().places(), &model.places())?;
        let edges = sorted(&table.state().edges().collect::<Vec<_>>());
        let ways: Vec<_> = naive.iter().flat_map(|ticket| model.ways(*ticket)).collect();
        same("the graph", &edges, &sorted(&ways))?;
        same("what went badly", &table.state().recent().cloned().collect(), &self.troubles())?;
        self.nobody_waits_wrongly(&ways)
    }

    fn troubles(&self) -> Vec<crate::table::Trouble> {
        let all = &self.model.troubles;
        all[all.len().saturating_sub(crate::table::MAX_RECENT)..].to_vec()
    }

    /// Prevention is a rule about who may wait for whom, and holds in every state.
    fn nobody_waits_wrongly(&self, ways: &[Link]) -> Result<(), String> {
        let standing = self.model.standing();
        let pinned = |owner| standing.iter().any(|(it, _, pinned)| *it == owner && *pinned);
        for way in ways {
            let older = self.model.older(way.waiter.owner, way.blocker);
            let may = match self.rule {
                Rule::WoundWait => !older || pinned(way.blocker),
                Rule::WaitDie => older,
                Rule::NoWait => false,
                Rule::Detect | Rule::TimeoutOnly => true,
            };
            if !may {
                return Err(format!("nobody may wait so: {way}"));
            }
        }
        Ok(())
    }

    /// Of each owner, whom it waits for.
    fn graph(&self) -> Vec<(Owner, Owner)> {
        let ways = self.model.waiting().into_iter().flat_map(|ticket| self.model.ways(ticket));
        ways.map(|way| (way.waiter.owner, way.blocker)).collect()
    }

    /// Whoever waited long enough has looked.
    fn no_circle_is_left(&self) -> Result<(), String> {
        let mut edges = self.graph();
        // Who waits for nobody that waits is on no circle.
        while let Some(at) =
            edges.iter().position(|(_, to)| !edges.iter().any(|(from, _)| from == to))
        {
            edges.swap_remove(at);
        }
        if edges.is_empty() { Ok(()) } else { Err(format!("a circle in {edges:?}")) }
    }

    /// Each link is an edge, each follows from the one before, and the youngest is the victim.
    fn is_a_circle(&self, victim: Ticket, chain: &[Link]) -> Result<(), String> {
        for (at, link) in chain.iter().enumerate() {
            let next = &chain[(at + 1) % chain.len()];
            let edge = self.model.ways(link.waiter).contains(link);
            if !edge || link.blocker != next.waiter.owner {
                return Err(format!("no circle: {chain:?}"));
            }
            if self.model.older(victim.owner, link.blocker) {
                return Err(format!("{victim} is not the youngest of {chain:?}"));
            }
        }
        let on_it = chain.iter().any(|link| link.waiter == victim);
        if on_it { Ok(()) } else { Err(format!("{victim} is not on {chain:?}")) }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?}, and should be {should:?}")) }
}

fn sorted<T: std::fmt::Debug>(all: &[T]) -> Vec<String> {
    let mut all: Vec<_> = all.iter().map(|one| format!("{one:?}")).collect();
    all.sort();
    all
}
