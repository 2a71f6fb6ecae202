//! The European Central Bank's files of reference rates: XML (a day's, ninety days', all) and CSV (a day's, all). Units
//! of a currency for one euro. Plain functions.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use rust_decimal::Decimal;

use crate::domain::currency::Currency;
use crate::domain::fx::EuroRate;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unreadable {
    /// The line, where it is about one.
    pub line: Option<usize>,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn about(line: usize, message: impl Into<String>) -> Unreadable {
    Unreadable { line: Some(line), message: message.into() }
}

/// Reads a file: XML where it begins like XML, else CSV. In order of day and currency; no rate is there twice.
///
/// # Errors
/// The first thing that is wrong. Nothing is guessed.
pub fn read(bytes: &[u8]) -> Result<Vec<EuroRate>, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        about(line, "is not UTF-8 text")
    })?;
    let mut rates = if text.trim_start().starts_with('<') { xml(text)? } else { csv(text)? };
    if rates.is_empty() {
        return Err(Unreadable { line: None, message: "the file has no exchange rates".to_owned() });
    }
    rates.sort_by_key(|rate| (rate.day, rate.currency));
    Ok(rates)
}

/// Rates as they are read.
#[derive(Default)]
struct Rates {
    found: Vec<EuroRate>,
    known: BTreeSet<(NaiveDate, Currency)>,
}

impl Rates {
    fn add(&mut self, line: usize, day: NaiveDate, currency: &str, rate: &str) -> Result<(), Unreadable> {
        let currency: Currency = currency.parse().map_err(|error| about(line, format!("{error}")))?;
        let plain = !rate.is_empty() && rate.len() < 28 && rate.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let per_euro = rate.parse::<Decimal>().ok().filter(|per_euro| plain && *per_euro > Decimal::ZERO);
        let per_euro = per_euro.ok_or_else(|| {
            about(line, format!("{rate:?} is no rate of {currency}: expected a number above zero, such as 1.1572"))
        })?;
        if currency.as_str() == "eur" {
            return Err(about(line, "a rate of the euro itself: expected units of other currencies for one euro"));
        }
        if !self.known.insert((day, currency)) {
            return Err(about(line, format!("{currency} on {day} is there twice")));
        }
        self.found.push(EuroRate { day, currency, per_euro });
        Ok(())
    }
}

/// `<Cube><Cube time="…"><Cube currency="…" rate="…"/>…</Cube>…</Cube>`
fn xml(text: &str) -> Result<Vec<EuroRate>, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut rates = Rates::default();
    let (mut open, mut day) = (Vec::new(), None);
    let (mut line, mut counted) = (1, 0);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(0).min(text.len());
        line += text.get(counted..at).map_or(0, |piece| piece.matches('\n').count());
        counted = at.max(counted);
        let event = reader.read_event().map_err(|error| about(line, format!("is no XML: {error}")))?;
        match event {
            Event::DocType(_) => return Err(about(line, "has a DOCTYPE, which a file of rates never has")),
            Event::Start(element) => {
                if open.is_empty() && element.local_name().as_ref() != b"Envelope" {
                    return Err(about(
                        line,
                        "is none of the European Central Bank's files: it begins with no Envelope",
                    ));
                }
                cube(&element, line, &mut day, &mut rates)?;
                open.push(element.local_name().as_ref().to_vec());
            }
            Event::Empty(element) => {
                let before = day;
                cube(&element, line, &mut day, &mut rates)?;
                day = before;
            }
            Event::End(_) => {
                open.pop();
                // A day's Cube lies in the outer one, which lies in the envelope.
                if open.len() <= 2 {
                    day = None;
                }
            }
            Event::Eof if open.is_empty() => return Ok(rates.found),
            Event::Eof => return Err(about(line, "the file ends too early: fetch it again")),
            _ => {}
        }
    }
}

fn cube(
    element: &BytesStart<'_>,
    line: usize,
    day: &mut Option<NaiveDate>,
    rates: &mut Rates,
) -> Result<(), Unreadable> {
    if element.local_name().as_ref() != b"Cube" {
        return Ok(());
    }
    let (mut time, mut currency, mut rate) = (None, None, None);
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| about(line, format!("is no XML: {error}")))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| about(line, format!("is no XML: {error}")))?.trim().to_owned();
        match attribute.key.local_name().as_ref() {
            b"time" => time = Some(value),
            b"currency" => currency = Some(value),
            b"rate" => rate = Some(value),
            _ => {}
        }
    }
    if let Some(time) = time {
        let date =
            time.parse().map_err(|_| about(line, format!("{time:?} is no day: expected one such as 2026-10-30")))?;
        *day = Some(date);
    }
    match (day, currency, rate) {
        (_, None, None) => Ok(()),
        (Some(day), Some(currency), Some(rate)) => rates.add(line, *day, &currency, &rate),
        (None, ..) => Err(about(line, "a rate without a day: expected it inside of <Cube time=\"…\">")),
        _ => Err(about(line, "a Cube with half a rate: expected currency and rate")),
    }
}

