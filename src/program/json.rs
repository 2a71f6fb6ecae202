//! The same as a program file, as JSON: what the API takes and shows. One reader for both, so that names, defaults and
//! faults are the same; amounts are whole numbers of minor units, and lists of tables have plural names (`rules`,
//! `overrides`).

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::fault::{Faults, FileError};
use super::file::{ProgramFile, parse_with};
use crate::domain::terms::{
    Duration, Earn, Kind, Overrides, Partner, Profile, ProgramTerms, Rule, SecondLevel, Settings, Status, Terms,
};

/// A field that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its path, such as `rules[1].percent`.
    pub field: String,
    /// What is wrong, and what was expected.
    pub detail: String,
}

/// JSON's name and the file's.
const NAMES: [(&str, &str); 2] = [("rules", "rule"), ("overrides", "override")];

/// Reads one section: `kind` is `workspace`, `program`, `group` or `partner`. Fields that are null are left out.
///
/// # Errors
/// All that is wrong, in the order of the reader.
pub fn section(kind: &'static str, fields: &Map<String, Value>) -> Result<ProgramFile, Vec<Fault>> {
    let mut faults = Vec::new();
    let fields = as_in_a_file(&Value::Object(fields.clone()), "", &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let is_one = kind == "workspace";
    let document = json!({ kind: if is_one { fields } else { json!([fields]) } });
    let text =
        toml::to_string(&document).map_err(|error| vec![Fault { field: String::new(), detail: error.to_string() }])?;
    parse_with(&text, "", Faults::in_minor_units()).map_err(|error| self::faults(kind, error))
}

/// Renames lists of tables, and leaves out what is null.
fn as_in_a_file(value: &Value, path: &str, faults: &mut Vec<Fault>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut renamed = Map::new();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if let Some((plural, _)) = NAMES.iter().find(|(_, single)| single == name) {
                    faults.push(Fault {
                        field: path,
                        detail: format!("there is no such field: did you mean {plural:?}?"),
                    });
                    continue;
                }
                let known = NAMES.iter().find(|(plural, _)| plural == name).map(|(_, single)| *single);
                renamed.insert(known.unwrap_or(name).to_owned(), as_in_a_file(value, &path, faults));
            }
            Value::Object(renamed)
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            Value::Array(items.map(|(index, item)| as_in_a_file(item, &format!("{path}[{index}]"), faults)).collect())
        }
        other => other.clone(),
    }
}

/// The faults of a file that was made of one section.
pub fn faults(kind: &str, error: FileError) -> Vec<Fault> {
    as_in_json(error, &prefix_of(kind))
}

fn prefix_of(kind: &str) -> String {
    if kind == "workspace" { format!("{kind}.") } else { format!("{kind}[0].") }
}

fn as_in_json(error: FileError, prefix: &str) -> Vec<Fault> {
    let renamed = |path: &str| {
        let mut path = path.strip_prefix(prefix).unwrap_or(path).to_owned();
        for (plural, single) in NAMES {
            path = path.replace(&format!("{single}["), &format!("{plural}["));
            if path == single {
                plural.clone_into(&mut path);
            }
        }
        // A fault of the section itself is about no field of it.
        if path == prefix.trim_end_matches('.') { String::new() } else { path }
    };
    let faults = error.problems.into_iter();
    faults.map(|problem| Fault { field: renamed(&problem.path), detail: problem.message }).collect()
}

/// Settings as the reader takes them.
pub fn settings(settings: &Settings) -> Value {
    json!({
        "time_zone": settings.time_zone.name(),
        "base_currency": settings.base_currency,
        "minimum_payout": settings.minimum_payout,
        "count_direct_payments": settings.count_direct_payments,
        "count_out_of_band": settings.count_out_of_band,
        "metadata_aliases": settings.metadata_aliases,
        "evidence_order": settings.evidence_order,
        "account": settings.account,
        "month_end": settings.month_end,
        "mail": settings.mail,
        "sepa": settings.sepa,
        "wise_source_currency": settings.wise_source_currency,
    })
}

/// A version's settings and rules as the reader takes them.
pub fn terms(terms: &ProgramTerms) -> Value {
    // The settings' own words are the file's; what is not is written over.
    let mut value = json!(terms);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("reversal_delay".to_owned(), delay(terms.reversal_delay).into());
        fields.insert("rules".to_owned(), rules(&terms.rules));
        fields.insert("second_level".to_owned(), terms.second_level.as_ref().map(second_level).into());
    }
    value
}

fn second_level(level: &SecondLevel) -> Value {
    json!({
        "percent": percent_text(level.percent),
        "of": level.of,
        "duration": duration(level.months.map_or(Duration::Lifetime, Duration::Months)),
    })
}

/// Rules as the reader takes them.
pub fn rules(rules: &[Rule]) -> Value {
    rules.iter().map(rule).collect()
}

fn rule(rule: &Rule) -> Value {
    let mut value = json!(rule);
    let Some(fields) = value.as_object_mut() else { return value };
    fields.remove("earn");
    match &rule.earn {
        Earn::Percent(percent) => fields.insert("percent".to_owned(), percent_text(*percent).into()),
        Earn::Tiers(tiers) => fields.insert("tiers".to_owned(), json!(tiers)),
        Earn::Flat(flat) => fields.insert("flat".to_owned(), json!(flat)),
    };
    fields.insert("on".to_owned(), rule.on.map_or_else(|| json!("any"), |kind: Kind| json!(kind)));
    fields.insert("duration".to_owned(), duration(rule.duration).into());
    value
}

fn percent_text(percent: Decimal) -> String {
    percent.normalize().to_string()
}

