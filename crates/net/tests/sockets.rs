//! Stopping gives every file descriptor back. Alone in its process, since it counts them.

use std::{path::Path, time::Duration};

use net::{Addr, Hello, Mount, Network, Server, Tcp, hello};
use protocol::NodeId;
use tokio::io::AsyncReadExt;

/// Where Linux shows a process's descriptors.
const DESCRIPTORS: &str = "/proc/self/fd";

fn sockets() -> usize {
    let files = std::fs::read_dir(DESCRIPTORS).unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

#[tokio::test]
async fn a_stopped_server_has_closed_every_socket() {
    if !Path::new(DESCRIPTORS).exists() {
        return;
    }
    let before = sockets();
    let wait = Mount::raw(|_, mut stream| {
        Box::pin(async move {
            stream.read_to_end(&mut Vec::new()).await?;
            Ok(())
        })
    });
    let server = Server::new(1, NodeId(1)).mount("wait", wait);
    let door = Tcp.listen(&Addr::any()).await.unwrap();
    let addr = door.addr();
    let running = server.start(door);
    let hello = Hello { cluster: 1, node: None, service: "wait".into() };
    let mut streams = Vec::new();
    for greeted in [true, true, false] {
        let mut stream = Tcp.connect(&addr).await.unwrap();
        if greeted {
            hello::greet(&mut stream, &hello).await.unwrap();
        }
        streams.push(stream);
    }
    assert!(sockets() >= before + 6);
    running.stop().await.unwrap();
    assert!(Tcp.connect(&addr).await.is_err(), "nobody listens any more");
    for stream in &mut streams {
        let end = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "the other side is closed");
    }
    drop(streams);
    assert_eq!(sockets(), before);
}
