//! Files as people have them.

use crate::domain::Time;
use crate::domain::lead::{LeadBy, LeadTo};
use crate::domain::terms::{Change, Entered, Terms};
use crate::imports::{Counts, Format, Kind, Plan, plan, read};
use crate::program::{self, RepriceClosed};

const PROGRAM: &str = r#"
[workspace]
time_zone = "Europe/Berlin"

[[program]]
key = "saas"
[[program.rule]]
on = "any"
percent = "20"

[[program]]
key = "shop"
[[program.rule]]
on = "any"
percent = "5"

[[partner]]
key = "acme"
name = "Acme Media"
email = "pay@acme.example"
programs = ["saas"]
codes = ["ACME20"]
payout = { method = "paypal", account = "money@acme.example", currency = "usd" }
"#;

fn now() -> Time {
    "2026-10-01T12:00:00Z".parse().unwrap()
}

fn enter(terms: &mut Terms, changes: Vec<(String, Change)>) {
    for (_, change) in changes {
        let seq = terms.seq + 1;
        terms.enter(Entered { seq, at: now(), author: "cli".to_owned(), change });
    }
}

fn terms() -> Terms {
    let file = program::parse(PROGRAM, "program.toml").unwrap();
    let mut terms = Terms::default();
    let planned = program::plan(&file, &terms, now(), None, RepriceClosed::No).unwrap();
    enter(&mut terms, planned.changes);
    terms
}

/// Plans a file; every file must be in force once its plan was entered.
fn planned(csv: &str, kind: Kind, format: Option<Format>, program: Option<&str>) -> (Format, Plan) {
    let file = read(csv.as_bytes(), kind, format, "file.csv").unwrap_or_else(|error| panic!("{error}"));
    let mut terms = terms();
    let first = plan(&file, &terms, program).unwrap_or_else(|error| panic!("{error}"));
    enter(&mut terms, first.changes.clone());
    let again = plan(&file, &terms, program).unwrap_or_else(|error| panic!("{error}"));
    assert!(again.changes.is_empty(), "{:?}", again.changes);
    assert_eq!((again.counts.created, again.counts.updated), (0, 0));
    (file.format, first)
}

fn lines(csv: &str, kind: Kind) -> Vec<String> {
    let plan = planned(csv, kind, None, None).1;
    plan.lines.into_iter().chain(plan.leads.into_iter().map(|lead| lead.line)).collect()
}

