//! The generic export: one row for each payout, all that a bookkeeper asks for, no system's own format.

use std::io;

use chrono::{NaiveDate, SecondsFormat};

use super::csv_cell;
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::mask::mask;
use crate::domain::money::decimal_text;
use crate::domain::terms::Method;

/// The columns, in order. Files name them; they are stable.
pub const COLUMNS: [&str; 33] = [
    "payout_id",
    "period_start",
    "period_end",
    "partner_id",
    "partner_key",
    "partner_name",
    "legal_name",
    "country",
    "tax_id",
    "vat_id",
    "method",
    "destination",
    "currency",
    "opening_balance",
    "earned",
    "reversed",
    "adjustments",
    "fee",
    "withheld",
    "closing",
    "paid",
    "minimum_met",
    "reference",
    "commission_count",
    "status",
    "sent_at",
    "settled_at",
    "failure_reason",
    "external_id",
    "paid_currency",
    "paid_amount",
    "fx_rate",
    "fx_day",
];

/// The longest reference that every way to pay can carry.
const REFERENCE: usize = 35;

/// One payout. Amounts are minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenericRow {
    /// `po_…`
    pub payout_id: String,
    /// First day of the month on the workspace's calendar.
    pub period_start: NaiveDate,
    /// Last day of the month.
    pub period_end: NaiveDate,
    /// The partner's id.
    pub partner_id: String,
    /// The partner's key.
    pub partner_key: String,
    /// Display name.
    pub partner_name: String,
    /// Name on legal papers.
    pub legal_name: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// Tax number.
    pub tax_id: Option<String>,
    /// VAT number.
    pub vat_id: Option<String>,
    /// How it is paid; none where nobody said.
    pub method: Option<Method>,
    /// Where to, in full: the file shows it masked.
    pub destination: Option<String>,
    /// Of every amount.
    pub currency: Currency,
    /// Rolled over from the month before.
    pub opening: i64,
    /// Earned since.
    pub earned: i64,
    /// Taken back since; positive.
    pub reversed: i64,
    /// Adjusted since.
    pub adjustments: i64,
    /// Fee that the partner bears.
    pub fee: i64,
    /// Tax withheld.
    pub withheld: i64,
    /// Rolled over to the month after.
    pub closing: i64,
    /// Paid out.
    pub paid: i64,
    /// Whether the minimum payout was reached.
    pub minimum_met: bool,
    /// What the partner's bank shows; cut to 35 characters.
    pub reference: String,
    /// How many commissions it pays.
    pub commission_count: u64,
    /// Where the payout stands.
    pub status: String,
    /// When it left.
    pub sent_at: Option<Time>,
    /// When it arrived.
    pub settled_at: Option<Time>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The other side's id (`tr_…`).
    pub external_id: Option<String>,
    /// In what it leaves.
    pub paid_currency: Currency,
    /// What leaves, in minor units of that.
    pub paid_amount: i64,
    /// Units of the paid currency for one of the ledger's, where they differ.
    pub fx_rate: Option<String>,
    /// The day for which the rate was published.
    pub fx_day: Option<String>,
}

/// Writes the columns' names and a line for each row.
///
/// # Errors
/// Where `to` cannot be written.
pub fn write(rows: &[GenericRow], to: impl io::Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(to);
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record(row.cells())?;
    }
    writer.flush()
}

