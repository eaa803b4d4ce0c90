//! Short appends to a large value: what goes from the primary to its backup.

use bytes::Bytes;

use crate::{
    Outcome, Row, Scale,
    processes::{Process, Store},
    relay::Relay,
};

/// Bytes of the value.
const LARGE: usize = 1_000_000;
/// Bytes of an append.
const SHORT: usize = 10;

pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Row>> {
    eprintln!("wire: {} appends", scale.appends);
    let store = Store::new()?;
    let one = store.server(1)?;
    store.becomes(|view| view.primary.is_some()).await?;
    let relay = Relay::start().await?;
    let two = Process::server(2, &store.views.addr, None, Some(&relay.addr))?;
    relay.leads_to(&two.addr);
    store.becomes(|view| view.backup.is_some()).await?;
    let mut client = store.client(1);
    let (large, tail) = (Bytes::from("large"), Bytes::from(vec![b't'; SHORT]));
    client.put(large.clone(), Bytes::from(vec![b'v'; LARGE])).await?;
    let before = relay.counts.now();
    for _ in 0..scale.appends {
        client.append(large.clone(), tail.clone()).await?;
    }
    let after = relay.counts.now();
    drop((one, two));
    let each = |before: u64, after: u64| (after - before) as f64 / scale.appends as f64;
    let (there, back) = (each(before.0, after.0), each(before.1, after.1));
    Ok(vec![Row::new(
        "bytes from primary to backup for an append of 10 B to a value of 1 MB",
        format!("{there:.0} B, and {back:.0} B back"),
        "the operation, not the value (100 of them under 64 kB)",
    )])
}
