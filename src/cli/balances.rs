//! `balances`: what each partner has.

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align};
use crate::config::Config;
use crate::domain::money::decimal_text;
use crate::store::balances;

/// Show what each partner has, by currency: in all, what can be paid out now, and what is on hold.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge balances --json")]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.catch_up().await?;
    print(&context, arguments.json).await?;
    context.say_book(&arguments.which);
    Ok(())
}

/// Prints the balances of the context's book.
pub async fn print(context: &Context, json: bool) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let found = balances::all(&mut tx, context.workspace, context.mode, context.clock.now()).await?;
    if json {
        let list: Vec<serde_json::Value> = found.iter().map(balances::Balance::json).collect();
        return super::table::print_json(&serde_json::json!({ "mode": context.mode.as_str(), "balances": list }));
    }
    if found.is_empty() {
        outln!("Nobody has anything to come.");
        return Ok(());
    }
    let mut table = table::Rows::new(&[
        ("partner", Align::Left),
        ("currency", Align::Left),
        ("balance", Align::Right),
        ("available", Align::Right),
        ("on hold", Align::Right),
    ]);
    for balance in &found {
        let money = |amount| decimal_text(amount, balance.currency);
        table.row([
            balance.partner.clone(),
            balance.currency.to_string(),
            money(balance.balance),
            money(balance.available),
            money(balance.balance - balance.available),
        ]);
    }
    table.print();
    Ok(())
}
