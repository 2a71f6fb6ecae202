//! A cursor over a TOML document that knows its path, for readers that note a fault and go on.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::fault::{Faults, Spot, nearest};
use super::super::valid;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) spot: Spot,
}

/// A table whose keys are all allowed (those that are not have been noted).
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    pub(super) spot: Spot,
}

impl<'a> Node<'a> {
    fn child(&self, name: &str, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value: value.get_ref(), spot: Spot { path: format!("{}{name}", self.spot.path), span: value.span() } }
    }

    /// Notes that something else was expected here.
    pub(super) fn expected(&self, what: &str, faults: &mut Faults) {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        faults.add(&self.spot, format!("expected {what}, found {found}"));
    }

    /// A text, trimmed and not empty.
    pub(super) fn text(&self, what: &str, faults: &mut Faults) -> Option<String> {
        self.valid(what, |text| valid::text(text, what), faults)
    }

    /// A text that passes a check.
    pub(super) fn valid<T>(
        &self,
        what: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        let Some(text) = self.value.as_str() else {
            self.expected(&format!("{what} in quotes"), faults);
            return None;
        };
        faults.check(&self.spot, check(text))
    }

    /// A text of one or more lines, trimmed and not empty.
    pub(super) fn prose(&self, what: &str, faults: &mut Faults) -> Option<String> {
        self.valid(what, |text| valid::prose(text, what), faults)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, faults: &mut Faults) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.expected("true or false", faults);
        }
        flag
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, bounds: RangeInclusive<u32>, what: &str, faults: &mut Faults) -> Option<u32> {
        let Some(integer) = self.value.as_integer() else {
            self.expected(&format!("{what} such as {}", bounds.end().min(&30)), faults);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let within = number.and_then(|number| u32::try_from(number).ok()).filter(|number| bounds.contains(number));
        if within.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            faults.add(&self.spot, format!("{integer} is out of range: expected {what} from {least} to {most}"));
        }
        within
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let Some(text) = self.value.as_str() else {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.expected(&format!("one of {}", names.join(", ")), faults);
            return None;
        };
        faults.check(&self.spot, valid::word(text, words))
    }

    /// The items of a list, or the value itself where one alone may stand.
    pub(super) fn one_or_more(&self) -> Vec<Self> {
        match self.value {
            DeValue::Array(items) => {
                items.iter().enumerate().map(|(i, item)| self.child(&format!("[{i}]"), item)).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The items of a list.
    pub(super) fn list(&self, what: &str, faults: &mut Faults) -> Vec<Self> {
        if self.value.is_array() {
            return self.one_or_more();
        }
        self.expected(what, faults);
        Vec::new()
    }

    /// The tables of a `[[key]]`.
    pub(super) fn tables(&self, faults: &mut Faults) -> Vec<Self> {
        if self.value.is_table() {
            let key = without_indices(&self.spot.path);
            faults.add(&self.spot, format!("is a single table: write [[{key}]] instead of [{key}]"));
            return Vec::new();
        }
        let key = without_indices(&self.spot.path);
        self.list(&format!("tables headed [[{key}]]"), faults)
    }

    /// The keys and values of a table with keys of the author's own.
    pub(super) fn pairs(&self, what: &str, faults: &mut Faults) -> Vec<(&'a str, Self)> {
        let Some(table) = self.value.as_table() else {
            self.expected(what, faults);
            return Vec::new();
        };
        let pairs = table.iter().map(|(key, value)| {
            let key: &str = key.get_ref();
            (key, self.child(&format!(".{key}"), value))
        });
        pairs.collect()
    }

    /// A table with known keys.
    pub(super) fn section(self, allowed: &[&str], faults: &mut Faults) -> Option<Section<'a>> {
        let Some(table) = self.value.as_table() else {
            self.expected("a table", faults);
            return None;
        };
        let section = Section { table, spot: self.spot };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !allowed.contains(&name) {
                let spot = Spot { path: section.path_of(name), span: key.span() };
                let message = format!("unknown key{}: allowed are {}", hint(name, allowed), allowed.join(", "));
                faults.add(&spot, message);
            }
        }
        Some(section)
    }
}

impl<'a> Section<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a DeValue<'a>, allowed: &[&str], faults: &mut Faults) -> Option<Self> {
        Node { value, spot: Spot { path: String::new(), span: 0..0 } }.section(allowed, faults)
    }

    fn path_of(&self, key: &str) -> String {
        if self.spot.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.spot.path) }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.table.get(key)?;
        Some(Node { value: value.get_ref(), spot: Spot { path: self.path_of(key), span: value.span() } })
    }

    /// How the header of a table below this one is written.
    pub(super) fn head_of(&self, key: &str) -> String {
        without_indices(&self.path_of(key))
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &str, what: &str, faults: &mut Faults) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            faults.add(&self.spot, format!("lacks the key `{key}`: expected {what}"));
        }
        node
    }
}

fn hint(word: &str, words: &[&str]) -> String {
    nearest(word, words).map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default()
}

/// `program[0].rule` as its header is written, `program.rule`.
fn without_indices(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect();
    parts.join(".")
}
