//! SEPA credit transfers: pain.001.001.09, as banks take it.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use sepa::{
    Bic, CharsetPolicy, CreditTransferEntry, CreditTransferGroup, Iban, IsoDate, IsoDateTime, Pain001Builder,
    Transliteration, transliterate, validate_bic, validate_iban,
};

use super::super::item::PayItem;
use super::super::marks;
use super::{Head, Problem, one_line};
use crate::domain::Time;
use crate::domain::terms::{SepaDebtor, Settings};

const MOST_NAME: usize = 70;
const MOST_REMITTANCE: usize = 140;

struct Debtor {
    name: String,
    iban: Iban,
    bic: Option<Bic>,
}

/// Whether the workspace says whose account pays.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn check_debtor(settings: &Settings) -> Result<(), Problem> {
    debtor(settings).map(drop).map_err(Problem::of_all)
}

fn debtor(settings: &Settings) -> Result<Debtor, String> {
    let Some(SepaDebtor { name, iban, bic }) = &settings.sepa else {
        return Err(
            "the workspace does not say whose account pays: enter [workspace.sepa] with name and iban".to_owned()
        );
    };
    let iban = validate_iban(iban).map_err(
        |_| "the workspace's own account ([workspace.sepa] iban) is no IBAN: its check digits or its length are wrong",
    )?;
    let bic = bic.as_deref().map(validate_bic).transpose();
    let bic = bic.map_err(|_| "the workspace's own bank ([workspace.sepa] bic) is no BIC")?;
    let name = latin(name, &iban);
    if name.is_empty() {
        return Err("the workspace's own name ([workspace.sepa] name) has no letters that SEPA knows".to_owned());
    }
    Ok(Debtor { name, iban, bic })
}

/// What keeps a payout out of the file.
pub(super) fn check(settings: &Settings, item: &PayItem) -> Vec<String> {
    let entry = match entry(item) {
        Ok(entry) => entry,
        Err(problems) => return problems,
    };
    let Ok(debtor) = debtor(settings) else { return Vec::new() };
    // The bank's rules, by those who know them: a message of this one transfer.
    let Ok(day) = IsoDate::new(2026, 1, 2) else { return Vec::new() };
    let group = CreditTransferGroup::new(debtor.name.as_str(), &debtor.iban, day).add_entry(entry);
    let message = Pain001Builder::new(debtor.name.as_str(), "check").created_at(moment(day)).add_group(group);
    message.build().err().map(|error| error.kind.to_string()).into_iter().collect()
}

fn moment(day: IsoDate) -> IsoDateTime {
    IsoDateTime::new(day, 0, 0, 0).map_or_else(|_| IsoDateTime::from(day), IsoDateTime::in_utc)
}

fn entry(item: &PayItem) -> Result<CreditTransferEntry, Vec<String>> {
    let mut problems = Vec::new();
    if item.currency.as_str() != "eur" {
        problems.push(format!(
            "SEPA sends euros only, and this payout is in {}: give the partner the payout currency eur",
            item.currency
        ));
    }
    let iban = iban(item).map_err(|problem| problems.push(problem)).ok();
    let name = iban.as_ref().map_or_else(|| one_line(&item.name, MOST_NAME), |iban| latin(&item.name, iban));
    if name.is_empty() {
        let why = "the name has no letters that SEPA knows: give the partner a legal_name in Latin letters";
        problems.push(why.to_owned());
    }
    let Some(iban) = iban.filter(|_| problems.is_empty()) else { return Err(problems) };
    let reference = latin(&item.reference, &iban);
    let reference = if reference.is_empty() { marks::for_bank(&item.payout_id) } else { reference };
    let reference: String = reference.chars().take(MOST_REMITTANCE).collect();
    let entry = CreditTransferEntry::new(name, iban, item.amount, marks::for_bank(&item.payout_id));
    Ok(entry.with_description(reference))
}

fn iban(item: &PayItem) -> Result<Iban, String> {
    let account = item.account.as_deref().map(str::trim).filter(|account| !account.is_empty());
    let Some(account) = account else {
        return Err("has no IBAN: give the partner a payout account".to_owned());
    };
    // The error itself may repeat a part of the account.
    let iban = validate_iban(account).map_err(|_| {
        "the payout account is no IBAN: its country, its length or its check digits are wrong".to_owned()
    })?;
    if iban.is_sepa() {
        Ok(iban)
    } else {
        Err(format!("the payout account is in {}, which SEPA does not reach", iban.country_code()))
    }
}

/// Text in the letters that SEPA knows, as the account's country writes them; empty where nothing is left of it.
fn latin(text: &str, iban: &Iban) -> String {
    let german = matches!(iban.country_code(), "DE" | "AT" | "CH" | "LI");
    let style = if german { Transliteration::German } else { Transliteration::Epc };
    let text = transliterate(text, style);
    // Banks refuse what begins with a slash, ends with one, or has two in a row.
    let words: Vec<&str> = text.split('/').map(str::trim).filter(|word| !word.is_empty()).collect();
    let text = one_line(&words.join("/"), MOST_NAME);
    if text.chars().any(|letter| letter.is_ascii_alphanumeric()) { text } else { String::new() }
}

