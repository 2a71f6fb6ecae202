//! The service from outside: the real process on a port of its own, asked over HTTP, stopped and killed, on both
//! engines.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

#[path = "../blackbox/mod.rs"]
mod blackbox;
#[path = "../support/smtp.rs"]
mod smtp;

mod api;
mod clicks;
mod crash;
mod evidence;
mod guarded;
mod leads;
mod links;
mod lists;
mod mails;
mod manners;
mod page;
mod reference;
mod reports;
mod server;
mod shapes;
mod webhook;
