//! The proofs, for everybody to run: what every [`Log`](protocol::Log) and every
//! [`Disk`](crate::Disk) must do, and hunts that find the classic mistakes of a log when one is
//! planted. [`log_conformance`] knows of a log only what `protocol` says, so a log of another crate
//! runs it with this one among its tools for tests.

mod conformance;

mod crash_images;

mod disk;

mod hunts;

mod picture;

mod sweep;

pub use conformance::{await_durable, log_conformance};
pub use crash_images::hunt_crash_images;
pub use disk::disk_conformance;
pub use hunts::{hunt_fsync_failure, hunt_rot, hunt_stale_records};
pub use sweep::{Swept, hunt_corruption};

/// What a hunt that found nothing has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Workloads run.
    pub workloads: u64,
    /// Disks recovered from.
    pub images: u64,
    /// Records that had to be there and were.
    pub records: u64,
}
