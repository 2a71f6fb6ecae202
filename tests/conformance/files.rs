//! Payment files: made once, the same ever after, equal to batch and ledger; and what became of them, read back.

use std::collections::BTreeMap;

use commission_bridge::admin::fx;
use commission_bridge::domain::Time;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::terms::{Change, Method, PayoutMethod, Profile, SepaDebtor, Settings};
use commission_bridge::fx::{ECB, ecb};
use commission_bridge::payouts::batch::{self, Done, PayoutError};
use commission_bridge::payouts::files::{self, FileError};
use commission_bridge::payouts::formats::Format;
use commission_bridge::payouts::outcome::{self, InFile};
use commission_bridge::payouts::readback::{self, ResultFormat};
use commission_bridge::payouts::results::{self, Did, ResultsError};
use commission_bridge::payouts::{marks, totals};
use commission_bridge::store::payout_files::{self, PayoutFile};
use commission_bridge::store::payouts::{self, Payout};
use commission_bridge::store::{Mode, batches};
use serde_json::json;

use crate::harness::{World, invoice_paid, partner, program, settings};

crate::on_both_engines!(
    files_batch_and_ledger_agree,
    two_who_export_at_once_make_one_set,
    what_is_in_the_way_is_told_before_anything_is_made,
    paypals_results_are_applied_all_or_nothing,
    banks_answers_concern_whole_files_too,
);

const MONTH: &str = "2026-10";
const IBAN: &str = "DE02120300000000202051";

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn own(change: impl Fn(&mut Settings)) -> Change {
    settings(|own| {
        own.sepa =
            Some(SepaDebtor { name: "Merchant".to_owned(), iban: "DE89370400440532013000".to_owned(), bic: None });
        own.base_currency = Some("eur".parse().unwrap());
        change(own);
    })
}

fn paid_by(key: &str, method: Method, account: &str, currency: Option<&str>) -> Change {
    let currency = currency.map(|code| code.parse().unwrap());
    let account = Some(account.to_owned()).filter(|account| !account.is_empty());
    let payout = Some(PayoutMethod { method, account, currency });
    Change::Partner {
        partner: key.to_owned(),
        profile: Profile { name: format!("{key} Media"), payout, ..Profile::default() },
    }
}

/// October's batch, approved: so many partners who are paid in a way, each 20.00 usd.
async fn a_month(world: &World, ways: &[(&str, Method, &str, Option<&str>)]) {
    world.enter(&[program(), own(|_| {})]).await;
    let rates = ecb::read(b"Date,USD,GBP\n2026-10-30,1.1572,0.8700\n").unwrap();
    for (number, (key, method, account, currency)) in (1..).zip(ways) {
        world.enter(&partner(key)).await;
        world.enter(&[paid_by(key, *method, account, *currency)]).await;
        let sale = invoice_paid(number, &format!("cus_{number}"), &json!({"partner_key": key}));
        world.receive(&[sale]).await;
    }
    world.clock.advance(at("2026-11-02T09:00:00Z") - world.now());
    world.work().await;
    let mut session = world.session().await;
    fx::import(&mut session, &rates, ECB).await.unwrap();
    let (tx, by) = session.parts();
    batch::close(tx, by, Mode::Live, MONTH.parse().unwrap()).await.unwrap();
    session.commit().await.unwrap();
}

async fn approve(world: &World) {
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    batch::approve(tx, by, Mode::Live, MONTH).await.unwrap();
    session.commit().await.unwrap();
}

async fn export(world: &World, format: Format) -> Result<(Vec<PayoutFile>, Done), FileError> {
    let mut session = world.session().await;
    let settings = session.terms().await.unwrap().current_settings();
    let (tx, by) = session.parts();
    let (_, files, done) = files::export(tx, by, &settings, (Mode::Live, MONTH, format)).await?;
    session.commit().await.unwrap();
    Ok((files, done))
}

