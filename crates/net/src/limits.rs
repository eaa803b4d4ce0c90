//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Bytes of one frame on a client's connection.
pub const CLIENT_FRAME: usize = 4 * 1024 * 1024;

/// Bytes of one frame between nodes.
pub const PEER_FRAME: usize = 8 * 1024 * 1024;

/// Bytes of the first frame of a connection, before anybody has said who he is.
pub const HELLO_FRAME: usize = 4 * 1024;

/// Bytes of a service's name.
pub const SERVICE_NAME: usize = 64;

/// Bytes that wait to be written before a sender must flush: the size from which one more message
/// a write no longer pays.
pub const WRITE_BOUNDARY: usize = 64 * 1024;

/// Bytes read at once, and the size of buffer a connection keeps while it is idle.
pub const READ_BUFFER: usize = 32 * 1024;

/// Time for the first frame and its answer.
pub const HELLO_TIME: Duration = Duration::from_secs(5);

/// Time for a whole frame from its first byte on.
pub const FRAME_TIME: Duration = Duration::from_secs(10);

/// The furthest deadline a request may bring; a later one is cut to this. A timer beyond two years
/// would panic inside tarpc, and nobody should be waited for that long.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// Connections of one server.
pub const CONNECTIONS: usize = 1024;

/// Further connections that are kept just long enough to be told that there are too many.
pub const REFUSING: usize = 64;

/// Requests at once on one client connection.
pub const CLIENT_IN_FLIGHT: usize = 64;

/// Requests at once on one connection between nodes.
pub const PEER_IN_FLIGHT: usize = 4096;

/// Requests that wait for one core.
pub const INBOX: usize = 4096;

/// Requests a core is given in one turn before its records are handed to the disk.
pub const TURN: usize = 1024;

/// Age of the oldest unsaved record from which on a core is told that its disk is ill.
pub const DISK_STALL: Duration = Duration::from_millis(500);

/// Time for connecting and greeting a peer.
pub const DIAL_TIME: Duration = Duration::from_secs(1);

/// Pause after the first failed attempt to reach a peer; doubled by each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between two attempts to reach a peer.
pub const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Time a connection must have lived for its end not to count as a failed attempt.
pub const PROVEN: Duration = Duration::from_secs(1);

/// Calls in a row that ran out of time before their connection is given up: a half-dead TCP
/// connection never recovers by itself.
pub const LATE_CALLS: u32 = 3;

/// First pause of an accept loop that has run out of file descriptors or memory.
pub const FIRST_ACCEPT_PAUSE: Duration = Duration::from_millis(5);

/// Longest pause of an accept loop.
pub const LAST_ACCEPT_PAUSE: Duration = Duration::from_secs(1);
