//! Hard to kill: upgrades, crashes, full disks, locks, clocks and replicas, on both engines.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

#[path = "../blackbox/mod.rs"]
mod blackbox;
#[path = "../conformance/harness.rs"]
#[allow(dead_code, reason = "another program uses the rest")]
mod harness;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "another program uses the rest")]
mod server;

/// Who looks at every statement is another suite; here nobody listens.
mod plans {
    pub fn listen() {}
}

/// The same.
mod distributed {
    pub fn nothing_is_wrong() {}
}

mod backup;
mod clock;
mod disk;
mod kills;
mod load;
mod outages;
mod postgres;
mod release;
mod replicas;
mod scaling;
mod upgrade;