async fn all_payouts(world: &World) -> BTreeMap<String, Payout> {
    let mut tx = world.db.read().await.unwrap();
    let batch = batch::find(&mut tx, world.workspace, Mode::Live, MONTH).await.unwrap();
    let all = payouts::of_batch(&mut tx, world.workspace, &batch.batch_id).await.unwrap();
    all.into_iter().map(|payout| (payout.partner_key.clone(), payout)).collect()
}

async fn content(world: &World, file: &PayoutFile) -> String {
    let mut tx = world.db.read().await.unwrap();
    String::from_utf8(payout_files::content(&mut tx, world.workspace, file).await.unwrap()).unwrap()
}

async fn read_back(world: &World, format: ResultFormat, text: &str, keep: bool) -> Result<Vec<Did>, ResultsError> {
    let rows = readback::read(format, text.as_bytes(), "results")?;
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    let batch = batch::find(tx, by.workspace, Mode::Live, MONTH).await.unwrap();
    let did = results::apply(tx, by, &batch, (format, "results"), &rows).await?;
    if keep {
        session.commit().await.unwrap();
    }
    Ok(did)
}

async fn is_proven(world: &World) {
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.differences);
}

async fn files_batch_and_ledger_agree(world: &World) {
    let ways = [
        ("ann", Method::Paypal, "ann@a.example", None),
        ("ben", Method::Paypal, "ben@a.example", Some("gbp")),
        ("cho", Method::Paypal, "cho@a.example", None),
        ("dee", Method::Wise, "dee@a.example", Some("eur")),
        ("eno", Method::Wise, IBAN, Some("eur")),
        ("fay", Method::Sepa, IBAN, Some("eur")),
        ("gus", Method::Csv, "", None),
        ("hal", Method::Sepa, IBAN, Some("eur")),
    ];
    a_month(world, &ways).await;
    let early = export(world, Format::Paypal).await.unwrap_err();
    assert!(matches!(early, FileError::Payout(PayoutError::NotApproved(_))), "{early}");
    approve(world).await;
    // Somebody does not want one of them to be paid.
    let hal = all_payouts(world).await["hal"].payout_id.clone();
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    outcome::cancel(tx, by, &hal, "a mistake", InFile::Refuse).await.unwrap();
    session.commit().await.unwrap();

    let mut all = Vec::new();
    for format in Format::ALL {
        let (files, done) = export(world, format).await.unwrap();
        assert_eq!(done, Done::Now);
        all.extend(files);
    }
    let told: Vec<String> = all.iter().map(|file| format!("{} {} {}", file.name, file.row_count, file.total)).collect();
    assert_eq!(
        told,
        [
            "payouts-2026-10-paypal-gbp.csv 1 1504",
            "payouts-2026-10-paypal-usd.csv 2 4000",
            "payouts-2026-10-wise-eur.csv 1 1728",
            "payouts-2026-10-wise-eur-2.csv 1 1728",
            "payouts-2026-10-sepa-eur.xml 1 1728",
        ]
    );
    let payouts = all_payouts(world).await;
    for file in &all {
        let inside: Vec<&Payout> =
            payouts.values().filter(|payout| payout.file_id.as_ref() == Some(&file.file_id)).collect();
        assert!(inside.iter().all(|payout| payout.status == "ready"), "a file is not sent by being made");
        assert_eq!(i64::try_from(inside.len()).unwrap(), file.row_count);
        assert_eq!(inside.iter().map(|payout| payout.paid_amount).sum::<i64>(), file.total);
        let text = content(world, file).await;
        for payout in inside {
            let id = &payout.payout_id;
            let named = text.contains(&marks::for_bank(id)) || text.contains(&marks::short(id).unwrap());
            assert!(named || file.format == "wise", "{text}");
        }
    }
    assert!(payouts["hal"].file_id.is_none() && payouts["gus"].file_id.is_none());
    // Batch and ledger.
    let mut tx = world.db.read().await.unwrap();
    let batch = batch::find(&mut tx, world.workspace, Mode::Live, MONTH).await.unwrap();
    let settings = world.db.terms(&mut tx, world.workspace).await.unwrap().current_settings();
    let totals = totals::of_batch(&mut tx, world.workspace, &settings, &batch).await.unwrap();
    tx.rollback().await.unwrap();
    let total = &totals.by_currency[0];
    assert_eq!((total.currency.as_str(), total.payouts, total.amount, total.returned), ("usd", 8, 16_000, 2_000));
    assert_eq!(
        (totals.in_base, total.in_base.as_ref().unwrap().day.to_string()),
        (Some(13_826), "2026-10-30".to_owned())
    );
    let booked: i64 = world
        .entries()
        .await
        .iter()
        .filter(|booked| matches!(booked.entry.kind, EntryKind::Payout | EntryKind::PayoutReturn))
        .map(|booked| booked.entry.amount)
        .sum();
    assert_eq!(booked, -(total.amount - total.returned));
    // Asked again, whatever happened meanwhile: the same.
    let before: Vec<String> = vec![content(world, &all[0]).await, content(world, &all[4]).await];
    world.enter_once_more(&own(|own| own.sepa = None)).await;
    world.clock.advance(chrono::TimeDelta::days(3));
    for format in Format::ALL {
        let (files, done) = export(world, format).await.unwrap();
        assert_eq!(done, Done::Before);
        assert!(files.iter().all(|file| all.contains(file)));
    }
    assert_eq!(before, [content(world, &all[0]).await, content(world, &all[4]).await]);
    is_proven(world).await;
    // Bytes that were changed behind its back are noticed.
    let other = format!("UPDATE payout_files SET sha256 = 'x' WHERE file_id = '{}'", all[0].file_id);
    world.tamper(&other).await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    let changed = payout_files::by_id(&mut tx, world.workspace, &all[0].file_id).await.unwrap().unwrap();
    assert!(payout_files::content(&mut tx, world.workspace, &changed).await.is_err());
}

