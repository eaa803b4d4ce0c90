//! What a lock service knows, for people and for programs.

use lockmgr::{
    Grant, Link, Name, Owner, Refusal, Renewed, Token, View,
    table::{LockView, Trouble},
};
use serde_json::{Value, json};

use super::connections;
use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    print,
};

/// What a session holds after a sign of life.
pub(super) fn renewed(owner: Owner, renewed: &Renewed, format: Format) -> Result<(), Failure> {
    let Renewed { lease, holds, more, waits } = renewed;
    let row = |grant: &Grant| {
        vec![print::cell(&grant.name.0), grant.mode.to_string(), number(grant.token)]
    };
    let rows: Vec<Vec<String>> = holds.iter().map(row).collect();
    match format {
        Format::Json => {
            let holds = holds.iter().map(|grant| {
                json!({"name": print::text(&grant.name.0), "mode": grant.mode.to_string(),
                    "token": number(grant.token)})
            });
            print::json(&json!({
                "session": owner.to_string(), "lease_ms": lease.map(|it| it.as_millis() as u64),
                "holds": holds.collect::<Vec<_>>(), "more": more, "waits": waits,
            }))
        }
        Format::Plain => rows.iter().try_for_each(|row| print::line(row.join(" "))),
        Format::Table => {
            let lease = lease.map_or("for ever".to_owned(), |it| cli::Term(it).to_string());
            let more = if *more { ", the first of more" } else { "" };
            print::line(format!(
                "session {owner} lives for {lease} from now; it waits for {waits} and holds {}{more}",
                holds.len()
            ))?;
            if rows.is_empty() { Ok(()) } else { print::table(&["NAME", "MODE", "TOKEN"], &rows) }
        }
    }
}

/// `synod lock holders`
pub(super) async fn holders(flags: &cli::LockHolders, format: Format) -> Result<(), Failure> {
    let name = Name::from(&flags.name[..]);
    let seen = connections(&flags.at).look(name, flags.at.budget()).await?;
    let seen = seen.filter(|lock| !lock.holders.is_empty());
    let Some(lock) = seen else {
        return Err(Failure::new(Exit::NotFound, format!("nobody holds `{}`", flags.name)));
    };
    let rows = lock.holders.iter();
    let rows =
        rows.map(|held| vec![held.owner.to_string(), held.mode.to_string(), number(held.token)]);
    let rows: Vec<Vec<String>> = rows.collect();
    match format {
        Format::Json => print::json(&object(&lock)),
        Format::Plain => rows.iter().try_for_each(|row| print::line(row.join(" "))),
        Format::Table => print::table(&["SESSION", "MODE", "TOKEN"], &rows),
    }
}

/// `synod lock view`: a sentence, a line for each who holds or waits, and what went wrong.
pub(super) async fn view(flags: &cli::LockView, format: Format) -> Result<(), Failure> {
    let connections = connections(&flags.at);
    let mut first = connections.view(None, flags.at.budget()).await?;
    let (mut locks, mut more) = (std::mem::take(&mut first.locks), first.more);
    while more {
        let after = locks.last().map(|lock| lock.name.clone());
        let next = connections.view(after, flags.at.budget()).await?;
        more = next.more && !next.locks.is_empty();
        locks.extend(next.locks);
    }
    match format {
        Format::Json => {
            locks.iter().try_for_each(|lock| print::json(&object(lock)))?;
            first.recent.iter().try_for_each(|trouble| print::json(&of_trouble(trouble)))?;
            print::json(&json!({"names": first.names, "waiting": first.waiting}))
        }
        Format::Plain => locks.iter().flat_map(rows).try_for_each(|row| print::line(row.join(" "))),
        Format::Table => table(&first, &locks),
    }
}

fn table(first: &View, locks: &[LockView]) -> Result<(), Failure> {
    let named = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    print::line(format!(
        "{}, {}",
        named(first.names, "name is locked", "names are locked"),
        named(first.waiting, "request waits", "requests wait")
    ))?;
    let rows: Vec<Vec<String>> = locks.iter().flat_map(rows).collect();
    if !rows.is_empty() {
        print::table(&["NAME", "SESSION", "STATE", "MODE", "TOKEN", "WAITED", "BEHIND"], &rows)?;
    }
    for trouble in &first.recent {
        print::line(print::cell(sentence(trouble).as_bytes()))?;
    }
    Ok(())
}

fn sentence(trouble: &Trouble) -> String {
    let owner = trouble.owner;
    match &trouble.refusal {
        Refusal::Deadlock(_) => format!("session {owner} was refused to end a {}", trouble.refusal),
        refusal => format!("session {owner} lost its locks: {refusal}"),
    }
}

fn number(token: Option<Token>) -> String {
    token.map_or("-".to_owned(), |token| token.0.to_string())
}

fn list(owners: &[Owner]) -> String {
    let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
    if owners.is_empty() { "-".to_owned() } else { owners.join(",") }
}

fn rows(lock: &LockView) -> Vec<Vec<String>> {
    let nothing = || "-".to_owned();
    let name = print::cell(&lock.name.0);
    let quiet = lock.quiet.then(|| {
        let state = "quiet".to_owned();
        vec![name.clone(), nothing(), state, nothing(), nothing(), nothing(), nothing()]
    });
    let holders = lock.holders.iter().map(|held| {
        let (owner, mode) = (held.owner.to_string(), held.mode.to_string());
        vec![name.clone(), owner, "holds".into(), mode, number(held.token), nothing(), nothing()]
    });
    let queue = lock.queue.iter().map(|wanted| {
        let (owner, mode) = (wanted.ticket.owner.to_string(), wanted.mode.to_string());
        let waited = format!("{:.1}s", wanted.waited.as_secs_f64());
        vec![name.clone(), owner, "waits".into(), mode, nothing(), waited, list(&wanted.behind)]
    });
    quiet.into_iter().chain(holders).chain(queue).collect()
}

fn object(lock: &LockView) -> Value {
    let holders = lock.holders.iter().map(|held| {
        json!({"session": held.owner.to_string(), "mode": held.mode.to_string(),
            "token": number(held.token)})
    });
    let queue = lock.queue.iter().map(|wanted| {
        let behind: Vec<String> = wanted.behind.iter().map(ToString::to_string).collect();
        json!({"session": wanted.ticket.owner.to_string(), "mode": wanted.mode.to_string(),
            "waited_ms": wanted.waited.as_secs_f64() * 1e3, "behind": behind})
    });
    json!({"name": print::text(&lock.name.0), "holders": holders.collect::<Vec<_>>(),
        "waiting": queue.collect::<Vec<_>>(), "quiet": lock.quiet})
}

fn of_trouble(trouble: &Trouble) -> Value {
    let (what, chain) = match &trouble.refusal {
        Refusal::Deadlock(chain) => ("deadlock", chain.iter().map(of_link).collect()),
        Refusal::Wounded { name, by } => {
            let wound = json!({"name": print::text(&name.0), "blocker": by.to_string()});
            ("wound", vec![wound])
        }
        _ => ("other", Vec::new()),
    };
    json!({"trouble": what, "session": trouble.owner.to_string(), "chain": chain,
        "summary": sentence(trouble)})
}

fn of_link(link: &Link) -> Value {
    let Link { waiter, name, wants, blocker, has, holds } = link;
    json!({"waiter": waiter.owner.to_string(), "name": print::text(&name.0),
        "wants": wants.to_string(), "blocker": blocker.to_string(), "has": has.to_string(),
        "holds": holds})
}
