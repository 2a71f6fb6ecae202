//! `[[partner.override]]` and `[[group.override]]`: rules tried before a program's own.

use super::super::fault::Faults;
use super::super::file::{Named, OverrideSection};
use super::node::{Node, Section};
use super::rule;

pub(crate) const OVERRIDE: [&str; 2] = ["program", "rule"];

/// All overrides of a partner or group, one for each program.
pub(super) fn read_all(section: &Section<'_>, faults: &mut Faults) -> Vec<OverrideSection> {
    let nodes = section.get("override").map(|node| node.tables(faults)).unwrap_or_default();
    let mut overrides: Vec<OverrideSection> = Vec::new();
    for node in nodes {
        let Some(read) = read(node, faults) else { continue };
        if overrides.iter().any(|known| known.program.name == read.program.name) {
            let message = format!("{:?} has an override here already: put all its rules into one", read.program.name);
            faults.add(&read.program.spot, message);
        } else {
            overrides.push(read);
        }
    }
    overrides
}

fn read(node: Node<'_>, faults: &mut Faults) -> Option<OverrideSection> {
    let section = node.section(&OVERRIDE, faults)?;
    let program = section.require("program", "the key of the program whose rules it comes before", faults);
    let rules = rule::read_all(&section, faults);
    let program = program?;
    let name = program.text("a program's key", faults)?;
    Some(OverrideSection { program: Named { name, spot: program.spot }, rules })
}
