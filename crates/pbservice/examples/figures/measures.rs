//! What is measured, each in a file.

pub(crate) mod failover;
pub(crate) mod put;
pub(crate) mod transfer;
pub(crate) mod wire;

use std::time::Duration;

use bytes::Bytes;

/// Bytes of a value.
const VALUE: usize = 256;

fn value() -> Bytes {
    Bytes::from(vec![b'v'; VALUE])
}

fn key(number: usize) -> Bytes {
    Bytes::from(format!("key{number:08}"))
}

/// Times, in order.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many of a thousand do not exceed.
    fn per_mille(&self, share: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * share / 1000).min(last)).copied().unwrap_or_default()
    }

    fn median(&self) -> Duration {
        self.per_mille(500)
    }

    fn p99(&self) -> Duration {
        self.per_mille(990)
    }
}

fn us(time: Duration) -> String {
    format!("{} us", time.as_micros())
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}
