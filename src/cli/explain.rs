//! `explain`: why a payment was credited, or was not.

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align, Rows, moment};
use crate::config::Config;
use crate::domain::money::{Money, decimal_text};
use crate::ledger::explain::{Explained, Explanation, explain_reference};
use crate::store::Mode;

/// How the references of payments begin.
const REFERENCES: [&str; 6] = ["in_", "pi_", "ch_", "py_", "cs_", "pay_"];

/// Say why a payment was credited, or was not: evidence, rule, arithmetic, refunds and hold.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge explain in_1Nabc")]
pub struct Arguments {
    /// Any reference of the payment: in_…, pi_…, ch_…, cs_… or pay_…
    reference: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.catch_up().await?;
    context.say_book(&arguments.which);
    print(&context, &arguments.reference, arguments.json).await
}

/// Prints the explanation of one payment.
pub async fn print(context: &Context, reference: &str, json: bool) -> Result<(), Failure> {
    let explanation = explain_reference(&context.ledger(), context.workspace, context.mode, reference).await?;
    match explanation {
        Explanation::Payment(explained) if json => table::print_json(&explained.json()),
        Explanation::Payment(explained) => {
            print_text(&explained);
            Ok(())
        }
        Explanation::NoPayment => Err(Failure::Said(format!(
            "{reference} is known, but no money was received for it so far: there is nothing to credit yet"
        ))),
        Explanation::Unknown => Err(Failure::Said(unknown(context, reference).await?)),
        Explanation::Parked(reason) => Err(Failure::Said(format!("{reference} cannot be decided: {reason}"))),
    }
}

/// Says what may be wrong where nothing names a reference.
async fn unknown(context: &Context, reference: &str) -> Result<String, Failure> {
    let nothing = format!("nothing in the {} book of workspace {} names {reference}", context.mode, context.key);
    if !REFERENCES.iter().any(|prefix| reference.starts_with(prefix)) {
        return Ok(format!("{nothing}: expected a payment's reference (in_…, pi_…, ch_…, cs_… or pay_…)"));
    }
    let other = Mode::of(context.mode == Mode::Test);
    match explain_reference(&context.ledger(), context.workspace, other, reference).await? {
        Explanation::Unknown => Ok(format!(
            "{nothing}: its events have not arrived (`commission-bridge events list` shows those that have)"
        )),
        _ => Ok(format!("{nothing}, but the {other} book knows it: --mode {other}")),
    }
}

fn print_text(explained: &Explained) {
    let Explained { payment_id, decision, entries } = explained;
    let money = |amount| Money::new(amount, decision.currency);
    outln!("Payment {}", decision.references.join(" · "));
    if let Some(id) = payment_id {
        outln!("  id          {id}");
    }
    outln!("  paid        {} on {} UTC", money(decision.paid), moment(decision.paid_at));
    if decision.taken_back > 0 {
        outln!("  taken back  {}", money(decision.taken_back));
    }
    outln!("  answer      {}: {}", decision.code, decision.code.sentence());
    if let Some(partner) = &decision.partner {
        let program = decision.program.as_deref().unwrap_or("none");
        outln!("  partner     {partner} (program {program})");
    }
    outln!("  commission  {}", money(decision.amount));
    for share in &decision.shares {
        outln!("  {:<10}  {} for {}", share.component.as_str(), money(share.amount), share.partner);
    }
    outln!("\nHow that came about");
    for line in &decision.trace {
        outln!("  · {line}");
    }
    if entries.is_empty() {
        return;
    }
    outln!("\nIn the ledger");
    let mut table = Rows::new(&[
        ("occurred", Align::Left),
        ("kind", Align::Left),
        ("partner", Align::Left),
        ("amount", Align::Right),
        ("available", Align::Left),
        ("reason", Align::Left),
        ("event", Align::Left),
    ]);
    for entry in entries {
        table.row([
            moment(entry.occurred_at),
            entry.kind.as_str().to_owned(),
            entry.partner.clone(),
            decimal_text(entry.amount, entry.currency),
            moment(entry.available_at),
            entry.reason.clone().unwrap_or_default(),
            entry.event_id.clone().unwrap_or_default(),
        ]);
    }
    table.print();
}
