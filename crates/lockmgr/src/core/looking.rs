//! A view that fits into one answer.

use crate::{Refusal, View, table::LockView};

/// About so many bytes of locks are shown at once.
const LOCKS: usize = 1 << 20;

/// And of what went wrong lately.
const TROUBLES: usize = 256 << 10;

/// The same view, cut where it becomes too long for one frame. What is cut off is asked for next.
pub(super) fn bounded(mut view: View) -> View {
    let mut room = LOCKS;
    // The first one always fits: it shows a bounded number of holders and waiters.
    let fits = view.locks.iter().skip(1).take_while(|lock| take(&mut room, size_of_lock(lock)));
    let shown = 1 + fits.count();
    if shown < view.locks.len() {
        view.locks.truncate(shown);
        view.more = true;
        let seen = |owner| {
            view.locks.iter().any(|lock| {
                lock.holders.iter().any(|held| held.owner == owner)
                    || lock.queue.iter().any(|wanted| wanted.ticket.owner == owner)
            })
        };
        view.owners.retain(|shown| seen(shown.owner));
    }
    let mut room = TROUBLES;
    let late = view.recent.iter().rev();
    let kept = late.take_while(|trouble| take(&mut room, size_of_trouble(&trouble.refusal)));
    let old = view.recent.len() - kept.count();
    view.recent.drain(..old);
    view
}

fn take(room: &mut usize, size: usize) -> bool {
    let left = room.checked_sub(size);
    *room = left.unwrap_or(0);
    left.is_some()
}

fn size_of_lock(lock: &LockView) -> usize {
    let waiters: usize = lock.queue.iter().map(|wanted| 64 + 24 * wanted.behind.len()).sum();
    64 + lock.name.0.len() + 48 * lock.holders.len() + waiters
}

fn size_of_trouble(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::Deadlock(chain) => {
            64 + chain.iter().map(|link| 96 + link.name.0.len()).sum::<usize>()
        }
        Refusal::Wounded { name, .. } => 64 + name.0.len(),
        _ => 64,
    }
}
