//! A bank's status report on a file of credit transfers: which it takes, and which it rejects.

use sepa::pain002::{Pain002Document, PaymentInfoStatus, PaymentStatus, ReasonCode, TransactionStatus};

use super::super::marks;
use super::{Fate, Row, Said, Whom, limits, reasons};
use crate::imports::ImportError;

pub(super) fn read(xml: &str, file_name: &str) -> Result<Vec<Row>, ImportError> {
    let document = sepa::pain002::parse_pain002_with_limits(xml, limits());
    let document = document.map_err(|error| ImportError::one(file_name, None, None, error.to_string()))?;
    let mut rows = Vec::new();
    for block in &document.payment_info_statuses {
        for transaction in &block.transactions {
            let number = rows.len() + 1;
            rows.extend(of_transaction(number, transaction, block, &document));
        }
    }
    // What is said of a whole file goes for those of which nothing was said by itself.
    let mut files = Vec::new();
    for block in &document.payment_info_statuses {
        let id = block.original_payment_info_id.as_deref().unwrap_or(&document.original_msg_id);
        files.extend(of_file(id, block.status.as_ref(), &block.reason_codes, &block.additional_info));
    }
    if files.is_empty() {
        let Pain002Document { original_msg_id, group_status, group_reason_codes, group_additional_info, .. } =
            &document;
        files.extend(of_file(original_msg_id, group_status.as_ref(), group_reason_codes, group_additional_info));
    }
    for (whom, fate) in files {
        rows.push(Row { number: rows.len() + 1, whom, fate, said: None, external_id: None, day: None });
    }
    Ok(rows)
}

fn of_transaction(
    number: usize,
    transaction: &TransactionStatus,
    block: &PaymentInfoStatus,
    document: &Pain002Document,
) -> Option<Row> {
    let status = transaction.status.as_ref().or(block.status.as_ref()).or(document.group_status.as_ref())?;
    let ids = [&transaction.original_end_to_end_id, &transaction.original_instruction_id];
    let payout_id = ids.iter().find_map(|id| marks::find("po", id.as_deref()?));
    let name = ids.iter().find_map(|id| id.as_deref()).unwrap_or_default();
    let amount = transaction.original_amount_ct.filter(|amount| *amount >= 0);
    Some(Row {
        number,
        whom: payout_id.map_or_else(|| Whom::Other(super::short(name)), Whom::Payout),
        fate: fate(status, &transaction.reason_codes, &transaction.additional_info),
        said: amount.map(|amount| Said {
            amount: rust_decimal::Decimal::new(amount, 2),
            currency: transaction.original_currency.as_deref().and_then(|code| code.parse().ok()),
        }),
        external_id: None,
        day: None,
    })
}

fn of_file(id: &str, status: Option<&PaymentStatus>, codes: &[ReasonCode], added: &[String]) -> Option<(Whom, Fate)> {
    // Some of a file that is taken in part are not, and those are named.
    let status = status.filter(|status| **status != PaymentStatus::Part)?;
    let whom = marks::find("pf", id).map_or_else(|| Whom::Other(super::short(id)), Whom::File);
    Some((whom, fate(status, codes, added)))
}

fn fate(status: &PaymentStatus, codes: &[ReasonCode], added: &[String]) -> Fate {
    if status.is_accepted() {
        Fate::Sent
    } else if status.is_rejected() {
        let codes = codes.iter().map(ReasonCode::as_code);
        Fate::Failed(reasons::in_words(codes, &added.join(" "), "the bank rejected it, without a reason"))
    } else {
        let means = match status {
            PaymentStatus::Pdng => "the bank has not decided yet",
            PaymentStatus::Rcvc => "the name goes with the account",
            PaymentStatus::Rvmc => "the name almost goes with the account: the bank waits for your consent",
            PaymentStatus::Rvnm => "the name does not go with the account: the bank waits for your consent",
            PaymentStatus::Rvna => "nobody could say whether the name goes with the account",
            _ => "the bank says nothing that decides",
        };
        let code = std::iter::once(status.as_code());
        Fate::Waits(format!("{means}, {}", reasons::in_words(code, &added.join(" "), "")))
    }
}
