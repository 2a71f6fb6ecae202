//! Results in a file of one's own: `payout_id,status,external_id,reason`. A generic export whose last columns were filled
//! in is one, too.

use super::columns::Columns;
use super::{Fate, Row, Whom, short};
use crate::imports::ImportError;
use crate::imports::fault::Faults;

pub(super) fn read(bytes: &[u8], file_name: &str) -> Result<Vec<Row>, ImportError> {
    let mut faults = Faults::default();
    let columns = Columns::read(bytes, file_name, &["payoutid"], &mut faults)?;
    let id = columns.need(&["payoutid"], "payout_id", file_name)?;
    let status = columns.need(&["status"], "status", file_name)?;
    let external_id = columns.find(&["externalid"]);
    let reason = columns.find(&["reason", "failurereason"]);
    let amount = columns.find(&["amount", "paidamount"]);
    let currency = columns.find(&["paidcurrency", "currency"]);
    let mut rows = Vec::new();
    for line in columns.lines() {
        let Some(payout_id) = line.cell(Some(id)) else {
            line.fault(&mut faults, id, "is empty: expected a payout's id");
            continue;
        };
        let why = line.cell(reason).map(short);
        let fate = match fate(line.cell(Some(status)).unwrap_or_default(), why.as_deref()) {
            Ok(fate) => fate,
            Err(message) => {
                line.fault(&mut faults, status, message);
                continue;
            }
        };
        rows.push(Row {
            number: line.number,
            whom: Whom::Payout(payout_id.to_owned()),
            fate,
            said: line.said(amount, currency, &mut faults),
            external_id: line.cell(external_id).map(short),
            day: None,
        });
    }
    faults.into_result(file_name)?;
    Ok(rows)
}

fn fate(status: &str, why: Option<&str>) -> Result<Fate, String> {
    let because = |unsaid: &str| why.map_or_else(|| unsaid.to_owned(), str::to_owned);
    Ok(match status.to_lowercase().as_str() {
        "sent" => Fate::Sent,
        "settled" | "paid" => Fate::Settled,
        "failed" => Fate::Failed(because("failed, by a file of results")),
        "returned" => Fate::Returned(because("returned, by a file of results")),
        "ready" | "sending" | "blocked" | "canceled" | "" => Fate::Waits(format!("{status:?} is no result")),
        _ => return Err(format!("{status:?} is unknown: expected sent, settled, failed or returned")),
    })
}
