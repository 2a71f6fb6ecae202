//! The objects of one kind, in the order in which they were made, and Stripe's way of going through them page by page.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use serde_json::Value;

use super::kinds::Kind;

/// Made when, and as the how manieth.
type Place = (i64, u64);

/// What a page is asked for with.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// `created`, both included.
    pub from: i64,
    pub until: i64,
    pub starting_after: Option<String>,
    pub ending_before: Option<String>,
    pub limit: usize,
    /// Parameters of the list with what they ask for.
    pub filters: Vec<(&'static str, String)>,
}

/// A cursor that names nothing.
#[derive(Debug)]
pub(super) struct NoSuch(pub String);

#[derive(Debug)]
struct Kept {
    place: Place,
    body: Value,
}

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Shelf {
    kind: Kind,
    objects: HashMap<String, Kept>,
    order: BTreeMap<Place, String>,
    /// By parameter and what it asks for.
    marks: HashMap<(&'static str, String), BTreeSet<Place>>,
    made: u64,
}

impl Shelf {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, objects: HashMap::new(), order: BTreeMap::new(), marks: HashMap::new(), made: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.objects.get(id).map(|kept| &kept.body)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.order.values().cloned().collect()
    }

    /// Puts an object at its place, in the place of the one with its id.
    pub(super) fn put(&mut self, body: Value) {
        let id = body["id"].as_str().expect("an object has an id").to_owned();
        let created = body["created"].as_i64().unwrap_or_default();
        let known = self.remove(&id).filter(|place| place.0 == created);
        let place = known.unwrap_or_else(|| {
            self.made += 1;
            (created, self.made)
        });
        for (name, value) in self.marks_of(&body) {
            self.marks.entry((name, value)).or_default().insert(place);
        }
        self.order.insert(place, id.clone());
        self.objects.insert(id, Kept { place, body });
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Place> {
        let Kept { place, body } = self.objects.remove(id)?;
        for mark in self.marks_of(&body) {
            if let Some(places) = self.marks.get_mut(&mark) {
                places.remove(&place);
            }
        }
        self.order.remove(&place);
        Some(place)
    }

    fn marks_of(&self, body: &Value) -> Vec<(&'static str, String)> {
        let filters = self.kind.about().filters.iter();
        filters.filter_map(|(name, pointer)| Some((*name, body.pointer(pointer)?.as_str()?.to_owned()))).collect()
    }

    /// Every object that bears this mark, the oldest first.
    pub(super) fn marked(&self, name: &'static str, value: &str) -> Vec<&Value> {
        let places = self.marks.get(&(name, value.to_owned())).into_iter().flatten();
        places.map(|place| &self.objects[&self.order[place]].body).collect()
    }

    /// One page, the newest first, and whether more follow.
    pub(super) fn page(&self, ask: &Ask, keep: impl Fn(&Value) -> bool) -> Result<(Vec<&Value>, bool), NoSuch> {
        let place = |id: &Option<String>| match id {
            None => Ok(None),
            Some(id) => self.objects.get(id).map(|kept| Some(kept.place)).ok_or_else(|| NoSuch(id.clone())),
        };
        let (after, before) = (place(&ask.starting_after)?, place(&ask.ending_before)?);
        let lowest = before.map_or(Bound::Included((ask.from, 0)), |place| Bound::Excluded(place.max((ask.from, 0))));
        let highest = after
            .map_or(Bound::Included((ask.until, u64::MAX)), |place| Bound::Excluded(place.min((ask.until, u64::MAX))));
        let is_empty = match (&lowest, &highest) {
            (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
            _ => false,
        };
        if is_empty {
            return Ok((Vec::new(), false));
        }
        let backwards = ask.ending_before.is_some();
        let mut places: Box<dyn Iterator<Item = Place>> = match ask.filters.first() {
            None if backwards => Box::new(self.order.range((lowest, highest)).map(|(place, _)| *place)),
            None => Box::new(self.order.range((lowest, highest)).rev().map(|(place, _)| *place)),
            Some((name, value)) => match self.marks.get(&(*name, value.clone())) {
                None => Box::new(std::iter::empty()),
                Some(marked) if backwards => Box::new(marked.range((lowest, highest)).copied()),
                Some(marked) => Box::new(marked.range((lowest, highest)).rev().copied()),
            },
        };
        let rest = ask.filters.get(1..).unwrap_or_default();
        let fits = |body: &Value| {
            let filters = self.kind.about().filters;
            rest.iter().all(|(name, value)| {
                let pointer = filters.iter().find(|(known, _)| known == name).map_or("", |(_, pointer)| *pointer);
                body.pointer(pointer).and_then(Value::as_str) == Some(value.as_str())
            }) && keep(body)
        };
        let mut page = Vec::with_capacity(ask.limit);
        let mut has_more = false;
        for place in places.by_ref() {
            let body = &self.objects[&self.order[&place]].body;
            if !fits(body) {
                continue;
            }
            if page.len() == ask.limit {
                has_more = true;
                break;
            }
            page.push(body);
        }
        if backwards {
            page.reverse();
        }
        Ok((page, has_more))
    }
}