async fn two_who_export_at_once_make_one_set(world: &World) {
    a_month(world, &[("ann", Method::Paypal, "ann@a.example", None), ("ben", Method::Paypal, "b@a.example", None)])
        .await;
    approve(world).await;
    let nothing = export(world, Format::Wise).await.unwrap_err().to_string();
    assert!(nothing.contains("no payout that is ready to be paid by wise"), "{nothing}");
    let both = tokio::join!(export(world, Format::Paypal), export(world, Format::Paypal));
    let made: Vec<_> = [both.0, both.1].into_iter().map(Result::unwrap).collect();
    assert_eq!(made[0].0, made[1].0);
    assert_ne!(made[0].1, made[1].1, "one of them made it");
    assert_eq!(world.count("SELECT COUNT(*) FROM payout_files").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_log WHERE action = 'file.made'").await, 1);
}

async fn what_is_in_the_way_is_told_before_anything_is_made(world: &World) {
    let ways = [
        ("ann", Method::Sepa, IBAN, Some("eur")),
        ("ben", Method::Sepa, "DE02120300000000202052", Some("eur")),
        ("cho", Method::Sepa, "TR330006100519786457841326", Some("eur")),
    ];
    a_month(world, &ways).await;
    approve(world).await;
    let Err(FileError::Problems(problems)) = export(world, Format::Sepa).await else { panic!("it was made") };
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.len() == 2 && told[0].starts_with("ben: ") && told[1].starts_with("cho: "), "{told:?}");
    assert_eq!(world.count("SELECT COUNT(*) FROM payout_files").await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM payouts WHERE file_id IS NOT NULL").await, 0);
    world.enter_once_more(&settings(|_| {})).await;
    let nobody = export(world, Format::Sepa).await.unwrap_err().to_string();
    assert!(nobody.contains("one thing is in the way") && nobody.contains("[workspace.sepa]"), "{nobody}");
}

async fn paypals_results_are_applied_all_or_nothing(world: &World) {
    let ways: Vec<(&str, Method, &str, Option<&str>)> =
        ["ann", "ben", "cho", "dee"].iter().map(|key| (*key, Method::Paypal, "p@a.example", None)).collect();
    a_month(world, &ways).await;
    approve(world).await;
    export(world, Format::Paypal).await.unwrap();
    let ids: BTreeMap<String, String> =
        all_payouts(world).await.into_iter().map(|(key, payout)| (key, payout.payout_id)).collect();
    let line = |key: &str, state: &str, amount: &str| {
        format!("{},{state},{amount},USD,TX-{key}\n", marks::short(&ids[key]).unwrap())
    };
    let heading = "Customer ID,Status,Amount,Currency,Transaction ID\n";
    let good = format!(
        "{heading}{}{}{}{}other,SUCCESS,1.00,USD,TX9\n",
        line("ann", "SUCCESS", "-20.00"),
        line("ben", "FAILED", "20.00"),
        line("cho", "UNCLAIMED", "20.00"),
        line("dee", "SUCCESS", "20.00"),
    );
    // One row that cannot be, and nothing is done.
    let bad = format!("{heading}{}{}", line("ann", "SUCCESS", "20.00"), line("ben", "SUCCESS", "21.00"));
    let why = read_back(world, ResultFormat::Paypal, &bad, true).await.unwrap_err().to_string();
    assert!(why.contains("row 3: says 21.00 usd, but payout po_") && why.contains("of ben is of 20.00 usd"), "{why}");
    let other = format!("{heading}{}", line("ann", "SUCCESS", "20.00").replace("USD", "EUR"));
    assert!(read_back(world, ResultFormat::Paypal, &other, true).await.is_err());
    assert!(all_payouts(world).await.values().all(|payout| payout.status == "ready"));

    let tried = read_back(world, ResultFormat::Paypal, &good, false).await.unwrap();
    assert_eq!(tried.iter().filter(|did| did.changed).count(), 4);
    assert!(all_payouts(world).await.values().all(|payout| payout.status == "ready"), "it was tried out only");
    let did = read_back(world, ResultFormat::Paypal, &good, true).await.unwrap();
    assert_eq!(did, tried);
    assert_eq!(did[4].note.as_deref(), Some("\"other\" names no payout"));
    let states = |payouts: BTreeMap<String, Payout>| -> Vec<String> {
        payouts.into_values().map(|payout| payout.status).collect()
    };
    assert_eq!(states(all_payouts(world).await), ["settled", "failed", "sent", "settled"]);
    let entries = world.entries().await.len();
    let again = read_back(world, ResultFormat::Paypal, &good, true).await.unwrap();
    assert!(again.iter().all(|did| !did.changed), "{again:?}");
    assert_eq!(world.entries().await.len(), entries);
    is_proven(world).await;
    // Thirty days later, nobody claimed it.
    let late = format!("{heading}{}", line("cho", "RETURNED", "20.00"));
    read_back(world, ResultFormat::Paypal, &late, true).await.unwrap();
    assert_eq!(states(all_payouts(world).await), ["settled", "failed", "returned", "settled"]);
    assert_eq!(world.balances().await.iter().map(|balance| balance.balance).sum::<i64>(), 4_000);
    // A file of one's own names payouts of this batch, and what is over stays over.
    let unknown = "payout_id,status\npo_nobody,sent\n";
    let why = read_back(world, ResultFormat::Csv, unknown, true).await.unwrap_err().to_string();
    assert!(why.contains("row 2: there is no payout \"po_nobody\""), "{why}");
    let over = format!("payout_id,status\n{},failed\n", ids["ann"]);
    let why = read_back(world, ResultFormat::Csv, &over, true).await.unwrap_err().to_string();
    assert!(why.contains("row 2: payout") && why.contains("it has arrived"), "{why}");
    is_proven(world).await;
    let mut tx = world.db.read().await.unwrap();
    let batch = batches::of_month(&mut tx, world.workspace, Mode::Live, MONTH).await.unwrap().unwrap();
    assert_eq!(batch.status, "paid");
}

async fn banks_answers_concern_whole_files_too(world: &World) {
    let ways: Vec<(&str, Method, &str, Option<&str>)> =
        ["ann", "ben", "cho"].iter().map(|key| (*key, Method::Sepa, IBAN, Some("eur"))).collect();
    a_month(world, &ways).await;
    approve(world).await;
    let (files, _) = export(world, Format::Sepa).await.unwrap();
    let message = marks::for_bank(&files[0].file_id);
    let ids: Vec<String> =
        all_payouts(world).await.into_values().map(|payout| marks::for_bank(&payout.payout_id)).collect();
    let report = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>B</MsgId>\
         <CreDtTm>2026-11-03T10:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>ACCP</GrpSts></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>\
         <OrgnlPmtInfId>{message}</OrgnlPmtInfId><PmtInfSts>ACCP</PmtInfSts><TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId>\
         <TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts></OrgnlPmtInfAndSts>\
         </CstmrPmtStsRpt></Document>",
        ids[1]
    );
    let booking = |amount: &str| {
        format!(
            "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-03</Dt>\
             </BookgDt><AcctSvcrRef>R1</AcctSvcrRef><NtryDtls><Btch><MsgId>{message}</MsgId></Btch></NtryDtls></Ntry>"
        )
    };
    let notice = |entries: &str| {
        format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.054.001.08\"><BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>M</MsgId>\
             <CreDtTm>2026-11-03T23:59:00</CreDtTm></GrpHdr><Ntfctn><Id>N</Id>{entries}</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
        )
    };
    let states = || async { all_payouts(world).await.into_values().map(|payout| payout.status).collect::<Vec<_>>() };
    world.clock.advance(chrono::TimeDelta::days(2));
    // The bank booked less than the file has: it rejected something that nobody has read yet.
    let early =
        read_back(world, ResultFormat::Camt054, &notice(&booking("34.56")), true).await.unwrap_err().to_string();
    assert!(early.contains("row 1: says 34.56 for the whole file") && early.contains("51.84 eur"), "{early}");
    for changed in [3, 0] {
        let did = read_back(world, ResultFormat::Pain002, &report, true).await.unwrap();
        assert_eq!(did.iter().filter(|did| did.changed).count(), changed);
        assert_eq!(states().await, ["sent", "failed", "sent"]);
    }
    for changed in [2, 0] {
        let did = read_back(world, ResultFormat::Camt054, &notice(&booking("34.56")), true).await.unwrap();
        assert_eq!(did.iter().filter(|did| did.changed).count(), changed);
        assert_eq!(states().await, ["settled", "failed", "settled"]);
    }
    let ann = all_payouts(world).await["ann"].clone();
    assert_eq!(ann.settled_at(), Some(at("2026-11-03T12:00:00Z")), "when the bank booked it");
    let back = format!(
        "<Ntry><Amt Ccy=\"EUR\">17.28</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls><TxDtls><Refs>\
         <EndToEndId>{}</EndToEndId></Refs><RtrInf><Rsn><Cd>MD07</Cd></Rsn></RtrInf></TxDtls></NtryDtls></Ntry>",
        ids[2]
    );
    for changed in [1, 0] {
        let did = read_back(world, ResultFormat::Camt054, &notice(&back), true).await.unwrap();
        assert_eq!(did.iter().filter(|did| did.changed).count(), changed);
        assert_eq!(states().await, ["settled", "failed", "returned"]);
    }
    assert_eq!(all_payouts(world).await["cho"].failure_reason.as_deref(), Some("MD07: the account's holder has died"));
    let twice = notice(&(back.clone() + &back));
    assert!(read_back(world, ResultFormat::Camt054, &twice, true).await.is_err());
    assert_eq!(world.balances().await.iter().map(|balance| balance.balance).sum::<i64>(), 4_000);
    is_proven(world).await;
}