/// `Date, USD, JPY, …` and a line for each day; `N/A` where there was no rate.
fn csv(text: &str) -> Result<Vec<EuroRate>, Unreadable> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rates = Rates::default();
    let mut headings: Vec<String> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Unreadable { line: None, message: error.to_string() })?;
        let line = record.position().and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1);
        // Each line ends with a comma.
        let mut cells: Vec<&str> = record.iter().collect();
        while cells.last().is_some_and(|cell| cell.is_empty()) {
            cells.pop();
        }
        if headings.is_empty() {
            if !cells.first().is_some_and(|first| first.eq_ignore_ascii_case("date")) {
                return Err(about(line, "is none of the European Central Bank's files: it begins with no Date"));
            }
            headings = cells.into_iter().map(str::to_owned).collect();
            continue;
        }
        let Some((date, cells)) = cells.split_first() else { continue };
        let day = csv_day(date).ok_or_else(|| {
            about(line, format!("{date:?} is no day: expected one such as 2026-10-30 or 30 October 2026"))
        })?;
        if cells.len() + 1 != headings.len() {
            let (has, wants) = (cells.len() + 1, headings.len());
            return Err(about(line, format!("has {has} cells, but the headings are {wants}")));
        }
        for (currency, rate) in headings.iter().skip(1).zip(cells) {
            if !rate.eq_ignore_ascii_case("n/a") {
                rates.add(line, day, currency, rate)?;
            }
        }
    }
    if headings.is_empty() {
        return Err(Unreadable { line: None, message: "the file is empty".to_owned() });
    }
    Ok(rates.found)
}

fn csv_day(text: &str) -> Option<NaiveDate> {
    text.parse().ok().or_else(|| NaiveDate::parse_from_str(text, "%d %B %Y").ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" \
        xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">\n\t<gesmes:subject>Reference rates</gesmes:subject>\n\t<gesmes:Sender>\n\t\t\
        <gesmes:name>European Central Bank</gesmes:name>\n\t</gesmes:Sender>\n\t<Cube>\n\t\t<Cube time='2026-10-30'>\n\t\t\t\
        <Cube currency='USD' rate='1.1572'/>\n\t\t\t<Cube currency=\"JPY\" rate=\"178.31\"></Cube>\n\t\t</Cube>\n\t\t\
        <Cube time=\"2026-10-29\">\n\t\t\t<Cube currency=\"USD\" rate=\"1.1600\"/>\n\t\t</Cube>\n\t</Cube>\n</gesmes:Envelope>";
    const CSV: &str = "Date,USD,JPY,CYP,\n2026-10-30,1.1572,178.31,N/A,\n2026-10-29,1.1600,N/A,N/A,\n";

    fn told(text: &str) -> String {
        match read(text.as_bytes()) {
            Ok(rates) => rates
                .iter()
                .map(|rate| format!("{} {} {}", rate.day, rate.currency, rate.per_euro))
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn all_published_forms_say_the_same() {
        let said = "2026-10-29 usd 1.1600; 2026-10-30 jpy 178.31; 2026-10-30 usd 1.1572";
        assert_eq!(told(XML), said);
        assert_eq!(told(CSV), said);
        assert_eq!(told(&format!("\u{feff}{CSV}")), said);
        assert_eq!(
            told("Date, USD, JPY, \n30 October 2026, 1.1572, 178.31, \n"),
            "2026-10-30 jpy 178.31; 2026-10-30 usd 1.1572"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, said) in [
            (String::new(), "the file is empty"),
            ("a,b\n".to_owned(), "line 1: is none of the European"),
            ("<html><body>Not found</body></html>".to_owned(), "line 1: is none of the European"),
            ("<!DOCTYPE html><html/>".to_owned(), "DOCTYPE"),
            (XML.replace("2026-10-30", "2026-02-30"), "line 8: \"2026-02-30\" is no day"),
            (XML.replace("1.1572", "1,1572"), "line 9: \"1,1572\" is no rate of usd"),
            (XML.replace("1.1572", "0"), "is no rate"),
            (XML.replace("1.1572", "-1"), "is no rate"),
            (XML.replace("1.1572", "1e3"), "is no rate"),
            (XML.replace("'USD' rate", "'USD' rat"), "half a rate"),
            (XML.replace("JPY", "USD"), "usd on 2026-10-30 is there twice"),
            (XML.replace("JPY", "EUR"), "the euro itself"),
            (XML.replace("JPY", "YEN!"), "is no currency"),
            (XML.replace("time=", "tim="), "without a day"),
            (XML.replace("<Cube time='2026-10-30'>", "<Cube>"), "without a day"),
            (XML.replace("</gesmes:Envelope>", ""), "ends too early"),
            (XML.replace("Cube", "Cone"), "no exchange rates"),
            (XML.replace("</gesmes:Envelope>", "</Envelope>"), "is no XML"),
            (CSV.replace("178.31,N/A", "178.31"), "line 2: has 3 cells, but the headings are 4"),
            (CSV.replace("2026-10-29", "29.10.2026"), "line 3: \"29.10.2026\" is no day"),
            (CSV.replace("1.1600", "*"), "line 3: \"*\" is no rate of usd"),
            ("Date,USD\n".to_owned(), "no exchange rates"),
        ] {
            let found = told(&text);
            assert!(found.contains(said), "expected {said:?}, found {found:?}");
        }
        assert_eq!(read(b"Date,USD\n\xff").unwrap_err().to_string(), "line 2: is not UTF-8 text");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_change_of_a_good_file_is_too_odd(at in 0_usize..900, with in ".{0,5}", until in 0_usize..40) {
            for file in [XML, CSV] {
                let start = at % file.len();
                let end = (start + until).min(file.len());
                let _ = read(format!("{}{with}{}", &file[..start], &file[end..]).as_bytes());
            }
        }
    }
}
