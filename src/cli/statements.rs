//! `statements`: what partners get.

use clap::Subcommand;

use super::{Failure, send};
use crate::config::Config;

/// What partners get.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a month's statements by e-mail, each once
    #[command(after_help = "Examples:\n  commission-bridge statements send --month 2026-10 --dry-run mails\n  \
                      commission-bridge statements send --month 2026-10")]
    Send(send::Arguments),
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Send(arguments) => send::run(config, &arguments).await,
    }
}
