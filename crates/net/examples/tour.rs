//! A service on a network inside this process: a call, a cut, a heal.
//!
//! `cargo run -p net --example tour`

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use net::{
    Addr, Bounds, Calls, Hello, Line, Memory, Mount, Network, Peers, PeersConfig, RpcError, Server,
    Weather, Wire,
};
use protocol::NodeId;
use tarpc::{context::Context, server::Serve};

/// What is said on the wire.
#[tarpc::service]
trait Greeter {
    async fn greet(name: String) -> String;
}

/// What answers it. `peer` is what the connection proved.
#[derive(Clone)]
struct Handlers {
    peer: Option<NodeId>,
}

impl Greeter for Handlers {
    async fn greet(self, _: Context, name: String) -> String {
        let from = self.peer.map_or("a client".into(), |node| node.to_string());
        format!("hello {name}, I hear you from {from}")
    }
}

/// How a core's requests become calls: one line each. Here a request is just a name.
impl Wire<String, String> for GreeterClient {
    fn open(line: Line) -> Self {
        Self::new(line.config(), line.transport()).spawn()
    }

    async fn call(&self, context: Context, name: String) -> Result<String, RpcError> {
        self.greet(context, name).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
    let (n1, n2) = (NodeId(1), NodeId(2));

    let mount = Mount::tarpc(Bounds::PEER, |hello| {
        let greeter = Handlers { peer: hello.node }.serve();
        move |context, request| greeter.clone().serve(context, request)
    });
    let door = weather.over(memory.clone(), "n1").listen(&Addr::any()).await?;
    let addrs = BTreeMap::from([(n1, door.addr())]);
    let server = Server::new(7, n1).mount("greeter", mount).start(door);

    let config = PeersConfig {
        hello: Hello { cluster: 7, node: Some(n2), service: "greeter".into() },
        addrs,
        bounds: Bounds::PEER,
        patience: |_: &String| Duration::from_millis(300),
        seed: 1,
    };
    let peers = Peers::<GreeterClient, _>::new(Arc::new(weather.over(memory, "n2")), config);

    println!("fine:   {:?}", peers.call(n1, "world".into()).await);
    weather.isolate("n1");
    println!("cut:    {:?}", peers.call(n1, "anybody".into()).await);
    weather.rejoin("n1");
    println!("healed: {:?}", peers.call(n1, "again".into()).await);

    server.stop().await?;
    println!(
        "stopped; {} task left",
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    );
    Ok(())
}
