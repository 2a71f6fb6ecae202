//! Cells become values: each row typed, each fault with its row and column.

use chrono::{DateTime, NaiveDate, NaiveTime};

use super::columns::{self, Columns, Field, Format, Kind};
use super::fault::{Faults, ImportError, shown, without_email};
use super::table::{self, Row};
use crate::domain::currency::Currency;
use crate::domain::evidence::is_placeholder;
use crate::domain::lead::LeadBy;
use crate::domain::terms::{Method, PartnerKey, Status};
use crate::program::file::Moment;
use crate::program::valid;

/// A file without faults of its own.
#[derive(Debug, Clone)]
pub struct ImportFile {
    /// Its name, as whoever imports it knows it.
    pub file_name: String,
    /// What it lists.
    pub kind: Kind,
    /// Whose it is.
    pub format: Format,
    /// Headings that mean nothing here; never any in a file of this program's own.
    pub ignored_columns: Vec<String>,
    /// What was left out of single rows, and why.
    pub notes: Vec<String>,
    pub(super) columns: Columns,
    pub(super) rows: Rows,
}

/// The rows of a file.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    Partners(Vec<PartnerRow>),
    Customers(Vec<CustomerRow>),
    Codes(Vec<CodeRow>),
}

/// What a row says about a partner; what it does not say stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PartnerRow {
    pub(super) row: usize,
    /// None in another tool's file that has none.
    pub(super) key: Option<PartnerKey>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) legal_name: Option<String>,
    pub(super) country: Option<String>,
    pub(super) tax_id: Option<String>,
    pub(super) vat_id: Option<String>,
    pub(super) group: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) on_hold: Option<bool>,
    pub(super) note: Option<String>,
    pub(super) programs: Vec<String>,
    pub(super) method: Option<Method>,
    pub(super) account: Option<String>,
    pub(super) currency: Option<Currency>,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Whose {
    Key(PartnerKey),
    Email(String),
}

/// What a customer is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Customer {
    Stripe(String),
    Lead(LeadBy, String),
}

/// A customer and who brought them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CustomerRow {
    pub(super) row: usize,
    pub(super) customer: Customer,
    pub(super) partner: Whose,
    pub(super) program: Option<String>,
    pub(super) since: Option<Moment>,
}

/// A promotion code and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CodeRow {
    pub(super) row: usize,
    pub(super) code: String,
    pub(super) partner: Whose,
    pub(super) program: Option<String>,
}

/// Reads a file, or says all that is wrong with it. What it refers to (partners, programs) is checked by
/// [`plan`](super::plan()). Without a `format`, the headings tell whose file it is.
///
/// # Errors
/// All that is wrong, by row and column.
///
/// ```
/// use commission_bridge::imports::{Format, Kind, read};
///
/// let file = read(b"key;name\nacme;Acme Media\n", Kind::Partners, None, "partners.csv")?;
/// assert_eq!(file.format, Format::Bridge);
/// let error = read(b"key,email\nacme,nowhere\n", Kind::Partners, None, "partners.csv").unwrap_err();
/// assert_eq!((error.faults[0].row, error.faults[0].column.as_deref()), (Some(2), Some("email")));
/// # Ok::<(), commission_bridge::imports::ImportError>(())
/// ```
pub fn read(bytes: &[u8], kind: Kind, format: Option<Format>, file_name: &str) -> Result<ImportFile, ImportError> {
    let mut faults = Faults::default();
    let table = table::read(bytes, file_name, &mut faults)?;
    let format = match format {
        Some(format) => format,
        None => columns::detect(&table.headings, kind, file_name)?,
    };
    let mut heading_faults = Faults::default();
    let columns = columns::find(&table.headings, format, kind, &mut heading_faults);
    heading_faults.into_result(file_name)?;
    let mut reader = Reader { columns: &columns, format, faults, notes: Vec::new() };
    let rows = match kind {
        Kind::Partners => Rows::Partners(table.rows.iter().map(|row| reader.partner(row)).collect()),
        Kind::Customers => Rows::Customers(table.rows.iter().filter_map(|row| reader.customer(row)).collect()),
        Kind::Codes => Rows::Codes(table.rows.iter().filter_map(|row| reader.code(row)).collect()),
    };
    let Reader { faults, notes, .. } = reader;
    faults.into_result(file_name)?;
    let file_name = file_name.to_owned();
    Ok(ImportFile { file_name, kind, format, ignored_columns: columns.ignored.clone(), notes, columns, rows })
}

