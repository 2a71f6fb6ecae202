//! Partners: new ones, and what a file says otherwise about known ones.

use std::collections::HashMap;

use super::super::columns::Field;
use super::super::row::PartnerRow;
use super::Planner;
use crate::domain::evidence::normal_email;
use crate::domain::terms::{Change, Partner, PartnerKey, PayoutMethod, Profile, Status};
use crate::program::valid;

impl Planner<'_> {
    pub(super) fn partners(&mut self, rows: &[PartnerRow]) {
        let mut seen: HashMap<PartnerKey, &PartnerRow> = HashMap::new();
        let mut keys_by_email: HashMap<String, PartnerKey> = HashMap::new();
        let mut in_no_program = 0;
        for row in rows {
            let key = match &row.key {
                Some(key) => key.clone(),
                None => self.key_for(row, &seen, &keys_by_email),
            };
            if let Some(email) = &row.email {
                keys_by_email.entry(normal_email(email)).or_insert_with(|| key.clone());
            }
            if let Some(first) = seen.get(&key) {
                // Other tools list a partner once for each of their customers.
                let same = PartnerRow { row: first.row, ..row.clone() } == **first;
                if self.is_own() || !same {
                    let (first, how) = (first.row, if same { "" } else { ", with other values" });
                    self.fault(row.row, Field::Key, format!("partner {key:?} is in row {first} already{how}"));
                }
                continue;
            }
            seen.insert(key.clone(), row);
            in_no_program += usize::from(!self.partner(&key, row));
        }
        if in_no_program > 0 {
            let who =
                if in_no_program == 1 { "1 partner is".to_owned() } else { format!("{in_no_program} partners are") };
            self.plan.notes.push(format!("{who} in no program: they earn nothing before they are enrolled in one"));
        }
    }

    /// The key of a partner that another tool gives none: the partner with that e-mail, else one made of the name.
    fn key_for(
        &self,
        row: &PartnerRow,
        seen: &HashMap<PartnerKey, &PartnerRow>,
        keys_by_email: &HashMap<String, PartnerKey>,
    ) -> PartnerKey {
        let email = row.email.as_deref().map(normal_email).unwrap_or_default();
        if let Some(key) = keys_by_email.get(&email) {
            return key.clone();
        }
        if let Some([key]) = self.by_email.get(&email).map(Vec::as_slice) {
            return (*key).clone();
        }
        let slug = slug(row.name.as_deref().unwrap_or_default());
        let is_free = |key: &String| !seen.contains_key(key) && !self.current.partners.contains_key(key);
        let mut tries = std::iter::once(slug.clone()).chain((2_u64..).map(|number| format!("{slug}-{number}")));
        tries.find(is_free).unwrap_or(slug)
    }

    /// Plans one partner; tells whether they are in a program then.
    fn partner(&mut self, key: &PartnerKey, row: &PartnerRow) -> bool {
        let known = self.current.partners.get(key);
        let before = known.map(|partner| partner.profile.clone()).unwrap_or_default();
        let profile = self.profile(key, row, &before);
        let mut differs: Vec<&str> = differences(&before, &profile);
        if known.is_none() || profile != before {
            self.enter(&format!("partner/{key}/profile"), Change::Partner { partner: key.clone(), profile });
        }
        let status = known.and_then(|partner| partner.status.latest()).copied().unwrap_or_default();
        if let Some(status) = row.status.filter(|wished| *wished != status) {
            differs.push("status");
            let change = Change::PartnerStatus { partner: key.clone(), status, from: None };
            self.enter(&format!("partner/{key}/status"), change);
        }
        let group = known.and_then(|partner| partner.group.latest()).cloned().flatten();
        if let Some(wished) = row.group.clone().filter(|wished| Some(wished) != group.as_ref()) {
            differs.push("group");
            let change = Change::PartnerGroup { partner: key.clone(), group: Some(wished), from: None };
            self.enter(&format!("partner/{key}/group"), change);
        }
        let (enrolled, is_in_any) = self.enroll(key, row, known);
        if !enrolled.is_empty() {
            differs.push("programs");
        }
        self.tell(key, known.is_some(), &differs, &enrolled);
        is_in_any
    }

    fn tell(&mut self, key: &str, is_known: bool, differs: &[&str], enrolled: &[String]) {
        if !is_known {
            self.plan.counts.created += 1;
            let programs = if enrolled.is_empty() { "no program".to_owned() } else { enrolled.join(", ") };
            self.plan.lines.push(format!("+ partner {key} ({programs})"));
        } else if differs.is_empty() {
            self.plan.counts.unchanged += 1;
        } else {
            self.plan.counts.updated += 1;
            self.plan.lines.push(format!("~ partner {key}: {}", differs.join(", ")));
        }
    }

    fn profile(&mut self, key: &PartnerKey, row: &PartnerRow, before: &Profile) -> Profile {
        let kept = |said: &Option<String>, before: &Option<String>| said.clone().or_else(|| before.clone());
        let name = row.name.clone().or_else(|| Some(before.name.clone()).filter(|name| !name.is_empty()));
        Profile {
            name: name.unwrap_or_else(|| key.clone()),
            email: kept(&row.email, &before.email),
            legal_name: kept(&row.legal_name, &before.legal_name),
            country: kept(&row.country, &before.country),
            tax_id: kept(&row.tax_id, &before.tax_id),
            vat_id: kept(&row.vat_id, &before.vat_id),
            payout: self.payout(row, before.payout.as_ref()),
            on_hold: row.on_hold.unwrap_or(before.on_hold),
            note: kept(&row.note, &before.note),
            ..before.clone()
        }
    }

    /// How they are paid: what the row says, and where the method stays, what is known of it.
    fn payout(&mut self, row: &PartnerRow, before: Option<&PayoutMethod>) -> Option<PayoutMethod> {
        let Some(method) = row.method.or(before.map(|before| before.method)) else {
            for (said, field) in
                [(row.account.is_some(), Field::PayoutAccount), (row.currency.is_some(), Field::PayoutCurrency)]
            {
                if said {
                    self.fault(row.row, field, "says nothing without a payout_method");
                }
            }
            return None;
        };
        let same = before.filter(|before| before.method == method);
        let account = row.account.clone().or_else(|| same.and_then(|same| same.account.clone()));
        let currency = row.currency.or_else(|| before.and_then(|before| before.currency));
        match valid::payout_account(method, account.as_deref()) {
            Ok(account) => Some(PayoutMethod { method, account, currency }),
            Err(why) => {
                let heading = self.file.columns.heading(Field::PayoutAccount).unwrap_or("payout_account");
                self.faults.add(Some(row.row), Some(heading), why);
                None
            }
        }
    }

    /// Enrolls a partner where they are not yet; never takes them out. Tells where, and whether they are in any program.
    fn enroll(&mut self, key: &PartnerKey, row: &PartnerRow, known: Option<&Partner>) -> (Vec<String>, bool) {
        let mut wished = row.programs.clone();
        wished.extend(self.program.map(str::to_owned).filter(|program| !row.programs.contains(program)));
        let is_in = |status: &crate::domain::terms::Dated<Status>| status.latest() == Some(&Status::Active);
        let mut is_in_any = known.is_some_and(|known| known.enrollments.iter().any(|(_, status)| is_in(status)));
        let mut enrolled = Vec::new();
        for program in wished {
            if !self.program_exists(row.row, Field::Programs, &program) {
                continue;
            }
            is_in_any = true;
            if known.and_then(|known| known.enrollment(&program)).is_some_and(is_in) {
                continue;
            }
            let (partner, status) = (key.clone(), Status::Active);
            let change = Change::Enrollment { partner, program: program.clone(), status, from: None };
            self.enter(&format!("partner/{key}/program/{program}"), change);
            enrolled.push(program);
        }
        (enrolled, is_in_any)
    }
}

/// The names of what differs; what it is may be personal.
fn differences(before: &Profile, after: &Profile) -> Vec<&'static str> {
    let all = [
        ("name", before.name == after.name),
        ("email", before.email == after.email),
        ("legal_name", before.legal_name == after.legal_name),
        ("country", before.country == after.country),
        ("tax_id", before.tax_id == after.tax_id),
        ("vat_id", before.vat_id == after.vat_id),
        ("payout", before.payout == after.payout),
        ("on_hold", before.on_hold == after.on_hold),
        ("note", before.note == after.note),
    ];
    all.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

/// `Ann Example` as a key: `ann-example`.
fn slug(name: &str) -> String {
    let words = name.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    let slug: String = slug.chars().take(valid::MOST_KEY / 2).collect();
    if valid::partner_key(&slug).is_ok() { slug } else { "partner".to_owned() }
}
