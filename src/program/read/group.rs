//! `[[group]]`.

use super::super::fault::Faults;
use super::super::file::GroupSection;
use super::node::Node;
use super::{overriding, value};

pub(crate) const GROUP: [&str; 3] = ["key", "name", "override"];

/// Reads the section.
pub(super) fn read(node: Node<'_>, faults: &mut Faults) -> Option<GroupSection> {
    let section = node.section(&GROUP, faults)?;
    let key = section
        .require("key", "the group's key, such as \"gold\"", faults)
        .and_then(|node| value::key(&node, "a group's key", faults));
    let name = section.get("name").and_then(|node| node.text("a name", faults));
    let overrides = overriding::read_all(&section, faults);
    let key = key?;
    Some(GroupSection { name: name.unwrap_or_else(|| key.clone()), key, overrides, spot: section.spot })
}
