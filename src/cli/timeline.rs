//! `timeline`: what became of a customer's subscriptions and payments.

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{Align, Rows, moment as time, print_json};
use crate::config::Config;
use crate::ledger::timeline::{MomentShape, Told, of_reference, sentence};

/// Show what became of a customer: subscriptions started, changed and ended, payments failed, made and taken back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge timeline cus_Nabc")]
pub struct Arguments {
    /// The customer, or any reference of theirs: cus_…, sub_…, in_…, pi_…, ch_…, cs_…, pay_… or your own key
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
    let reference = arguments.reference.as_str();
    let (customer, moments) = match of_reference(&context.ledger(), context.workspace, context.mode, reference).await? {
        Told::Moments(customer, moments) => (customer, moments),
        Told::Unknown => {
            let (book, key) = (context.mode, &context.key);
            return Err(Failure::Said(format!(
                "nothing in the {book} book of workspace {key} names {reference}: its events have not arrived \
                 (`commission-bridge events list` shows those that have)"
            )));
        }
        Told::Unreadable(reason) => return Err(Failure::Said(format!("{reference} cannot be told: {reason}"))),
    };
    if arguments.json {
        let moments: Vec<MomentShape> = moments.iter().map(MomentShape::from).collect();
        return print_json(&serde_json::json!({ "customer_id": customer, "moments": moments }));
    }
    if moments.is_empty() {
        outln!("Nothing has happened yet.");
        return Ok(());
    }
    let mut table = Rows::new(&[("when (UTC)", Align::Left), ("about", Align::Left), ("what happened", Align::Left)]);
    for moment in &moments {
        let when = format!("{}{}", time(moment.at), if moment.is_assumed { " or before" } else { "" });
        let about = moment.payment.as_ref().or(moment.subscription.as_ref());
        table.row([when, about.cloned().unwrap_or_default(), sentence(moment)]);
    }
    table.print();
    Ok(())
}
