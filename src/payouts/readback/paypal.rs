//! `PayPal`'s results of an upload of payouts. Its reports name their columns in several ways; all that are known count.

use super::super::marks;
use super::columns::{Columns, Line};
use super::{Fate, Row, Whom, short};
use crate::imports::ImportError;
use crate::imports::fault::Faults;

const STATUS: [&str; 6] =
    ["transactionstatus", "payoutitemstatus", "itemstatus", "payoutstatus", "payoutsstatus", "status"];
/// Where our id of the payout can stand, the surest first.
const IDS: [&str; 16] = [
    "senderitemid",
    "customerid",
    "uniqueid",
    "recipientuniqueid",
    "uniqueidentifier",
    "customidentifier",
    "customnumber",
    "custom",
    "invoicenumber",
    "invoiceid",
    "referenceid",
    "note",
    "notes",
    "notetorecipient",
    "message",
    "memo",
];
const AMOUNT: [&str; 9] = [
    "payoutitemamount",
    "itemamount",
    "payoutamount",
    "amountvalue",
    "amount",
    "grossamount",
    "gross",
    "transactionamount",
    "amountsent",
];
const CURRENCY: [&str; 6] =
    ["payoutitemcurrency", "itemcurrency", "amountcurrency", "currencycode", "currency", "transactioncurrency"];
const EXTERNAL_ID: [&str; 6] =
    ["transactionid", "paypaltransactionid", "payoutitemid", "payoutsitemid", "itemid", "paypalid"];
const REASON: [&str; 11] = [
    "errormessage",
    "errorsmessage",
    "errordescription",
    "failurereason",
    "reasondescription",
    "reason",
    "error",
    "errors",
    "errorname",
    "errorcode",
    "reasoncode",
];

pub(super) fn read(bytes: &[u8], file_name: &str) -> Result<Vec<Row>, ImportError> {
    let mut faults = Faults::default();
    let columns = Columns::read(bytes, file_name, &STATUS, &mut faults)?;
    let status = columns.need(&STATUS, "the payouts' status", file_name)?;
    let ids: Vec<usize> = IDS.iter().filter_map(|name| columns.find(&[name])).collect();
    if ids.is_empty() {
        columns.need(&IDS, "the customer id or the note, which name the payout", file_name)?;
    }
    let (amount, currency) = (columns.find(&AMOUNT), columns.find(&CURRENCY));
    let (external_id, reason) = (columns.find(&EXTERNAL_ID), columns.find(&REASON));
    let mut rows = Vec::new();
    for line in columns.lines() {
        let Some(state) = line.cell(Some(status)) else { continue };
        let whom = whom(&line, &ids);
        let fate = match fate(state, line.cell(reason)) {
            Some(fate) => fate,
            None if matches!(whom, Whom::Other(_)) => Fate::Waits(format!("{state:?} is unknown")),
            None => {
                line.fault(&mut faults, status, unknown(state));
                continue;
            }
        };
        rows.push(Row {
            number: line.number,
            said: if matches!(whom, Whom::Other(_)) { None } else { line.said(amount, currency, &mut faults) },
            whom,
            fate,
            external_id: line.cell(external_id).map(short),
            day: None,
        });
    }
    faults.into_result(file_name)?;
    Ok(rows)
}

fn unknown(state: &str) -> String {
    format!(
        "{:?} is unknown: expected SUCCESS, FAILED, PENDING, UNCLAIMED, RETURNED, ONHOLD, BLOCKED, REFUNDED or REVERSED",
        short(state)
    )
}

fn whom(line: &Line<'_>, ids: &[usize]) -> Whom {
    let cells = || ids.iter().filter_map(|at| line.cell(Some(*at)));
    match cells().find_map(|cell| marks::find("po", cell)) {
        Some(payout_id) => Whom::Payout(payout_id),
        None => Whom::Other(cells().next().map(short).unwrap_or_default()),
    }
}

/// What a state means. Money that `PayPal` holds, blocks or keeps for whoever has not claimed it has left: it is on its
/// way until it arrives or comes back.
fn fate(state: &str, why: Option<&str>) -> Option<Fate> {
    let plain: String = state.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_uppercase();
    let because = |means: &str| match why {
        Some(why) => format!("PayPal: {means} ({})", short(why)),
        None => format!("PayPal: {means}"),
    };
    Some(match plain.as_str() {
        "SUCCESS" | "SUCCESSFUL" | "COMPLETED" | "CLAIMED" => Fate::Settled,
        "PENDING" | "PROCESSING" | "UNCLAIMED" | "ONHOLD" | "BLOCKED" => Fate::Sent,
        "FAILED" | "DENIED" => Fate::Failed(because("the payment failed")),
        "RETURNED" => Fate::Returned(because("nobody claimed it, and it came back")),
        "REFUNDED" => Fate::Returned(because("it was refunded")),
        "REVERSED" => Fate::Returned(because("it was reversed")),
        _ => return None,
    })
}
