//! The service from outside: the real process on a port of its own, asked over HTTP, stopped and killed, on both
//! engines.

#[path = "../blackbox/mod.rs"]
mod blackbox;

mod api;
mod crash;
mod server;
mod shapes;
mod webhook;
