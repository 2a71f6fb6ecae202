//! `statements check`: the proof without a database: files in, and whether they are what was frozen.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::Failure;
use super::super::out::outln;
use super::super::table::{self, many};
use crate::domain::money::Money;
use crate::domain::statement::{Checked, check};

#[derive(Debug, Args)]
pub struct Check {
    /// Statements as they came with the mail, any partners' and months', in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Check) -> Result<(), Failure> {
    let mut contents = Vec::with_capacity(arguments.files.len());
    for path in &arguments.files {
        let content = std::fs::read(path).map_err(Failure::system(format!("cannot read {}", path.display())))?;
        contents.push(content);
    }
    let checked = check(contents.iter().map(Vec::as_slice));
    if arguments.json {
        print_json(arguments, &checked)?;
    } else {
        print(arguments, &checked);
    }
    if checked.is_clean() { Ok(()) } else { Err(Failure::Answered) }
}

fn of(list: &[(usize, String)], number: usize) -> impl Iterator<Item = &String> {
    list.iter().filter(move |(of, _)| *of == number).map(|(_, sentence)| sentence)
}

fn print_json(arguments: &Check, checked: &Checked) -> Result<(), Failure> {
    let file = |(number, path): (usize, &PathBuf)| {
        let frozen = checked.statements[number].as_ref();
        json!({
            "file": path.display().to_string(),
            "statement": frozen.map(|frozen| &frozen.statement.statement),
            "month": frozen.map(|frozen| frozen.statement.month.to_string()),
            "partner_key": frozen.map(|frozen| &frozen.statement.partner),
            "currency": frozen.map(|frozen| frozen.statement.currency),
            "opening": frozen.map(|frozen| frozen.statement.opening),
            "closing": frozen.map(|frozen| frozen.statement.closing),
            "sha256": frozen.map(|frozen| &frozen.sha256),
            "faults": of(&checked.faults, number).collect::<Vec<_>>(),
            "remarks": of(&checked.remarks, number).collect::<Vec<_>>(),
        })
    };
    let files: Vec<serde_json::Value> = arguments.files.iter().enumerate().map(file).collect();
    table::print_json(&json!({ "clean": checked.is_clean(), "files": files }))
}

fn print(arguments: &Check, checked: &Checked) {
    for (number, path) in arguments.files.iter().enumerate() {
        outln!("{}", path.display());
        if let Some(frozen) = &checked.statements[number] {
            let statement = &frozen.statement;
            let money = |amount| Money::new(amount, statement.currency);
            outln!(
                "  {} · {} · {} → {} · {}",
                statement.partner,
                statement.month,
                money(statement.opening),
                money(statement.closing),
                many(statement.lines.len(), "line"),
            );
            outln!("  SHA-256 {}", frozen.sha256);
        }
        for fault in of(&checked.faults, number) {
            outln!("  WRONG: {fault}");
        }
        for remark in of(&checked.remarks, number) {
            outln!("  note: {remark}");
        }
    }
    if checked.is_clean() {
        let count = many(arguments.files.len(), "statement");
        let is_whole = checked.remarks.is_empty();
        let chain = if is_whole { ", and each goes on from the one before" } else { "; see the notes for the rest" };
        outln!("\n{count}: unchanged, each adds up{chain}.");
    } else {
        outln!("\n{}: see above.", many(checked.faults.len(), "fault"));
    }
}
