//! Plain text in 72 columns: pairs whose values line up on the right, wrapped sentences, no blank lines in a row.

use unicode_width::UnicodeWidthStr;

use super::Pair;
use crate::domain::mask::mask;

/// How wide a line is.
pub(super) const WIDTH: usize = 72;

/// Pairs, one to a line, names on the left and values on the right; a sum has a rule above it.
pub(super) fn pairs(pairs: &[Pair]) -> Vec<String> {
    let room = pairs.iter().map(|pair| pair.name.width() + 2 + pair.value.width()).max().unwrap_or(0).clamp(44, WIDTH);
    let mut lines = Vec::new();
    for pair in pairs {
        if pair.is_sum {
            lines.push("-".repeat(room));
        }
        lines.extend(sides(&pair.name, &pair.value, room));
    }
    lines
}

/// A text on the left and one on the right, which begins a line of its own where both do not fit into one.
pub(super) fn sides(left: &str, right: &str, room: usize) -> Vec<String> {
    let (left, right) = (one_line(left), one_line(right));
    let taken = left.width() + right.width();
    if taken + 2 <= room {
        return vec![format!("{left}{}{right}", " ".repeat(room - taken))];
    }
    let mut lines = wrap_to(&left, room);
    lines.push(format!("{}{right}", " ".repeat(room.saturating_sub(right.width()))));
    lines
}

/// A sentence in lines.
pub(super) fn wrap(text: &str) -> Vec<String> {
    wrap_to(text, WIDTH)
}

pub(super) fn wrap_to(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_ascii_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Names may hold anything; a line is a line.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A rendered text without blanks at line ends and without two blank lines in a row, ended by one line feed.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines() {
        let line = line.trim_end();
        if !(line.is_empty() && blank) {
            tidied.push_str(line);
            tidied.push('\n');
        }
        blank = line.is_empty();
    }
    while tidied.ends_with("\n\n") {
        tidied.pop();
    }
    tidied
}

/// A destination as it may be shown; one that is masked already stays as it is.
pub(super) fn masked(destination: &str) -> String {
    if destination.contains('…') { destination.to_owned() } else { mask(destination) }
}