struct Reader<'a> {
    columns: &'a Columns,
    format: Format,
    faults: Faults,
    notes: Vec<String>,
}

impl Reader<'_> {
    /// A field's value, checked.
    fn get<T>(&mut self, row: &Row, field: Field, check: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (heading, cell) = self.columns.cell(&row.cells, field)?;
        match check(cell) {
            Ok(value) => Some(value),
            Err(why) => {
                self.faults.add(Some(row.number), Some(heading), without_email(why, cell));
                None
            }
        }
    }

    /// The same where other tools write what this program does not know: that is left out, and noted.
    fn get_known<T>(&mut self, row: &Row, field: Field, check: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.format == Format::Bridge {
            return self.get(row, field, check);
        }
        let (heading, cell) = self.columns.cell(&row.cells, field)?;
        let value = check(cell).ok();
        if value.is_none() {
            self.notes.push(format!("row {}, {heading}: {} was left out", row.number, shown(cell)));
        }
        value
    }

    fn text(&mut self, row: &Row, field: Field, what: &str) -> Option<String> {
        self.get(row, field, |text| valid::text(text, what))
    }

    /// Notes that a row lacks what it must have.
    fn missing(&mut self, row: &Row, fields: &[Field], what: &str) {
        let heading = fields.iter().find_map(|field| self.columns.heading(*field));
        self.faults.add(Some(row.number), heading, format!("is empty: expected {what}"));
    }

    fn partner(&mut self, row: &Row) -> PartnerRow {
        let key = self.get(row, Field::Key, |text| plain_key(text, valid::partner_key));
        let email = self.get(row, Field::Email, valid::email);
        let says = |field| self.columns.cell(&row.cells, field).is_some();
        if !says(Field::Key) && (self.format == Format::Bridge || !says(Field::Email)) {
            let what = if self.format == Format::Bridge { "a partner's key" } else { "a partner's key or e-mail" };
            self.missing(row, &[Field::Key, Field::Email], what);
        }
        let (method, account) = self.payout(row);
        PartnerRow {
            row: row.number,
            key,
            name: self.name(row),
            email,
            legal_name: self.text(row, Field::LegalName, "a name"),
            country: self.get_known(row, Field::Country, valid::country),
            tax_id: self.text(row, Field::TaxId, "a tax number"),
            vat_id: self.text(row, Field::VatId, "a VAT number"),
            group: self.text(row, Field::Group, "a group's name"),
            status: self.get_known(row, Field::Status, status),
            on_hold: self.get(row, Field::OnHold, flag),
            note: self.get(row, Field::Note, |text| valid::prose(text, "a note")),
            programs: self.get(row, Field::Programs, programs).unwrap_or_default(),
            method,
            account,
            currency: self.get(row, Field::PayoutCurrency, valid::currency),
        }
    }

    fn name(&mut self, row: &Row) -> Option<String> {
        if let Some(name) = self.text(row, Field::Name, "a name") {
            return Some(name);
        }
        let parts = [Field::FirstName, Field::LastName].map(|field| self.text(row, field, "a name"));
        let name: Vec<String> = parts.into_iter().flatten().collect();
        (!name.is_empty()).then(|| name.join(" "))
    }

    fn payout(&mut self, row: &Row) -> (Option<Method>, Option<String>) {
        for (field, method) in [(Field::PaypalEmail, Method::Paypal), (Field::WiseEmail, Method::Wise)] {
            if let Some(email) = self.get(row, field, valid::email) {
                return (Some(method), Some(email));
            }
        }
        (self.get(row, Field::PayoutMethod, valid::method), self.text(row, Field::PayoutAccount, "an account"))
    }

    fn customer(&mut self, row: &Row) -> Option<CustomerRow> {
        let by = [Field::Customer, Field::CustomerEmail];
        let said = by.into_iter().find(|field| self.columns.cell(&row.cells, *field).is_some());
        let customer = said.and_then(|field| self.get(row, field, customer));
        if said.is_none() {
            self.missing(row, &by, "a Stripe id (cus_…), a customer key or an e-mail");
        }
        let (partner, program, since) = (self.whose(row), self.program(row), self.get(row, Field::Since, since));
        Some(CustomerRow { row: row.number, customer: customer?, partner: partner?, program, since })
    }

    fn code(&mut self, row: &Row) -> Option<CodeRow> {
        let code = self.get(row, Field::Code, |text| plain_key(text, valid::promotion_code));
        if self.columns.cell(&row.cells, Field::Code).is_none() {
            self.missing(row, &[Field::Code], "a promotion code");
        }
        let (partner, program) = (self.whose(row), self.program(row));
        Some(CodeRow { row: row.number, code: code?, partner: partner?, program })
    }

    fn whose(&mut self, row: &Row) -> Option<Whose> {
        let by = [Field::Partner, Field::PartnerEmail];
        let Some(field) = by.into_iter().find(|field| self.columns.cell(&row.cells, *field).is_some()) else {
            self.missing(row, &by, "a partner's key");
            return None;
        };
        self.get(row, field, |text| {
            if text.contains('@') {
                valid::email(text).map(Whose::Email)
            } else {
                plain_key(text, valid::partner_key).map(Whose::Key)
            }
        })
    }

    fn program(&mut self, row: &Row) -> Option<String> {
        self.get(row, Field::Program, |text| plain_key(text, valid::program_key))
    }
}

