//! A program file.

use serde_json::Value;

use super::terms::{README, enter, of_file};
use crate::domain::Time;
use crate::domain::terms::{Change, Terms};
use crate::program::json::{section, settings, terms as terms_as_json};
use crate::program::{ProgramFile, RepriceClosed, parse, plan};

const NOW: i64 = 1_790_000_000;

/// A file means one thing; applied twice it changes nothing the second time; what is shown of it reads back as itself.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(now) = Time::from_timestamp(NOW, 0) else { return };
    let file = match parse(text, "program.toml") {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.problems.is_empty() && !error.to_string().is_empty(), "a fault is named");
            return;
        }
    };
    applied(&file, Terms::default(), now);
    applied(&file, of_file(README, now), now);
    shown(&file);
}

fn applied(file: &ProgramFile, mut current: Terms, now: Time) {
    let Ok(first) = plan(file, &current, now, Time::from_timestamp(NOW - 86_400, 0), RepriceClosed::No) else { return };
    for line in &first.lines {
        assert!(!line.contains('\n'), "a line of a plan is a line: {line:?}");
    }
    for (_, change) in &first.changes {
        let text = serde_json::to_string(change).expect("a change can be kept");
        assert_eq!(serde_json::from_str::<Change>(&text).ok().as_ref(), Some(change), "{text}");
    }
    let later = now + chrono::TimeDelta::hours(1);
    enter(&mut current, first.changes.into_iter().map(|(_, change)| change), now);
    for reprice in [RepriceClosed::No, RepriceClosed::Yes] {
        let closed = Time::from_timestamp(NOW - 86_400, 0);
        let again = plan(file, &current, later, closed, reprice).expect("it was possible before");
        if reprice == RepriceClosed::No {
            assert!(
                again.is_empty() && again.lines.is_empty(),
                "the second time it changes nothing: {:?}",
                again.lines
            );
        }
    }
}

fn shown(file: &ProgramFile) {
    for program in &file.programs {
        let Value::Object(mut fields) = terms_as_json(&program.terms) else { panic!("terms are an object") };
        fields.insert("key".to_owned(), program.key.clone().into());
        match section("program", &fields) {
            Ok(again) => assert_eq!(again.programs[0].terms, program.terms, "{fields:?}"),
            Err(faults) => panic!("what is shown is refused: {faults:?} {fields:?}"),
        }
    }
    if let Some(workspace) = &file.workspace {
        let Value::Object(fields) = settings(&workspace.settings) else { panic!("settings are an object") };
        match section("workspace", &fields) {
            Ok(again) => assert_eq!(again.workspace.as_ref(), Some(workspace), "{fields:?}"),
            Err(faults) => panic!("what is shown is refused: {faults:?} {fields:?}"),
        }
    }
}
