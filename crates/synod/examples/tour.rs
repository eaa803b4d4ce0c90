//! What the demo is made of, by hand: three replicas, each with a directory and a thread, clients
//! under oath, a leader that is lost, and a judge.
//!
//! ```text
//! cargo run -p synod --example tour
//! ```

use std::{error::Error, time::Duration};

use histcheck::{Action, check};
use synod::trial::{Cluster, Recorder, Witness, watch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tokio::task::LocalSet::new().run_until(tour()).await
}

async fn tour() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let mut replicas = Cluster::threads(dir.path(), 3)?;
    replicas.start_all().await?;
    let connections = replicas.connections(1);
    let leader = watch::wait_for_leader(&connections, None).await?;
    println!("three replicas on {}; {leader} leads", replicas.peers());

    let recorder = Recorder::new();
    let (mut one, mut other) =
        (Witness::new(&recorder, &connections, 1), Witness::new(&recorder, &connections, 2));
    let key = || b"greeting".to_vec();
    let put = Action::Put { key: key(), value: b"good".to_vec() };
    println!("one puts: {:?}", one.ask(put).await.0);
    let add = |tail: &str| Action::Append { key: key(), value: tail.into() };
    // Two at the same time: either may come first.
    let (a, b) = tokio::join!(one.ask(add(" morning")), other.ask(add(" evening")));
    println!("both append: {:?}, {:?}", a.0, b.0);

    replicas.kill(leader).await?;
    println!("{leader} is gone, without a goodbye");
    println!("one appends: {:?}", one.ask(add(", still")).await.0);
    let seen = other.value(b"greeting", Duration::from_secs(20)).await.flatten();
    println!("the other reads: {:?}", seen.map(|seen| String::from_utf8_lossy(&seen).into_owned()));

    let report = check(&recorder.operations(), Duration::from_secs(10));
    println!("the judge: {report}");
    assert!(report.passed());
    Ok(())
}