/// A key that no spreadsheet has made something else of.
fn plain_key(text: &str, check: impl FnOnce(&str) -> Result<String, String>) -> Result<String, String> {
    if text.starts_with(['=', '+', '@']) {
        return Err(format!("{text:?} begins like a spreadsheet's formula"));
    }
    let (mantissa, exponent) = text.split_once("E+").unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(exponent) && digits(&mantissa.replacen(['.', ','], "", 1)) {
        return Err(format!("{text:?} is a number that a spreadsheet has rounded: format the column as text"));
    }
    check(text)
}

fn customer(text: &str) -> Result<Customer, String> {
    if text.starts_with("cus_") {
        return valid::key(text, "a Stripe customer's id").map(Customer::Stripe);
    }
    if text.contains('@') {
        return valid::email(text).map(|email| Customer::Lead(LeadBy::Email, LeadBy::Email.normal(&email)));
    }
    let key = plain_key(text, |text| valid::text(text, "a customer key"))?;
    if is_placeholder(&key) {
        return Err(format!("{key:?} is a placeholder and no customer's key"));
    }
    Ok(Customer::Lead(LeadBy::CustomerKey, key))
}

/// What tools call a partner who earns, and one who does not.
fn status(text: &str) -> Result<Status, String> {
    match text.to_lowercase().as_str() {
        "approved" | "accepted" | "enabled" => Ok(Status::Active),
        "pending" | "denied" | "rejected" | "suspended" | "disabled" | "blocked" | "archived" => Ok(Status::Inactive),
        other => valid::status(other),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    valid::word(text.to_lowercase().as_str(), &[("true", true), ("false", false), ("yes", true), ("no", false)])
}

/// Several are divided by blanks, `|`, `,` or `;`.
fn programs(text: &str) -> Result<Vec<String>, String> {
    let mut programs: Vec<String> = Vec::new();
    for key in text.split([' ', '|', ',', ';']).filter(|key| !key.is_empty()) {
        let key = plain_key(key, valid::program_key)?;
        if !programs.contains(&key) {
            programs.push(key);
        }
    }
    Ok(programs)
}

/// A moment, also as other tools write it: with ` UTC` behind it, as `Jan 31, 2026`, or in unix seconds or milliseconds.
fn since(text: &str) -> Result<Moment, String> {
    if let Some(utc) = text.strip_suffix("UTC").or_else(|| text.strip_suffix("+0000"))
        && let Ok(Moment::Local(local)) = valid::moment(utc)
    {
        return Ok(Moment::Exact(local.and_utc()));
    }
    if text.len() >= 10
        && let Ok(number) = text.parse::<i64>()
    {
        let time = if text.len() >= 13 {
            DateTime::from_timestamp_millis(number)
        } else {
            DateTime::from_timestamp(number, 0)
        };
        return time.map(Moment::Exact).ok_or_else(|| format!("{text:?} is no moment"));
    }
    let in_words = ["%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y"];
    match in_words.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok()) {
        Some(date) => Ok(Moment::Local(date.and_time(NaiveTime::MIN))),
        None => valid::moment(text),
    }
}