/// All that is wrong with a file, a line each.
fn faults(csv: &[u8], kind: Kind) -> Vec<String> {
    let error = match read(csv, kind, None, "file.csv") {
        Err(error) => error,
        Ok(file) => plan(&file, &terms(), None).unwrap_err(),
    };
    assert_eq!(error.total, error.faults.len());
    error.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn partners_are_made_and_changed_where_the_file_says_something() {
    let csv = "\u{feff}Name;key;email;programs;payout method;payout account;note\r\n\
               Acme;acme;;shop;;;\r\n\
               \"Birch; Sons\";birch;ann@birch.example;saas shop;wise;ann@birch.example;\"met\nin May\"\r\n\
               ;;;;;;\r\n";
    let (format, plan) = planned(csv, Kind::Partners, None, None);
    assert_eq!(format, Format::Bridge);
    assert_eq!(plan.lines, ["~ partner acme: name, programs", "+ partner birch (saas, shop)"]);
    assert_eq!(plan.counts, Counts { created: 1, updated: 1, unchanged: 0 });
    let mut terms = terms();
    enter(&mut terms, plan.changes);
    let acme = &terms.partners["acme"].profile;
    assert_eq!((acme.name.as_str(), acme.email.as_deref()), ("Acme", Some("pay@acme.example")));
    assert_eq!(acme.payout.as_ref().unwrap().account.as_deref(), Some("money@acme.example"));
    let birch = &terms.partners["birch"].profile;
    assert_eq!((birch.name.as_str(), birch.note.as_deref()), ("Birch; Sons", Some("met\nin May")));
}

#[test]
fn a_method_that_stays_keeps_its_account_and_another_needs_its_own() {
    let (_, plan) = planned("key,payout_currency\nacme,eur\n", Kind::Partners, None, None);
    let Change::Partner { profile, .. } = &plan.changes[0].1 else { panic!("{plan:?}") };
    let payout = profile.payout.as_ref().unwrap();
    assert_eq!((payout.account.as_deref(), payout.currency.unwrap().as_str()), (Some("money@acme.example"), "eur"));
    assert_eq!(
        faults(b"key,payout_method\nacme,wise\n", Kind::Partners),
        ["row 2, payout_account: is missing, which wise needs"]
    );
    assert_eq!(
        faults(b"key,payout_account\nbirch,x\n", Kind::Partners),
        ["row 2, payout_account: says nothing without a payout_method"]
    );
}

#[test]
fn every_fault_has_its_row_and_column_and_shows_no_email() {
    let csv = "key,name,email,country,status,programs,payout_method\n\
               ,No Key,,,,,\n\
               a b,,not-an-address,Germany,actve,,cheque\n\n\
               \"birch\",\"two\nlines\",,,,,\n\
               =cmd(),,,,,,\n\
               1.23E+11,,,,,,\n\
               oak,#N/A,,,,,\n\
               elm,x\n\
               ann@private.example x,,,,,,\n";
    insta::assert_snapshot!(faults(csv.as_bytes(), Kind::Partners).join("\n"));
}

#[test]
fn what_a_file_refers_to_must_exist() {
    let mut told = faults(b"key,programs\nbirch,sass\noak,sass\nbirch,saas\n", Kind::Partners);
    let customers = b"customer,partner_key,program\ncus_1,acmee,\ncus_2,acme,shop\nann@b.example,acme,\n\
                      ANN@b.example,acme,\ncus_3,who@b.example,\n";
    told.extend(faults(customers, Kind::Customers));
    told.extend(faults(b"customer,partner_key\nnull,acme\n,acme\ncus_1,\n", Kind::Customers));
    told.extend(faults(b"code,partner_key\nNEW,acme\nnew,acme\n", Kind::Codes));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn files_that_are_no_table_say_what_to_do() {
    let mut told = Vec::new();
    for bytes in [
        &b""[..],
        b"\n\n",
        b"\xff\xfek\0e\0y\0",
        b"key\nacme\nM\xfcller\n",
        b"key,nam\nacme,Acme\n",
        b"key,Key\nacme,birch\n",
        b"anything,else\n1,2\n",
        b"email,name\na@b.example,x\n",
    ] {
        told.extend(faults(bytes, Kind::Partners));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn customers_become_attributions_and_leads_since_their_date() {
    let csv = "customer,partner_key,program,since\n\
               cus_1,acme,saas,2026-01-31\n\
               Ann@Buyer.example,acme,,2026-01-31T10:00:00Z\n\
               u-77,acme,,\n";
    let (_, plan) = planned(csv, Kind::Customers, None, None);
    let Change::Attribution { reference, partner, program, from } = &plan.changes[0].1 else { panic!("{plan:?}") };
    assert_eq!((reference.as_str(), partner.as_deref(), program.as_deref()), ("cus_1", Some("acme"), Some("saas")));
    assert_eq!(*from, Some("2026-01-30T23:00:00Z".parse().unwrap()), "midnight in Berlin");
    let leads: Vec<_> = plan.leads.iter().map(|planned| (planned.lead.by, planned.lead.value.as_str())).collect();
    assert_eq!(leads, [(LeadBy::Email, "ann@buyer.example"), (LeadBy::CustomerKey, "u-77")]);
    assert_eq!(plan.leads[0].lead.to, LeadTo::Partner { partner: "acme".to_owned(), program: None });
    assert_eq!(plan.leads[0].line, "+ customer a…@buyer.example (acme)");
    assert_eq!(plan.leads[1].lead.from, None);
}

#[test]
fn moments_are_read_as_tools_write_them() {
    for since in [
        "2026-01-31T09:00:00Z",
        "2026-01-31 09:00:00 UTC",
        "2026-01-31 09:00:00 +0000",
        "2026-01-31 10:00",
        "1769850000",
        "1769850000000",
    ] {
        let csv = format!("customer,partner_key,since\ncus_1,acme,{since}\n");
        let (_, plan) = planned(&csv, Kind::Customers, None, None);
        let Change::Attribution { from, .. } = &plan.changes[0].1 else { panic!("{plan:?}") };
        assert_eq!(*from, Some("2026-01-31T09:00:00Z".parse().unwrap()), "{since}");
    }
    for since in ["\"Jan 31, 2026\"", "31 January 2026"] {
        let csv = format!("customer,partner_key,since\ncus_1,acme,{since}\n");
        planned(&csv, Kind::Customers, None, None);
    }
    // Whose month comes first nobody can tell.
    assert_eq!(faults(b"customer,partner_key,since\ncus_1,acme,01/02/2026\n", Kind::Customers).len(), 1);
}

#[test]
fn codes_are_given_and_moved() {
    let csv = "code,partner_key,program\nacme20,acme,\nNEW10,acme,saas\n";
    assert_eq!(lines(csv, Kind::Codes), ["+ code NEW10 (acme)"]);
    let csv = "code,partner_key,program\nacme20,acme,saas\n";
    assert_eq!(lines(csv, Kind::Codes), ["~ code acme20 (acme), until now acme's"]);
}

#[test]
fn rewardfuls_template_holds_partners_and_customers() {
    let csv = "stripe_customer_id,first_name,last_name,email,paypal_email,wise_email,token\n\
               cus_1,Ann,Example,ann@example.com,,,ann\n\
               cus_2,Ann,Example,ann@example.com,,,ann\n\
               cus_3,Bob,Büyük,bob@example.com,bob@money.example,,\n\
               cus_4,Ac,Me,pay@acme.example,,,\n";
    let (format, plan) = planned(csv, Kind::Partners, None, Some("saas"));
    assert_eq!(format, Format::Rewardful);
    assert_eq!(plan.lines, ["+ partner ann (saas)", "+ partner bob-büyük (saas)", "~ partner acme: name"]);
    let mut terms = terms();
    enter(&mut terms, plan.changes);
    let file = read(csv.as_bytes(), Kind::Customers, None, "file.csv").unwrap();
    let plan = super::plan(&file, &terms, Some("saas")).unwrap();
    assert_eq!(plan.lines[2], "+ customer cus_3 (bob-büyük)");
    assert_eq!(plan.counts.created, 4);
}

#[test]
fn other_tools_are_told_by_their_headings() {
    for (csv, kind, format, told) in [
        (
            "Email,First Name,Last Name,Ref ID,Status,Clicks\nann@example.com,Ann,Example,ann,pending,7\n",
            Kind::Partners,
            Format::FirstPromoter,
            "+ partner ann (no program)",
        ),
        (
            "email,uid,promoter_email,customer_since\nbuyer@x.example,u-1,pay@acme.example,2026-01-01\n",
            Kind::Customers,
            Format::FirstPromoter,
            "+ customer u-1 (acme)",
        ),
        (
            "id,email,first_name,last_name,country_code,status,program_id\npart_1,ann@example.com,Ann,E,de,active,prg_1\n",
            Kind::Partners,
            Format::Tolt,
            "+ partner part_1 (no program)",
        ),
        (
            "Partner Key,Email,First Name,Last Name,Group\nann,ann@example.com,Ann,E,gold\n",
            Kind::Partners,
            Format::PartnerStack,
            "+ partner ann (no program)",
        ),
        (
            "customer_key,provider_key,email,partner_key,created_at\nu-1,cus_1,b@x.example,acme,1769850000000\n",
            Kind::Customers,
            Format::PartnerStack,
            "+ customer cus_1 (acme)",
        ),
    ] {
        assert_eq!(planned(csv, kind, None, None).0, format, "{csv}");
        assert_eq!(lines(csv, kind), [told], "{csv}");
    }
}

#[test]
fn a_million_faults_are_counted_and_a_thousand_kept() {
    let csv = format!("key,email\n{}", "acme,nowhere\n".repeat(2500));
    let error = read(csv.as_bytes(), Kind::Partners, None, "file.csv").unwrap_err();
    assert_eq!((error.faults.len(), error.total), (1000, 2500));
    assert!(error.to_string().ends_with("… and 2480 more"));
}
