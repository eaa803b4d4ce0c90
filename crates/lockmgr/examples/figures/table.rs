//! The table by itself, in one thread: no disk, no network.

use std::{
    fs,
    time::{Duration, Instant},
};

use lockmgr::{
    Acquire, Birth, Command, Mode, Name, News, Owner, Patience, Release, Reply, RequestNo, Rule,
    Table, Terms, Ticket, Want, policy::SEARCH_AFTER,
};
use protocol::Time;

use crate::{Outcome, Row, Scale, per_second, us};

/// A table, and the numbers of its requests.
struct Driven {
    table: Table,
    news: Vec<News>,
    numbers: u64,
}

impl Driven {
    fn new(rule: Rule) -> Self {
        Self { table: Table::volatile(rule), news: Vec::new(), numbers: 0 }
    }

    fn tell(&mut self, command: Command) -> Reply {
        self.news.clear();
        self.table.apply(Time::ZERO, command, &mut self.news)
    }

    fn enter(&mut self, number: u64) -> Owner {
        let owner = Owner { client: 1, number };
        let terms = Terms::TRANSACTION;
        self.tell(Command::Enter { owner, birth: Birth(number), terms });
        owner
    }

    fn ask(&mut self, owner: Owner, name: Name, mode: Mode) -> Outcome<Reply> {
        self.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(self.numbers) };
        let patience = Patience::For(Duration::from_secs(60));
        let (floor, wants) = (ticket.request, vec![Want { name, mode }]);
        match self.tell(Command::Acquire(Acquire { ticket, floor, wants, patience })) {
            Reply::Refused(refusal) => Err(refusal.to_string().into()),
            reply => Ok(reply),
        }
    }
}

fn name(number: usize) -> Name {
    Name::from(format!("lock{number:08}").as_str())
}

/// Bytes that this process has in memory.
fn resident() -> Outcome<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0").parse()?;
    Ok(kib << 10)
}

pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Row>> {
    let mut rows = vec![pairs(scale, scale.pairs, 1)?, pairs(scale, scale.pairs / 4, scale.held)?];
    rows.extend(many(scale)?);
    for length in [2, 4, 8] {
        rows.push(circles(scale, length)?);
    }
    Ok(rows)
}

/// Takes a lock and gives it back, over and over, beside so many names.
fn pairs(scale: Scale, pairs: usize, names: usize) -> Outcome<Row> {
    let mut driven = Driven::new(Rule::Detect);
    let owner = Owner { client: 1, number: 1 };
    let terms = Terms::session(Duration::from_secs(60));
    driven.tell(Command::Enter { owner, birth: Birth(1), terms });
    let held = Owner { client: 1, number: 2 };
    driven.tell(Command::Enter { owner: held, birth: Birth(2), terms });
    if names > 1 {
        for number in 0..names {
            driven.ask(held, name(scale.held + number), Mode::X)?;
        }
    }
    let names: Vec<_> = (0..names).map(name).collect();
    let began = Instant::now();
    for at in 0..pairs {
        let one = &names[at % names.len()];
        driven.ask(owner, one.clone(), Mode::X)?;
        driven.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(driven.numbers) };
        let (floor, token) = (ticket.request, None);
        driven.tell(Command::Release(Release { ticket, floor, name: one.clone(), token }));
    }
    let took = began.elapsed();
    let what = if names.len() == 1 {
        "acquire and release in memory, one name".to_owned()
    } else {
        format!("the same over {0} names beside {0} held ones", names.len())
    };
    Ok(Row::new(what, per_second(pairs, took), ""))
}

/// What many held and many waiting locks weigh, in bytes and in time.
fn many(scale: Scale) -> Outcome<Vec<Row>> {
    let before = resident()?;
    let mut driven = Driven::new(Rule::Detect);
    let began = Instant::now();
    for number in 0..scale.held {
        let owner = driven.enter(number as u64);
        driven.ask(owner, name(number), Mode::X)?;
    }
    let took = began.elapsed();
    let bytes = resident()?.saturating_sub(before);
    let held = Row::new(
        format!("{} locks held, each by its own owner", scale.held),
        format!("{} bytes each, taken at {}", bytes / scale.held, per_second(scale.held, took)),
        "",
    );
    let before = resident()?;
    let began = Instant::now();
    for number in 0..scale.waiting {
        let owner = driven.enter((scale.held + number) as u64);
        driven.ask(owner, name(0), Mode::X)?;
    }
    let took = began.elapsed();
    let bytes = resident()?.saturating_sub(before);
    let rate = per_second(scale.waiting, took);
    let each = bytes / scale.waiting;
    let waiting = Row::new(
        format!("{} requests waiting for one of them", scale.waiting),
        format!("{each} bytes each, queued at {rate}"),
        "",
    );
    let began = Instant::now();
    let mut holder = Owner { client: 1, number: 0 };
    for _ in 0..scale.waiting {
        driven.tell(Command::Leave(holder));
        let next = driven.news.iter().find_map(|one| match one {
            News::Granted(ticket, _) => Some(ticket.owner),
            _ => None,
        });
        holder = next.ok_or("somebody is next")?;
    }
    let took = began.elapsed() / u32::try_from(scale.waiting)?;
    let hand = Row::new("one hand-over in that queue, in memory", us(took), "");
    Ok(vec![held, waiting, hand])
}

/// Circles of so many owners: from the moment somebody looks until its youngest is told.
fn circles(scale: Scale, length: usize) -> Outcome<Row> {
    let mut took = Duration::ZERO;
    let mut driven = Driven::new(Rule::Detect);
    let mut number = 0;
    let mut now = Time::ZERO;
    for _ in 0..scale.circles {
        let owners: Vec<_> = (0..length)
            .map(|_| {
                number += 1;
                let owner = Owner { client: 1, number };
                let terms = Terms::TRANSACTION;
                let enter = Command::Enter { owner, birth: Birth(number), terms };
                driven.table.apply(now, enter, &mut driven.news);
                owner
            })
            .collect();
        for at in 0..length * 2 {
            let (owner, wants) = (owners[at % length], (at + at / length) % length);
            let ticket = Ticket { owner, request: RequestNo(at as u64) };
            let acquire = Acquire {
                ticket,
                floor: RequestNo(0),
                wants: vec![Want::new(name(wants), Mode::X)],
                patience: Patience::For(Duration::from_secs(60)),
            };
            driven.table.apply(now, Command::Acquire(acquire), &mut driven.news);
        }
        now = now.plus(SEARCH_AFTER);
        driven.news.clear();
        let began = Instant::now();
        while let Some(command) = driven.table.due(now) {
            driven.table.apply(now, command, &mut driven.news);
        }
        took += began.elapsed();
        if !driven.news.iter().any(|one| matches!(one, News::Lost(..))) {
            return Err("a circle that nobody found".into());
        }
        for owner in owners {
            driven.table.apply(now, Command::Leave(owner), &mut driven.news);
        }
    }
    let each = took / u32::try_from(scale.circles)?;
    let waits = format!("{} us of waiting and {}", SEARCH_AFTER.as_micros(), us(each));
    Ok(Row::new(format!("a circle of {length} found and broken after"), waits, ""))
}