impl GenericRow {
    fn cells(&self) -> [String; COLUMNS.len()] {
        let amount = |amount: i64| decimal_text(amount, self.currency);
        [
            text(&self.payout_id),
            self.period_start.to_string(),
            self.period_end.to_string(),
            text(&self.partner_id),
            text(&self.partner_key),
            text(&self.partner_name),
            optional(self.legal_name.as_ref()),
            optional(self.country.as_ref()),
            optional(self.tax_id.as_ref()),
            optional(self.vat_id.as_ref()),
            self.method.map(Method::as_str).unwrap_or_default().to_owned(),
            self.destination.as_ref().map(|destination| text(&mask(destination))).unwrap_or_default(),
            self.currency.to_string(),
            amount(self.opening),
            amount(self.earned),
            amount(self.reversed),
            amount(self.adjustments),
            amount(self.fee),
            amount(self.withheld),
            amount(self.closing),
            amount(self.paid),
            self.minimum_met.to_string(),
            text(&self.reference.chars().take(REFERENCE).collect::<String>()),
            self.commission_count.to_string(),
            text(&self.status),
            moment(self.sent_at),
            moment(self.settled_at),
            optional(self.failure_reason.as_ref()),
            optional(self.external_id.as_ref()),
            self.paid_currency.to_string(),
            decimal_text(self.paid_amount, self.paid_currency),
            self.fx_rate.clone().unwrap_or_default(),
            self.fx_day.clone().unwrap_or_default(),
        ]
    }
}

fn text(cell: &str) -> String {
    csv_cell::text(cell).into_owned()
}

fn optional(cell: Option<&String>) -> String {
    cell.map(|cell| text(cell)).unwrap_or_default()
}

fn moment(at: Option<Time>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn row() -> GenericRow {
        GenericRow {
            payout_id: "po_1".to_owned(),
            period_start: "2026-10-01".parse().unwrap(),
            period_end: "2026-10-31".parse().unwrap(),
            partner_id: "par_1".to_owned(),
            partner_key: "acme".to_owned(),
            partner_name: "Acme, \"Media\"".to_owned(),
            legal_name: Some("=cmd|'/c calc'!A1".to_owned()),
            country: Some("GB".to_owned()),
            tax_id: Some("-12345".to_owned()),
            vat_id: None,
            method: Some(Method::Stripe),
            destination: Some("acct_1NcQAbCd6789".to_owned()),
            currency: "usd".parse().unwrap(),
            opening: 0,
            earned: 125_000,
            reversed: 500,
            adjustments: -5,
            fee: 0,
            withheld: 0,
            closing: 0,
            paid: 124_495,
            minimum_met: true,
            reference: "Partner commission October 2026 äöü acme".to_owned(),
            commission_count: 12,
            status: "paid".to_owned(),
            sent_at: Some("2026-11-02T09:00:00.123Z".parse().unwrap()),
            settled_at: None,
            failure_reason: None,
            external_id: Some("tr_1".to_owned()),
            paid_currency: "eur".parse().unwrap(),
            paid_amount: 107_583,
            fx_rate: Some("0.8641548566".to_owned()),
            fx_day: Some("2026-10-30".to_owned()),
        }
    }

    fn written(rows: &[GenericRow]) -> String {
        let mut bytes = Vec::new();
        write(rows, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rows_are_written_as_a_bookkeeper_reads_them() {
        let yen = GenericRow {
            currency: "jpy".parse().unwrap(),
            method: Some(Method::Sepa),
            destination: Some("DE02 1203 0000 0000 2012 34".to_owned()),
            reference: "@acme".to_owned(),
            ..row()
        };
        let dinar = GenericRow {
            currency: "kwd".parse().unwrap(),
            method: None,
            destination: None,
            paid: 0,
            closing: -5,
            minimum_met: false,
            status: "rolled_over".to_owned(),
            sent_at: None,
            failure_reason: Some("negative\r\nbalance".to_owned()),
            ..row()
        };
        assert_snapshot!(written(&[row(), yen, dinar]));
    }

    #[test]
    fn the_headings_are_there_without_rows_and_lines_end_in_a_line_feed() {
        assert_eq!(written(&[]), format!("{}\n", COLUMNS.join(",")));
        assert!(!written(&[row()]).contains('\r'));
    }

    #[test]
    fn references_fit_every_way_to_pay() {
        let file = written(&[row()]);
        let mut reader = csv::Reader::from_reader(file.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(record[22].chars().count(), 35);
        assert_eq!(&record[11], "acct_…6789");
    }
}