fn duration(duration: Duration) -> String {
    match duration {
        Duration::OneTime => "one_time".to_owned(),
        Duration::Months(months) => format!("{months} months"),
        Duration::Payments(payments) => format!("{payments} payments"),
        Duration::Lifetime => "lifetime".to_owned(),
    }
}

/// `1s`, `90m`, `1h`, `2d`: the largest unit that fits.
fn delay(seconds: i64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        days if days % 86_400 == 0 => format!("{}d", days / 86_400),
        hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A partner as the reader takes it: profile, status, group, programs, codes, overrides.
pub fn partner(all: &Terms, key: &str, partner: &Partner) -> Value {
    let Profile {
        name,
        email,
        legal_name,
        country,
        tax_id,
        vat_id,
        payout,
        minimum_payout,
        on_hold,
        note,
        locale,
        tax_form,
    } = &partner.profile;
    let programs = partner.enrollments.iter().filter(|(_, status)| status.latest() == Some(&Status::Active));
    let programs: Vec<&String> = programs.map(|(program, _)| program).collect();
    json!({
        "key": key,
        // A name that nobody gave is the key.
        "name": if name.is_empty() { key } else { name },
        "email": email,
        "legal_name": legal_name,
        "country": country,
        "tax_id": tax_id,
        "vat_id": vat_id,
        "payout": payout,
        "minimum_payout": minimum_payout,
        "on_hold": on_hold,
        "note": note,
        "locale": locale,
        "tax_form": tax_form,
        "status": partner.status.latest().copied().unwrap_or_default(),
        "group": partner.group.latest().cloned().flatten(),
        "recruited_by": partner.recruiter.latest().cloned().flatten(),
        "programs": programs,
        "codes": codes_of(all, key),
        "overrides": overrides(&partner.overrides),
    })
}

/// The overrides in force now as the reader takes them.
pub fn overrides(overrides: &Overrides) -> Value {
    let latest = overrides.iter().filter_map(|(program, dated)| Some((program, dated.latest()?)));
    let in_force = latest.filter(|(_, rules)| !rules.is_empty());
    in_force.map(|(program, list)| json!({ "program": program, "rules": rules(list) })).collect()
}

/// The promotion codes that are a partner's now, in order.
fn codes_of(all: &Terms, key: &str) -> Value {
    let mut codes: Vec<(&String, Option<&String>)> = all
        .codes
        .iter()
        .filter_map(|(code, dated)| {
            let owner = dated.latest()?.as_ref().filter(|owner| owner.partner == key)?;
            Some((code, owner.program.as_ref()))
        })
        .collect();
    codes.sort_unstable();
    let code = |(code, program): (&String, Option<&String>)| match program {
        None => json!(spelled(code)),
        Some(program) => json!({ "code": spelled(code), "program": program }),
    };
    codes.into_iter().map(code).collect()
}

/// Codes are kept in lower case and known in upper case; ids are neither.
pub fn spelled(code: &str) -> String {
    if code.starts_with("promo_") { code.to_owned() } else { code.to_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    #[test]
    fn what_is_shown_reads_back_as_itself() {
        let body = json!({
            "key": "saas",
            "hold_days": 14,
            "reversal_delay": "90m",
            "self_referral": "review",
            "second_level": {"percent": "10", "of": "base", "duration": "12 months"},
            "rules": [
                {"on": "first", "percent": "33.3", "duration": "one_time", "cap_per_payment": {"usd": 10_000}},
                {"key": "renewals", "on": "recurring", "product_key": ["pro"], "flat": {"usd": 2500, "jpy": 300},
                 "duration": "12 months", "cap_per_customer": {"jpy": 5000}},
                {"percent": 5, "interval": ["month"], "duration": "3 payments"},
                {"tiers": {"by": "volume", "months": 3, "steps": [
                    {"from": {"usd": 0}, "percent": "20"}, {"from": {"usd": 100_000}, "percent": "25"},
                ]}},
            ],
        });
        let file = section("program", object(&body)).unwrap();
        let mut shown = terms(&file.programs[0].terms);
        assert_eq!(shown["rules"][0]["percent"], "33.3");
        assert_eq!(shown["rules"][1]["flat"], json!({"usd": 2500, "jpy": 300}));
        assert_eq!(shown["reversal_delay"], "90m");
        shown["key"] = "saas".into();
        let again = section("program", object(&shown)).unwrap();
        assert_eq!(again.programs[0].terms, file.programs[0].terms);
    }

    #[test]
    fn faults_name_the_field_as_json_has_it() {
        let body = json!({"key": "saas", "hold_days": -1, "color": "red", "rules": [
            {"percent": "30"}, {"percent": "101", "flat": {"usd": 1}}, {"flat": {"usd": "25.00", "xxq": 1}},
        ]});
        let faults = section("program", object(&body)).unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        for field in ["hold_days", "color", "rules[1].flat", "rules[2].flat.usd", "rules[2].flat.xxq"] {
            assert!(fields.contains(&field), "{field}: {faults:?}");
        }
        let faults = section("program", object(&json!({"key": "saas", "rule": []}))).unwrap_err();
        assert_eq!(faults[0].field, "rule");
        let faults = section("partner", object(&json!({"email": "nobody"}))).unwrap_err();
        assert!(faults.iter().any(|fault| fault.field == "email"), "{faults:?}");
        assert!(section("partner", object(&json!({"key": "a", "minimum_payout": {"usd": 1e300}}))).is_err());
        assert!(section("partner", object(&json!({"key": "a", "on_hold": null}))).is_ok());
    }
}
