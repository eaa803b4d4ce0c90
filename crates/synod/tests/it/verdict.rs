//! What the verdict of a trial is worth.

use std::{fs, time::Duration};

use synod::{
    store::{Client, Connections},
    trial::{
        Cluster, Recorder, Verdict, Workload, input::Input, pair::wait_for_pair, verdict::Case,
    },
};

/// Somebody who is not on record writes to a pair while it is on trial.
#[test]
fn a_verdict_over_a_store_that_somebody_else_wrote_to_is_a_failure() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    let verdict = |rogue: Option<(&'static str, &'static str)>| {
        let data = dir.path().join(rogue.map_or("nobody", |(key, _)| key).replace('/', "-"));
        async move {
            fs::create_dir(&data).expect("made");
            let mut nodes = Cluster::pair_threads(&data, 2).expect("ports");
            nodes.start_all().await.expect("started");
            let connections = nodes.connections(11);
            let Connections::Pb(pairs) = &connections else { panic!("a pair is a pair") };
            wait_for_pair(pairs, None).await.expect("a pair");
            let recorder = Recorder::new();
            let text = data.join("text");
            fs::write(&text, "to be or not to be").expect("written");
            let input = Input::find(Some(&text)).expect("readable");
            input.load(&recorder, &connections, 11).await.expect("loaded");
            let work = Workload::start(&recorder, &connections, 11, 4);
            tokio::time::sleep(Duration::from_millis(400)).await;
            let worked = work.stop().await;
            if let Some((key, value)) = rogue {
                let mut rogue = Client::new(&connections, 12, Duration::from_secs(5));
                rogue.put(key.into(), value.into()).await.expect("written");
            }
            let case = Case {
                recorder: &recorder,
                connections: &connections,
                input: Some(&input),
                clients: 4,
                worked,
                kills: &[],
                seed: 11,
                command: "none",
                dir: &data,
                kept: true,
            };
            let verdict = Verdict::of(&case).await;
            let failed: Vec<&str> = verdict.failed().collect();
            (verdict.passed(), failed.join(" "))
        }
    };
    let runtime = runtime.expect("a runtime");
    let judged = |rogue| local.block_on(&runtime, verdict(rogue));
    assert_eq!(judged(None), (true, String::new()));
    assert_eq!(judged(Some(("shared/07", "never"))), (false, "linearizable".to_owned()));
    assert_eq!(judged(Some(("client/002", "gone"))), (false, "linearizable durable".to_owned()));
    let (passed, failed) = judged(Some(("word/be", "|||")));
    assert_eq!((passed, &failed[..]), (false, "linearizable input_present"));
}
