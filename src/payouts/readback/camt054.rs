//! A bank's notice of what it booked: debits are payouts that left, credits with our reference are money that came back.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use sepa::camt::{CashEntry, EntryDetail, EntryStatus, ReportedAmount};
use sepa::camt054::CreditDebitIndicator;

use super::super::marks;
use super::{Fate, Row, Said, Whom, limits, reasons, short};
use crate::imports::ImportError;
use crate::imports::fault::Faults;

pub(super) fn read(xml: &str, file_name: &str) -> Result<Vec<Row>, ImportError> {
    let document = sepa::camt054::parse_camt054_with_limits(xml, limits());
    let document = document.map_err(|error| ImportError::one(file_name, None, None, error.to_string()))?;
    let (mut rows, mut faults) = (Vec::new(), Faults::default());
    for entry in document.notifications.iter().flat_map(|notification| &notification.entries) {
        let mut details = entry.details.iter().filter(|detail| of_payout(detail).is_some()).peekable();
        if details.peek().is_none() {
            rows.push(whole(rows.len() + 1, entry, &mut faults));
        }
        for detail in details {
            let number = rows.len() + 1;
            let (direction, said) = (detail.amount.direction, detail_amount(entry, detail));
            let whom = of_payout(detail).map_or_else(|| Whom::Other(String::new()), Whom::Payout);
            rows.push(row(
                number,
                entry,
                Some(detail),
                (whom, direction.or(entry.amount.direction)),
                said,
                &mut faults,
            ));
        }
    }
    faults.into_result(file_name)?;
    Ok(rows)
}

fn of_payout(detail: &EntryDetail) -> Option<String> {
    let texts = [&detail.end_to_end_id, &detail.reference];
    texts.iter().find_map(|text| marks::find("po", text.as_deref()?))
}

/// A booking of a whole file, or of something that is not ours.
fn whole(number: usize, entry: &CashEntry, faults: &mut Faults) -> Row {
    let batch = entry.batch.as_ref();
    let ids = batch.map(|batch| [batch.payment_info_id.as_deref(), batch.message_id.as_deref()]);
    let file = ids.into_iter().flatten().flatten().find_map(|id| marks::find("pf", id));
    let whom = match file {
        Some(file_id) => Whom::File(file_id),
        None => {
            Whom::Other(entry.end_to_end_id().or(entry.account_servicer_ref.as_deref()).map(short).unwrap_or_default())
        }
    };
    row(number, entry, None, (whom, entry.amount.direction), said(&entry.amount), faults)
}

fn row(
    number: usize,
    entry: &CashEntry,
    detail: Option<&EntryDetail>,
    (whom, direction): (Whom, Option<CreditDebitIndicator>),
    said: Option<Said>,
    faults: &mut Faults,
) -> Row {
    let ours = !matches!(whom, Whom::Other(_));
    let fate = match (&entry.status, direction) {
        _ if !ours => Fate::Waits("not a payout of ours".to_owned()),
        (EntryStatus::Booked, Some(CreditDebitIndicator::Debit)) => Fate::Settled,
        (EntryStatus::Booked, Some(CreditDebitIndicator::Credit)) => {
            let code = detail.and_then(|detail| detail.return_reason_code.as_deref());
            let added = detail.and_then(|detail| detail.return_additional_info.as_deref());
            let why = reasons::in_words(code.into_iter(), added.unwrap_or_default(), "the bank sent it back");
            Fate::Returned(why)
        }
        (EntryStatus::Booked, _) => {
            faults.add(Some(number), None, "does not say whether money left or came: ask the bank");
            Fate::Waits("no direction".to_owned())
        }
        _ => Fate::Waits("not booked yet".to_owned()),
    };
    if ours && said.is_none() && matches!(fate, Fate::Returned(_)) {
        faults.add(Some(number), None, "does not say how much came back: ask the bank");
    }
    let day = entry.booking_date().or(entry.value_date());
    Row {
        number,
        whom,
        fate,
        said,
        external_id: entry.account_servicer_ref.as_deref().map(short).filter(|id| !id.is_empty()),
        day: day.and_then(|day| {
            NaiveDate::from_ymd_opt(i32::from(day.year()), u32::from(day.month()), u32::from(day.day()))
        }),
    }
}

fn said(amount: &ReportedAmount) -> Option<Said> {
    let currency = amount.currency.as_deref().and_then(|code| code.parse().ok());
    Some(Said { amount: Decimal::new(amount.ct?.checked_abs()?, 2), currency })
}

/// A transaction's own amount; a booking's where it has a single one.
fn detail_amount(entry: &CashEntry, detail: &EntryDetail) -> Option<Said> {
    let own = said(&detail.amount);
    if own.is_none() && entry.details.len() == 1 && !entry.batch_booked { said(&entry.amount) } else { own }
}
