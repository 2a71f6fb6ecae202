//! `report`: a month in figures, by partner, link or product.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, out, outln};
use super::table::{Align, Rows, print_json};
use crate::config::Config;
use crate::domain::calendar::Month;
use crate::domain::money::decimal_text;
use crate::payouts::csv_cell;
use crate::reports::{Asked, Report, ReportError, ReportShape, Row, Sums, make};
use crate::store::reports::By;

/// A month in figures: who came, who paid, who left, what recurs, what it earned.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// By partner
    #[command(after_help = "Example:\n  commission-bridge report partners --month 2026-10")]
    Partners(Arguments),
    /// By link: what came by clicks on it
    #[command(after_help = "Example:\n  commission-bridge report links --month 2026-10 --csv > links.csv")]
    Links(Arguments),
    /// By product, of what partners brought
    #[command(after_help = "Example:\n  commission-bridge report products --month 2026-10 --json")]
    Products(Arguments),
}

#[derive(Debug, Args)]
pub struct Arguments {
    /// The month, by the workspace's clock; one that runs is reported as it stands now
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: a line for each currency, counts on the first
    #[arg(long)]
    csv: bool,
}

/// The columns, in order. Stable.
const HEADER: [&str; 12] = [
    "subject",
    "partner_key",
    "currency",
    "clicks",
    "new_customers",
    "paying_customers",
    "churned_customers",
    "mrr_start",
    "mrr_end",
    "revenue",
    "refunds",
    "commission",
];

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let (by, arguments) = match command {
        Command::Partners(arguments) => (By::Partner, arguments),
        Command::Links(arguments) => (By::Link, arguments),
        Command::Products(arguments) => (By::Product, arguments),
    };
    let context = Context::open(config, &arguments.which).await?;
    context.catch_up().await?;
    let mut tx = context.db.read().await?;
    let terms = context.db.terms(&mut tx, context.workspace).await?;
    let asked = Asked { workspace: context.workspace, mode: context.mode, by, month: arguments.month };
    let report = make(&mut tx, &asked, &terms, context.clock.now()).await.map_err(|error| match error {
        ReportError::Store(error) => Failure::Store(error),
        error => Failure::Said(error.to_string()),
    })?;
    tx.rollback().await?;
    if arguments.json {
        let shape = ReportShape::new(&report, by, context.mode);
        let json = serde_json::to_value(shape).map_err(|error| Failure::Said(error.to_string()))?;
        print_json(&json)?;
    } else if arguments.csv {
        print_csv(&report)?;
    } else {
        print_text(&report, by);
    }
    context.say_book(&arguments.which);
    Ok(())
}

/// A row's lines: one for each currency, one without where there was no money.
fn lines(row: &Row) -> Vec<(bool, Option<&Sums>)> {
    if row.sums.is_empty() {
        return vec![(true, None)];
    }
    row.sums.iter().enumerate().map(|(index, sums)| (index == 0, Some(sums))).collect()
}

fn counts(row: &Row, is_first: bool) -> [String; 4] {
    let count = |count: i64| if is_first { count.to_string() } else { String::new() };
    [count(row.clicks), count(row.new_customers), count(row.paying_customers), count(row.churned_customers)]
}

fn figures(sums: Option<&Sums>) -> [String; 5] {
    sums.map_or_else(Default::default, |sums| {
        [sums.mrr_start, sums.mrr_end, sums.revenue, sums.refunds, sums.commission]
            .map(|amount| decimal_text(amount, sums.currency))
    })
}

fn currency(sums: Option<&Sums>) -> String {
    sums.map_or_else(String::new, |sums| sums.currency.to_string())
}

fn print_text(report: &Report, by: By) {
    if report.rows.is_empty() {
        outln!("Partners brought nothing in {}.", report.month);
        return;
    }
    let subject = match by {
        By::Partner => "partner",
        By::Link => "link",
        By::Product => "product",
    };
    let mut columns = vec![(subject, Align::Left), ("currency", Align::Left)];
    columns.extend((by != By::Product).then_some(("clicks", Align::Right)));
    let further = ["new", "paying", "churned", "MRR at start", "MRR at end", "revenue", "refunds", "commission"];
    columns.extend(further.map(|heading| (heading, Align::Right)));
    let mut table = Rows::new(&columns);
    let mut add = |head: [String; 2], counts: [String; 4], figures: [String; 5]| {
        let counts = counts.into_iter().skip(usize::from(by == By::Product));
        table.row_of(head.into_iter().chain(counts).chain(figures).collect());
    };
    for row in &report.rows {
        for (is_first, sums) in lines(row) {
            let subject = row.subject.clone().unwrap_or_else(|| "(not known)".to_owned());
            add([if is_first { subject } else { String::new() }, currency(sums)], counts(row, is_first), figures(sums));
        }
    }
    for sums in &report.totals {
        add(["in all".to_owned(), sums.currency.to_string()], Default::default(), figures(Some(sums)));
    }
    if let Some(sums) = report.total.as_ref().filter(|sums| report.totals != [**sums]) {
        add(["in all, as".to_owned(), sums.currency.to_string()], Default::default(), figures(Some(sums)));
    }
    table.print();
    if let Some(base) = &report.base {
        for currency in &base.missing {
            let (to, day) = (base.currency, base.day);
            note!("no rate from {currency} to {to} is known for {day}: see `commission-bridge fx`");
        }
        let days = base.rates.values().map(|rate| rate.day).min();
        if let Some(day) =
            days.filter(|_| report.total.is_some() && base.rates.keys().any(|from| *from != base.currency))
        {
            note!("amounts in {} by the rates of {day}", base.currency);
        }
    }
}

fn print_csv(report: &Report) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let broken = |_| Failure::Said("cannot write the report".to_owned());
    csv.write_record(HEADER).map_err(broken)?;
    for row in &report.rows {
        for (is_first, sums) in lines(row) {
            let text = |text: &Option<String>| csv_cell::text(text.as_deref().unwrap_or_default()).into_owned();
            let mut record = vec![text(&row.subject), text(&row.partner), currency(sums)];
            record.extend(counts(row, is_first));
            record.extend(figures(sums));
            csv.write_record(record).map_err(broken)?;
        }
    }
    let bytes = csv.into_inner().map_err(|_| Failure::Said("cannot write the report".to_owned()))?;
    out!("{}", String::from_utf8_lossy(&bytes));
    Ok(())
}
