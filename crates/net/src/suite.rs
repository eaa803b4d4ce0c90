//! What every [`Network`] must do. An implementation's test is one call of [`network`].

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{Addr, Connection, Listener, Network};

/// Time after which something that should happen counts as not happening.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes sent to see that a slow reader holds its writer back and nothing is lost: more than any
/// buffer on the way.
const MUCH: usize = 16 * 1024 * 1024;

/// Checks everything a network promises.
///
/// # Panics
///
/// If it breaks a promise.
pub async fn network(network: Arc<dyn Network>) {
    a_free_port_is_found_and_said(&*network).await;
    bytes_arrive_in_order_both_ways(&*network).await;
    nobody_listening_means_refused(&*network).await;
    a_taken_address_is_not_given_twice(&*network).await;
    a_closed_listener_refuses_and_frees_its_address(&*network).await;
    the_end_is_heard_after_the_last_byte(&*network).await;
    a_slow_reader_holds_its_writer_back(&*network).await;
    many_at_once_do_not_mix(&*network).await;
    an_accept_that_was_given_up_loses_nobody(&*network).await;
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("did not happen: {what}"),
    }
}

async fn listen(network: &dyn Network) -> Box<dyn Listener> {
    within("listening", network.listen(&Addr::any())).await.expect("a free port")
}

/// Both ends of a new connection.
async fn pair(network: &dyn Network, door: &mut dyn Listener) -> (Connection, Connection) {
    let addr = door.addr();
    let (there, here) =
        within("connecting", async { tokio::join!(network.connect(&addr), door.accept()) }).await;
    (there.expect("somebody listens"), here.expect("somebody connects"))
}

async fn a_free_port_is_found_and_said(network: &dyn Network) {
    let (one, other) = (listen(network).await, listen(network).await);
    assert_ne!(one.addr(), other.addr());
    assert_ne!(one.addr(), Addr::any());
}

async fn bytes_arrive_in_order_both_ways(network: &dyn Network) {
    let mut door = listen(network).await;
    let (mut there, mut here) = pair(network, &mut *door).await;
    for round in 0..100u8 {
        let sent = [round; 10];
        let mut heard = [0; 10];
        there.write_all(&sent).await.expect("open");
        there.flush().await.expect("open");
        within("hearing", here.read_exact(&mut heard)).await.expect("open");
        assert_eq!(heard, sent);
        here.write_all(&heard).await.expect("open");
        here.flush().await.expect("open");
        within("hearing", there.read_exact(&mut heard)).await.expect("open");
        assert_eq!(heard, sent);
    }
}

async fn nobody_listening_means_refused(network: &dyn Network) {
    let door = listen(network).await;
    let addr = door.addr();
    drop(door);
    let refused = within("being refused", network.connect(&addr)).await.err().expect("nobody");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

async fn a_taken_address_is_not_given_twice(network: &dyn Network) {
    let door = listen(network).await;
    let again = within("listening", network.listen(&door.addr())).await;
    assert_eq!(again.err().expect("taken").kind(), io::ErrorKind::AddrInUse);
}

async fn a_closed_listener_refuses_and_frees_its_address(network: &dyn Network) {
    let door = listen(network).await;
    let addr = door.addr();
    drop(door);
    assert!(within("being refused", network.connect(&addr)).await.is_err());
    let mut again = within("listening", network.listen(&addr)).await.expect("free again");
    pair(network, &mut *again).await;
}

async fn the_end_is_heard_after_the_last_byte(network: &dyn Network) {
    let mut door = listen(network).await;
    let (mut there, mut here) = pair(network, &mut *door).await;
    there.write_all(b"last words").await.expect("open");
    there.shutdown().await.expect("open");
    let mut heard = Vec::new();
    within("the end", here.read_to_end(&mut heard)).await.expect("an orderly end");
    assert_eq!(heard, b"last words");
    // The other direction is still open.
    here.write_all(b"heard").await.expect("half open");
    here.flush().await.expect("half open");
    drop(here);
    heard.clear();
    within("the end", there.read_to_end(&mut heard)).await.expect("an orderly end");
    assert_eq!(heard, b"heard");
}

async fn a_slow_reader_holds_its_writer_back(network: &dyn Network) {
    let mut door = listen(network).await;
    let (mut there, mut here) = pair(network, &mut *door).await;
    let sent: Vec<u8> = (0..MUCH).map(|n| (n % 251) as u8).collect();
    let write = async {
        there.write_all(&sent).await.expect("open");
        there.shutdown().await.expect("open");
    };
    let mut write = std::pin::pin!(write);
    // Until somebody reads, the writer cannot get rid of it all.
    assert!(timeout(Duration::from_millis(50), &mut write).await.is_err(), "unbounded buffer");
    let mut heard = Vec::with_capacity(MUCH);
    let read = async { here.read_to_end(&mut heard).await.expect("an orderly end") };
    within("all of it", async { tokio::join!(write, read) }).await;
    assert!(heard == sent, "bytes were lost or changed");
}

async fn many_at_once_do_not_mix(network: &dyn Network) {
    let mut door = listen(network).await;
    let mut pairs = Vec::new();
    for _ in 0..32 {
        pairs.push(pair(network, &mut *door).await);
    }
    for (n, (there, _)) in (0u8..).zip(&mut pairs) {
        there.write_all(&[n; 3]).await.expect("open");
        there.flush().await.expect("open");
    }
    for (n, (_, here)) in (0u8..).zip(&mut pairs) {
        let mut heard = [0; 3];
        within("hearing", here.read_exact(&mut heard)).await.expect("open");
        assert_eq!(heard, [n; 3]);
    }
}

async fn an_accept_that_was_given_up_loses_nobody(network: &dyn Network) {
    let mut door = listen(network).await;
    assert!(timeout(Duration::from_millis(1), door.accept()).await.is_err(), "nobody is there");
    let addr = door.addr();
    for _ in 0..8 {
        // Given up again and again while somebody is on the way.
        let accept = async {
            loop {
                if let Ok(here) = timeout(Duration::from_millis(1), door.accept()).await {
                    return here;
                }
            }
        };
        let both = async { tokio::join!(network.connect(&addr), accept) };
        let (there, here) = within("connecting", both).await;
        drop((there.expect("somebody listens"), here.expect("somebody connects")));
    }
}
