//! `partner`: what is done for one partner.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, outln};
use super::table;
use crate::admin::onboarding;
use crate::config::Config;

/// What is done for one partner.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a link on which a partner opens the Stripe account that they are paid on; it works for 14 days
    #[command(after_help = "Example:\n  commission-bridge partner onboard acme")]
    Onboard(Onboard),
}

#[derive(Debug, Args)]
pub struct Onboard {
    /// The partner's key
    partner: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let Command::Onboard(arguments) = command;
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut session = context.session().await?;
    let opened = onboarding::open(&mut session, &arguments.partner).await?;
    session.commit().await?;
    let url = format!("{}/onboard/{}", config.public_url, opened.token);
    if arguments.json {
        return table::print_json(&json!({
            "partner_key": arguments.partner,
            "mode": context.mode.as_str(),
            "url": url,
            "expires_at": opened.expires_at,
        }));
    }
    note!("send it to the partner alone: whoever has it opens the account. It is shown this once");
    outln!("{url}");
    Ok(())
}