/// The file. Message and creation are those of its head, so that it is the same whenever it is made.
pub(super) fn write(head: &Head<'_>, items: &[PayItem]) -> Result<Vec<u8>, Problem> {
    let debtor = debtor(head.settings).map_err(Problem::of_all)?;
    let local = head.created_at.with_timezone(&head.settings.time_zone).date_naive();
    let odd_day = || Problem::of_all("the day is none that a bank knows: check this machine's clock");
    let day = |date: NaiveDate| {
        let year = u16::try_from(date.year()).unwrap_or(0);
        IsoDate::new(year, u8::try_from(date.month()).unwrap_or(0), u8::try_from(date.day()).unwrap_or(0))
    };
    let execution = day(working_day(local)).map_err(|_| odd_day())?;
    let mut group = CreditTransferGroup::new(debtor.name.as_str(), &debtor.iban, execution);
    if let Some(bic) = debtor.bic {
        group = group.debtor_bic(bic);
    }
    for item in items {
        let entry = entry(item).map_err(|problems| Problem::of(item, problems.join("; ")))?;
        group = group.add_entry(entry);
    }
    let message = Pain001Builder::new(debtor.name.as_str(), marks::for_bank(head.file_id))
        .created_at(created(head.created_at).ok_or_else(odd_day)?)
        .charset(CharsetPolicy::Strict)
        .add_group(group);
    let file = message.build().map_err(|error| {
        let item = error.location.transaction.and_then(|at| items.get(at));
        item.map_or_else(|| Problem::of_all(error.kind.to_string()), |item| Problem::of(item, error.kind.to_string()))
    })?;
    Ok(file.into_bytes())
}

fn created(at: Time) -> Option<IsoDateTime> {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string().parse().ok()
}

/// The day itself, or the Monday after a weekend: banks refuse the others, and know their holidays.
fn working_day(day: NaiveDate) -> NaiveDate {
    let ahead = match day.weekday() {
        Weekday::Sat => 2,
        Weekday::Sun => 1,
        _ => 0,
    };
    day.checked_add_days(Days::new(ahead)).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::super::item::testing::item;
    use super::*;

    const IBAN: &str = "DE02 1203 0000 0000 2020 51";

    fn settings() -> Settings {
        let sepa = SepaDebtor {
            name: "Müller & Söhne GmbH".to_owned(),
            iban: "DE89370400440532013000".to_owned(),
            bic: Some("COBADEFFXXX".to_owned()),
        };
        Settings { sepa: Some(sepa), time_zone: chrono_tz::Europe::Berlin, ..Settings::default() }
    }

    fn written(items: &[PayItem]) -> String {
        let settings = settings();
        let file_id = format!("pf_{:032x}", 1);
        // A Friday in UTC, a Saturday in Berlin.
        let created_at = "2026-11-06T23:30:00Z".parse().unwrap();
        let head = Head { file_id: &file_id, created_at, settings: &settings };
        String::from_utf8(write(&head, items).unwrap()).unwrap()
    }

    #[test]
    fn a_message_is_as_banks_take_it() {
        let items = [
            PayItem { name: "Jürgen Größe".to_owned(), ..item(1, "acme", IBAN, 124_495, "eur") },
            PayItem {
                name: "Łukasz Ångström".to_owned(),
                reference: "//a_b/2026-10/".to_owned(),
                ..item(2, "berg", "nl91abna0417164300", 1, "eur")
            },
        ];
        for item in &items {
            assert_eq!(check(&settings(), item), [""; 0]);
        }
        let file = written(&items);
        assert_eq!(file, written(&items), "the same to the byte");
        assert_snapshot!(file);
    }

    #[test]
    fn references_name_the_payout() {
        let file = written(&[item(77, "acme", IBAN, 100, "eur")]);
        let (_, rest) = file.split_once("<EndToEndId>").unwrap();
        let (id, _) = rest.split_once('<').unwrap();
        assert_eq!(id.len(), 35);
        assert_eq!(marks::find("po", id).unwrap(), format!("po_{:032x}", 77));
    }

    #[test]
    fn what_a_bank_would_refuse_is_told_without_repeating_it() {
        for (account, currency, name, told) in [
            ("DE02 1203 0000 0000 2020 52", "eur", "Acme", "no IBAN"),
            ("pay@acme.example", "eur", "Acme", "no IBAN"),
            ("", "eur", "Acme", "no IBAN"),
            ("TR330006100519786457841326", "eur", "Acme", "SEPA does not reach"),
            (IBAN, "usd", "Acme", "euros only"),
            (IBAN, "eur", "李明", "Latin letters"),
            (IBAN, "eur", " ", "Latin letters"),
        ] {
            let item = PayItem { name: name.to_owned(), ..item(1, "acme", account, 100, currency) };
            let problems = check(&settings(), &item);
            assert!(problems.len() == 1 && problems[0].contains(told), "{account:?}: {problems:?}");
            assert!(account.is_empty() || !problems[0].contains(account), "{problems:?}");
        }
        let both = PayItem { name: String::new(), ..item(1, "acme", "DE00", 100, "usd") };
        assert_eq!(check(&settings(), &both).len(), 3, "all that is wrong is told");
        let much = item(1, "acme", IBAN, 100_000_000_000, "eur");
        assert!(check(&settings(), &much)[0].contains("outside the permitted"), "{:?}", check(&settings(), &much));
    }

    #[test]
    fn somebody_must_pay() {
        let problem = |change: fn(&mut SepaDebtor)| {
            let mut settings = settings();
            change(settings.sepa.as_mut().unwrap());
            check_debtor(&settings).unwrap_err().to_string()
        };
        assert!(problem(|debtor| debtor.iban = "DE89370400440532013001".to_owned()).contains("no IBAN"));
        assert!(problem(|debtor| debtor.bic = Some("X".to_owned())).contains("no BIC"));
        assert!(problem(|debtor| debtor.name = "李".to_owned()).contains("no letters"));
        assert!(check_debtor(&Settings::default()).unwrap_err().to_string().contains("[workspace.sepa]"));
        assert!(check_debtor(&settings()).is_ok());
    }
}
