//! Each network keeps the promises of the suite, and a service works over each.

use std::{sync::Arc, time::Duration};

use net::{Memory, Network, Tcp, Weather, suite};
use tokio::time::Instant;

use crate::toy::{self, Reply, Request};

fn all() -> [Arc<dyn Network>; 3] {
    let faulty = Weather::new().over(Arc::new(Memory::new()), "n1");
    [Arc::new(Tcp), Arc::new(Memory::new()), Arc::new(faulty)]
}

#[tokio::test]
async fn tcp_is_a_network() {
    suite::network(Arc::new(Tcp)).await;
}

#[tokio::test]
async fn memory_is_a_network() {
    suite::network(Arc::new(Memory::new())).await;
}

#[tokio::test]
async fn any_network_in_fine_weather_is_a_network() {
    suite::network(Arc::new(Weather::new().over(Arc::new(Memory::new()), "n1"))).await;
    suite::network(Arc::new(Weather::new().over(Arc::new(Tcp), "n1"))).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_network_is_still_a_network() {
    let weather = Weather::new();
    weather.delay("n1", "n1", Duration::from_millis(3));
    suite::network(Arc::new(weather.over(Arc::new(Memory::new()), "n1"))).await;
}

#[tokio::test]
async fn a_service_answers_over_each() {
    for network in all() {
        let served = toy::serve(&*network).await;
        let peers = toy::peers(Arc::clone(&network), &served.addr);
        toy::echo(&peers, "hello").await;
        let me = toy::ask(&peers, Request::WhoAmI).await.unwrap();
        assert_eq!(me, Reply::You(Some(toy::CALLER)), "the handler knows what was proved");
        let zeros = toy::ask(&peers, Request::Zeros(3 << 20)).await.unwrap();
        assert_eq!(zeros, Reply::Bytes(vec![0; 3 << 20].into()));
        served.running.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_felt_in_each_direction() {
    let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
    let served = toy::serve(&weather.over(memory.clone(), "n1")).await;
    let peers = toy::peers(Arc::new(weather.over(memory, "n2")), &served.addr);
    toy::echo(&peers, "no delay").await;

    weather.delay("n2", "n1", Duration::from_millis(30));
    weather.delay("n1", "n2", Duration::from_millis(70));
    for _ in 0..3 {
        let asked = Instant::now();
        toy::echo(&peers, "delayed").await;
        let took = asked.elapsed();
        assert!(
            took >= Duration::from_millis(100) && took < Duration::from_millis(110),
            "{took:?}"
        );
    }
    weather.clear();
    let asked = Instant::now();
    toy::echo(&peers, "no delay again").await;
    assert!(asked.elapsed() < Duration::from_millis(10));
}
