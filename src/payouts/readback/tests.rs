//! What readers make of files, and that no file is too odd.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

const ONE: &str = "po_0198c0de4a7b7f3e9d21aa55bb66cc01";

fn payout(number: u32) -> String {
    format!("po_{number:032x}")
}

fn told(format: ResultFormat, text: &str) -> String {
    match read(format, text.as_bytes(), "results") {
        Ok(rows) => rows.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    }
}

fn line(row: &Row) -> String {
    let whom = match &row.whom {
        Whom::Payout(id) => id.clone(),
        Whom::File(id) => format!("all of {id}"),
        Whom::Other(name) => format!("not ours: {name:?}"),
    };
    let said = row.said.map_or_else(String::new, |said| {
        format!(" {} {}", said.amount, said.currency.map(|currency| currency.to_string()).unwrap_or_default())
    });
    let day = row.day.map(|day| format!(" on {day}")).unwrap_or_default();
    let id = row.external_id.as_ref().map(|id| format!(" as {id}")).unwrap_or_default();
    let why = row.fate.why().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {whom}{said}{day}{id} {}{why}", row.number, row.fate.as_str())
}

#[test]
fn a_file_of_ones_own() {
    let good = format!(
        "payout_id,status,external_id,reason\n{},settled,TX1,\n{},Sent,,\n{},failed,,no such account\n{},returned,,\n\
         {},ready,,\n",
        payout(1),
        payout(2),
        payout(3),
        payout(4),
        payout(5)
    );
    let generic = format!(
        "payout_id;period_start;currency;paid;status;failure_reason;external_id;paid_currency;paid_amount\n{};2026-10-01;usd;100.00;settled;;'=1;eur;86,42\n",
        payout(1)
    );
    let bad =
        format!("payout_id,status,amount,currency\n,settled,,\n{ONE},lost,,\n{ONE},settled,1e3,\n{ONE},sent,1,euros\n");
    let mut all =
        vec![told(ResultFormat::Csv, &good), told(ResultFormat::Csv, &generic), told(ResultFormat::Csv, &bad)];
    for text in ["", "payout_id,status\n", "payout_id,external_id\npo_1,1\n", "status\nsent\n", "a\u{0}b"] {
        all.push(told(ResultFormat::Csv, text));
    }
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn paypals_results_by_whatever_they_are_called() {
    let short = |number| super::super::marks::short(&payout(number)).unwrap();
    let states = [
        "SUCCESS",
        "FAILED",
        "PENDING",
        "UNCLAIMED",
        "RETURNED",
        "ONHOLD",
        "On Hold",
        "BLOCKED",
        "REFUNDED",
        "REVERSED",
    ];
    let mut one =
        "Recipient,Amount,Currency,Customer ID,Note,Transaction ID,Transaction Status,Error message\n".to_owned();
    for (number, state) in (1..).zip(states) {
        let why = if state == "FAILED" { "Receiver is unregistered" } else { "" };
        let short = short(number);
        let _ = writeln!(one, "a@b.example,\"1,244.95\",USD,{short},Thanks,TX{number},{state},{why}");
    }
    let other = format!(
        "Mass payment of October\nBatch,X1\n\nPayout item ID;Unique ID;Gross;Currency code;Status;Note to recipient\n\
         I1;;-124,95;EUR;Completed;acme-2026-10 ({ONE})\nI2;other;1.00;EUR;Completed;thanks\nI3;;1.00;EUR;;\n"
    );
    let bad = format!("Customer ID,Status,Amount\n{},LOST,1\n{},SUCCESS,one\nother,LOST,one\n", short(1), short(2));
    let mut all: Vec<String> = [&one, &other, &bad].iter().map(|text| told(ResultFormat::Paypal, text)).collect();
    for text in ["", "Customer ID,Amount\nx,1\n", "Status,Amount\nSUCCESS,1\n"] {
        all.push(told(ResultFormat::Paypal, text));
    }
    assert_snapshot!(all.join("\n\n"));
}

/// A status report; `blocks` stand behind the group.
fn pain002(group: &str, blocks: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt>\
         <GrpHdr><MsgId>BANK1</MsgId><CreDtTm>2026-11-06T10:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>\
         <OrgnlMsgId>pf-00000000000000000000000000000009</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>\
         {group}</OrgnlGrpInfAndSts>{blocks}</CstmrPmtStsRpt></Document>"
    )
}

fn transaction(number: u32, status: &str, rest: &str) -> String {
    format!(
        "<TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>{status}</TxSts>{rest}</TxInfAndSts>",
        payout(number).replace('_', "-")
    )
}

