//! The part of an address behind the `?`: every parameter is known, given once, and means something.

use std::collections::BTreeMap;

use super::Problem;
use crate::store::Mode;

/// How many objects a page has where nobody says.
const DEFAULT_LIMIT: i64 = 10;
/// How many it has at most.
const MOST: i64 = 100;

/// The parameters that nobody has asked for yet.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many objects at most, 1 to 100.
    pub limit: i64,
    /// The id of the last object of the page before.
    pub starting_after: Option<String>,
}

impl Params {
    /// # Errors
    /// 422 where one is given twice.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if params.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Problem::invalid(name, "this parameter is given more than once"));
            }
        }
        Ok(Self(params))
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// # Errors
    /// 422 where it is no mode.
    pub(super) fn mode(&mut self) -> Result<Option<Mode>, Problem> {
        self.text("mode").map(|mode| mode.parse().map_err(|error: String| Problem::invalid("mode", error))).transpose()
    }

    /// `limit` and `starting_after`; ids begin with `prefix`.
    ///
    /// # Errors
    /// 422 where they are out of bounds.
    pub(super) fn page(&mut self, prefix: &str) -> Result<Page, Problem> {
        let limit = match self.text("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| Problem::invalid("limit", format!("expected a number from 1 to {MOST}")))?,
        };
        let starting_after = self.text("starting_after");
        if starting_after.as_ref().is_some_and(|id| !id.starts_with(prefix)) {
            return Err(Problem::invalid(
                "starting_after",
                format!("expected the id of an object of this list, {prefix}…"),
            ));
        }
        Ok(Page { limit, starting_after })
    }

    /// Says that there are no other parameters than `known`, all of which were asked for.
    ///
    /// # Errors
    /// 422 where there are.
    pub(super) fn end(self, known: &[&str]) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(other) => {
                let known = known.join(", ");
                Err(Problem::invalid(other, format!("there is no such parameter: expected any of {known}")))
            }
        }
    }
}

/// `mode=live` or `mode=test`, where that is the one parameter there is.
///
/// # Errors
/// 422 for any other.
pub(super) fn only_mode(query: Option<&str>) -> Result<Option<Mode>, Problem> {
    let mut params = Params::read(query)?;
    let mode = params.mode()?;
    params.end(&["mode"])?;
    Ok(mode)
}

/// One page of a list: of `limit + 1` objects that were looked up, the last one only tells that there are more.
pub(super) fn list(limit: i64, mut data: Vec<serde_json::Value>) -> serde_json::Value {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = data.len() > limit;
    data.truncate(limit);
    serde_json::json!({ "object": "list", "data": data, "has_more": has_more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_bounds() {
        let page = |query| Params::read(Some(query)).and_then(|mut params| params.page("ent_"));
        assert_eq!(page("").unwrap(), Page { limit: 10, starting_after: None });
        let wished = page("limit=100&starting_after=ent_1").unwrap();
        assert_eq!(wished, Page { limit: 100, starting_after: Some("ent_1".to_owned()) });
        for refused in ["limit=0", "limit=101", "limit=ten", "limit=", "limit=1&limit=2", "starting_after=pay_1"] {
            assert!(page(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_object_too_many_tells_that_there_are_more() {
        let data = || vec![1.into(), 2.into()];
        assert_eq!(list(2, data())["has_more"], false);
        assert_eq!(list(1, data()), serde_json::json!({"object": "list", "data": [1], "has_more": true}));
    }
}
