//! Several keys in one call, over the network.

use std::collections::BTreeSet;

use bytes::Bytes;
use kvpaxos::{
    Client, Cursor, Error, MAX_ANSWER, MAX_KEYS_PER_CALL, MAX_VALUE, PutError, Show, Version,
    question::SCAN_KEYS,
};

use crate::group::{b, three};

/// Everything a scan finds.
async fn everything(client: &mut Client, prefix: &str) -> BTreeSet<Bytes> {
    let (mut found, mut from) = (BTreeSet::new(), Some(Cursor::START));
    while let Some(cursor) = from {
        let page = client.scan(b(prefix), cursor, Show::Keys).await.expect("a page");
        found.extend(page.found.into_iter().map(|entry| entry.key));
        from = page.next;
    }
    found
}

#[tokio::test]
async fn many_keys_in_one_call() {
    let servers = three(None).await;
    let mut client = servers.client(1);
    assert_eq!(client.put_many(Vec::new()).await, Ok(Vec::new()));
    assert_eq!(client.get_many(Vec::new()).await, Ok(Vec::new()));
    let first = client.put(b("a"), b("old")).await.expect("put");
    let pairs = vec![(b("a"), b("1")), (b("b"), b("2")), (b("c"), b("3"))];
    let versions = client.put_many(pairs).await.expect("put");
    assert_eq!(versions.len(), 3);
    assert!(first < versions[0] && versions.windows(2).all(|two| two[0] < two[1]));
    let mut other = servers.client(2);
    let seen = other.get_many(vec![b("c"), b("nobody"), b("a")]).await.expect("get");
    let wanted = [Some((b("3"), versions[2])), None, Some((b("1"), versions[0]))];
    assert_eq!(seen, wanted);
    assert_eq!(other.get(b("b")).await, Ok(Some((b("2"), versions[1]))));
}

/// The largest of each call passes every frame between client, server and leader; a little more is
/// refused in words, before anything is logged.
#[tokio::test]
async fn the_largest_calls_pass_and_larger_ones_are_refused() {
    let servers = three(None).await;
    let mut clients: Vec<Client> = (1..=3).map(|seed| servers.client(seed)).collect();
    let third = Bytes::from(vec![7; MAX_ANSWER / 3]);
    let keys: Vec<Bytes> = (0..4).map(|n| b(&format!("large{n}"))).collect();
    for key in &keys {
        clients[0].put(key.clone(), third.clone()).await.expect("put");
    }
    // Whatever server each of them asks first: the answer fits on both legs.
    for client in &mut clients {
        let seen = client.get_many(keys[..3].to_vec()).await.expect("three fit");
        assert!(seen.iter().flatten().all(|(value, _)| *value == third), "three values");
        assert_eq!(client.get_many(keys.clone()).await, Err(Error::TooMuch));
    }
    let client = &mut clients[0];
    let many = |count: usize| (0..count).map(|n| b(&format!("m{n}"))).collect::<Vec<_>>();
    let pairs = |count: usize| many(count).into_iter().map(|key| (key, b("v"))).collect();
    client.put_many(pairs(MAX_KEYS_PER_CALL)).await.expect("so many fit");
    let seen = client.get_many(many(MAX_KEYS_PER_CALL)).await.expect("so many fit");
    assert_eq!(seen.iter().flatten().count(), MAX_KEYS_PER_CALL);
    assert_eq!(client.put_many(pairs(MAX_KEYS_PER_CALL + 1)).await, Err(Error::TooLarge));
    assert_eq!(client.get_many(many(MAX_KEYS_PER_CALL + 1)).await, Err(Error::TooLarge));
    let halves = |size: usize| vec![(b("x"), Bytes::from(vec![1; size])); 2];
    client.put_many(halves(MAX_VALUE / 2)).await.expect("together as much as one value");
    assert_eq!(client.put_many(halves(MAX_VALUE)).await, Err(Error::TooLarge));
}

#[tokio::test]
async fn a_scan_goes_over_all_pages() {
    let servers = three(None).await;
    let mut client = servers.client(1);
    let mut wanted = BTreeSet::new();
    for batch in 0..1 + SCAN_KEYS / MAX_KEYS_PER_CALL {
        let keys = (0..MAX_KEYS_PER_CALL).map(|n| b(&format!("{}/{batch}.{n}", n % 3)));
        let pairs: Vec<_> = keys.map(|key| (key, b("v"))).collect();
        wanted.extend(pairs.iter().map(|(key, _)| key.clone()));
        client.put_many(pairs).await.expect("put");
    }
    assert_eq!(everything(&mut client, "").await, wanted);
    let ones: BTreeSet<_> = wanted.iter().filter(|key| key.starts_with(b"1/")).cloned().collect();
    assert_eq!(everything(&mut client, "1/").await, ones);
    assert!(everything(&mut client, "nobody").await.is_empty());
    let page = client.scan(b("2/"), Cursor::START, Show::Values).await.expect("a page");
    assert!(page.found.iter().all(|entry| entry.value == Some(b("v"))));
    assert!(page.next.is_some(), "there is more than a page of them");
}

/// The place of a scan means the same at the next leader.
#[tokio::test]
async fn a_scan_goes_on_at_the_next_leader() {
    let mut servers = three(None).await;
    let mut client = servers.client(1);
    let mut wanted = BTreeSet::new();
    for n in 0..30 {
        let key = b(&format!("k{n}"));
        // Four of them fill a page.
        client.put(key.clone(), Bytes::from(vec![0; 300_000])).await.expect("put");
        wanted.insert(key);
    }
    let (mut found, mut from, mut pages) = (BTreeSet::new(), Some(Cursor::START), 0);
    while let Some(cursor) = from {
        let page = client.scan(b("k"), cursor, Show::Values).await.expect("a page");
        found.extend(page.found.into_iter().map(|entry| entry.key));
        from = page.next;
        pages += 1;
        if pages == 3 {
            let leader = servers.leader().await;
            servers.stop(leader).await;
            let gone = b("k0");
            client.delete(gone.clone()).await.expect("a majority is left");
            wanted.remove(&gone);
        }
    }
    assert!(pages >= 7, "{pages} pages");
    assert!(found.is_superset(&wanted), "{found:?}");
}

/// Create, write over, and what is said when somebody else was faster; no session but the creator's.
#[tokio::test]
async fn a_put_over_a_version_needs_no_session() {
    let servers = three(None).await;
    let (mut one, mut other) = (servers.client(1), servers.client(2));
    let none = Version(0);
    assert_eq!(one.put_if_version(b("k"), b("x"), Version(5)).await, Err(PutError::NoKey));
    let first = one.put_if_version(b("k"), b("a"), none).await.expect("created");
    let refused = one.put_if_version(b("k"), b("b"), none).await;
    assert_eq!(refused, Err(PutError::Version(first)));
    let second = other.put_if_version(b("k"), b("b"), first).await.expect("written over");
    let refused = one.put_if_version(b("k"), b("c"), first).await;
    assert_eq!(refused, Err(PutError::Version(second)));
    assert_eq!(one.get(b("k")).await, Ok(Some((b("b"), second))));
    let large = Bytes::from(vec![0; MAX_VALUE + 1]);
    let refused = one.put_if_version(b("k"), large, second).await;
    assert_eq!(refused, Err(PutError::Other(Error::TooLarge)));
}
