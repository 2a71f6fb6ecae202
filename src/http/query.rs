//! The part of an address behind the `?`: every parameter is known, given once, and means something.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::body::named;
use super::{App, Problem};
use crate::store::Mode;

/// How many objects a page has where nobody says.
const DEFAULT_LIMIT: i64 = 10;
/// How many it has at most.
const MOST: i64 = 100;

/// The parameters of a request, typed.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned + IntoParams> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads parameters.
///
/// # Errors
/// 422 for one that is unknown, given twice, or of the wrong type.
pub(super) fn parse<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T, Problem> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut seen = BTreeSet::new();
    for (name, value) in &pairs {
        if !seen.insert(name) {
            return Err(Problem::invalid(name.as_ref(), "this parameter is given more than once"));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(Problem::invalid(name.replace('\0', ""), "holds the character U+0000"));
        }
    }
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let known: Vec<String> =
            T::into_params(|| Some(ParameterIn::Query)).into_iter().map(|parameter| parameter.name).collect();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.iter().any(|known| known == name)) {
            let known = known.join(", ");
            return Problem::invalid(name.as_ref(), format!("there is no such parameter: expected any of {known}"));
        }
        let path = error.path().to_string();
        let said = error.into_inner().to_string();
        Problem::invalid(named(if path == "." { String::new() } else { path }, &said), said)
    })
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many objects at most, 1 to 100.
    pub limit: i64,
    /// The id of the last object of the page before.
    pub starting_after: Option<String>,
}

impl Page {
    /// # Errors
    /// 422 where `limit` is out of bounds.
    pub(super) fn of(limit: Option<i64>, starting_after: Option<String>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::invalid("limit", format!("expected a number from 1 to {MOST}")));
        }
        Ok(Self { limit, starting_after })
    }

    /// The same, of a list whose ids begin with `prefix`.
    ///
    /// # Errors
    /// 422 where they are out of bounds.
    pub(super) fn of_ids(limit: Option<i64>, starting_after: Option<String>, prefix: &str) -> Result<Self, Problem> {
        if starting_after.as_ref().is_some_and(|id| !id.starts_with(prefix)) {
            return Err(Problem::invalid(
                "starting_after",
                format!("expected the id of an object of this list, {prefix}…"),
            ));
        }
        Self::of(limit, starting_after)
    }

    /// What to say where `starting_after` names nothing in the list.
    pub(super) fn unknown(&self) -> Problem {
        let after = self.starting_after.as_deref().unwrap_or_default();
        Problem::invalid("starting_after", format!("there is no {after:?} in this list"))
    }

    /// How many to look up: one more than the page has tells whether there are more.
    pub(super) fn and_one(&self) -> i64 {
        self.limit + 1
    }

    /// The page, of what was looked up.
    pub(super) fn list<T>(&self, mut data: Vec<T>) -> List<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = data.len() > limit;
        data.truncate(limit);
        List { object: "list", data, has_more }
    }

    /// The page of a list that is all in memory, in its order.
    ///
    /// # Errors
    /// 422 where `starting_after` names nothing in it.
    pub(super) fn of_all<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> &str,
    ) -> Result<List<T>, Problem> {
        let mut all = all.into_iter();
        if let Some(after) = &self.starting_after
            && !all.by_ref().any(|item| id(&item) == after)
        {
            return Err(self.unknown());
        }
        let most = usize::try_from(self.and_one()).unwrap_or(usize::MAX);
        Ok(self.list(all.take(most).collect()))
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    /// The objects.
    pub data: Vec<T>,
    /// Whether there are more: ask for those behind the last one with `starting_after`.
    pub has_more: bool,
}

/// Reads a mode.
///
/// # Errors
/// 422 where it is none.
pub(super) fn mode(text: Option<&str>) -> Result<Option<Mode>, Problem> {
    text.map(|mode| mode.parse().map_err(|error: String| Problem::invalid("mode", error))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, IntoParams)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Some {
        limit: Option<i64>,
        partner: Option<String>,
    }

    #[test]
    fn a_parameter_is_known_typed_and_given_once() {
        assert_eq!(parse::<Some>("limit=2&partner=a%20b").unwrap().partner.as_deref(), Option::Some("a b"));
        for (refused, field) in
            [("limit=1&limit=2", "limit"), ("color=red", "color"), ("limit=ten", "limit"), ("partner=%00", "partner")]
        {
            let problem = serde_json::to_value(parse::<Some>(refused).unwrap_err()).unwrap();
            assert_eq!(problem["field"], field, "{problem}");
        }
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(Page::of(None, None).unwrap(), Page { limit: 10, starting_after: None });
        for refused in [0, 101, -1] {
            assert!(Page::of(Option::Some(refused), None).is_err(), "{refused}");
        }
        assert!(Page::of_ids(None, Option::Some("pay_1".to_owned()), "ent_").is_err());
    }

    #[test]
    fn the_object_too_many_tells_that_there_are_more() {
        let page = |limit| Page::of(Option::Some(limit), None).unwrap();
        assert!(!page(2).list(vec![1, 2]).has_more);
        assert_eq!(page(1).list(vec![1, 2]), List { object: "list", data: vec![1], has_more: true });
        let after = Page { limit: 1, starting_after: Option::Some("a".to_owned()) };
        assert_eq!(after.of_all(["a", "b", "c"], |text| text).unwrap().data, ["b"]);
        assert!(Page { limit: 1, starting_after: Option::Some("x".to_owned()) }.of_all(["a"], |text| text).is_err());
    }
}