#[test]
fn banks_take_or_reject() {
    let why = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>Konto\naufgeloest</AddtlInf></StsRsnInf>";
    let amount = "<OrgnlTxRef><Amt><InstdAmt Ccy=\"EUR\">12.50</InstdAmt></Amt></OrgnlTxRef>";
    let block = |inner: &str| {
        format!(
            "<OrgnlPmtInfAndSts><OrgnlPmtInfId>pf-00000000000000000000000000000009</OrgnlPmtInfId>{inner}\
             </OrgnlPmtInfAndSts>"
        )
    };
    let some = block(&format!(
        "{}{}{}{}",
        transaction(1, "RJCT", why),
        transaction(2, "ACSC", amount),
        transaction(3, "PDNG", ""),
        transaction(4, "RVNM", ""),
    ));
    let all = [
        pain002("<GrpSts>ACCP</GrpSts>", ""),
        pain002("<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>", ""),
        pain002("<GrpSts>PART</GrpSts>", &some),
        pain002("<GrpSts>PART</GrpSts>", &block("<PmtInfSts>RJCT</PmtInfSts>")),
        pain002("", ""),
        pain002("<GrpSts>ACCP</GrpSts>", "").replace("pf-0000", "other-"),
        "<Document/>".to_owned(),
        "<!DOCTYPE x><Document/>".to_owned(),
        "no xml".to_owned(),
    ];
    assert_snapshot!(all.iter().map(|text| told(ResultFormat::Pain002, text)).collect::<Vec<_>>().join("\n\n"));
}

fn camt054(entries: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.054.001.08\"><BkToCstmrDbtCdtNtfctn><GrpHdr>\
         <MsgId>M</MsgId><CreDtTm>2026-11-10T23:59:00</CreDtTm></GrpHdr><Ntfctn><Id>N</Id>{entries}</Ntfctn>\
         </BkToCstmrDbtCdtNtfctn></Document>"
    )
}

fn booking(amount: &str, direction: &str, status: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>\
         <BookgDt><Dt>2026-11-10</Dt></BookgDt><AcctSvcrRef>REF1</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly>\
         <Cd>ICDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

fn detail(number: u32, rest: &str) -> String {
    let id = payout(number).replace('_', "-");
    format!("<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs>{rest}</TxDtls>")
}

#[test]
fn banks_book_what_left_and_what_came_back() {
    let back = "<RtrInf><Rsn><Cd>MD07</Cd></Rsn></RtrInf>";
    let own = |amount: &str| format!("<Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd>");
    let batch = "<Btch><MsgId>pf-00000000000000000000000000000009</MsgId><NbOfTxs>2</NbOfTxs></Btch>";
    let all = [
        camt054(&booking("12.50", "DBIT", "BOOK", &detail(1, ""))),
        camt054(&booking("30.00", "DBIT", "BOOK", &(detail(1, &own("10.00")) + &detail(2, &own("20.00"))))),
        camt054(&booking("12.00", "CRDT", "BOOK", &detail(1, back))),
        camt054(&booking("12.50", "DBIT", "PDNG", &detail(1, ""))),
        camt054(&booking("30.00", "DBIT", "BOOK", batch)),
        camt054(&booking("30.00", "CRDT", "BOOK", "<TxDtls><Refs><EndToEndId>RE-1</EndToEndId></Refs></TxDtls>")),
        camt054(&booking("12.50", "WHAT", "BOOK", &detail(1, ""))),
        camt054(&booking("", "CRDT", "BOOK", &detail(1, back))),
        camt054(""),
        "<Document/>".to_owned(),
    ];
    assert_snapshot!(all.iter().map(|text| told(ResultFormat::Camt054, text)).collect::<Vec<_>>().join("\n\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), heading in any::<bool>()) {
        for format in ResultFormat::ALL {
            let mut text = if heading { b"payout_id,status,customer id,amount,currency\n".to_vec() } else { Vec::new() };
            text.extend(&bytes);
            let _ = read(format, &text, "results");
        }
    }

    #[test]
    fn no_change_of_a_good_file_is_too_odd(at in 0_usize..1200, with in ".{0,5}", until in 0_usize..40) {
        let why = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>";
        let files = [
            (ResultFormat::Csv, format!("payout_id,status,amount\n{ONE},settled,12.50\n")),
            (ResultFormat::Paypal, format!("Note,Status,Amount\n{ONE},SUCCESS,12.50\n")),
            (ResultFormat::Pain002, pain002("<GrpSts>PART</GrpSts>", &format!(
                "<OrgnlPmtInfAndSts>{}</OrgnlPmtInfAndSts>", transaction(1, "RJCT", why)))),
            (ResultFormat::Camt054, camt054(&booking("12.50", "DBIT", "BOOK", &detail(1, "")))),
        ];
        for (format, file) in files {
            let start = at % file.len();
            let end = (start + until).min(file.len());
            let changed = format!("{}{with}{}", &file[..start], &file[end..]);
            let _ = read(format, changed.as_bytes(), "results");
        }
    }
}
