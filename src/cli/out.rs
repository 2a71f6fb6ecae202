//! The one way to print. Whoever reads may stop reading (`… | head`): what was asked for is done all the same, and
//! nothing panics. A disk that is full is told at the end.

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;

use super::Failure;

/// Why standard output takes no more.
static CLOSED: OnceLock<io::Error> = OnceLock::new();

/// Prints data to standard output, without a line end.
macro_rules! out {
    ($($argument:tt)*) => { $crate::cli::out::print(format_args!($($argument)*)) };
}

/// Prints a line of data to standard output.
macro_rules! outln {
    () => { $crate::cli::out::print(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::cli::out::print(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a remark to standard error.
macro_rules! note {
    ($($argument:tt)*) => { $crate::cli::out::remark(format_args!($($argument)*)) };
}

pub(super) use {note, out, outln};

/// Behind `out!` and `outln!`.
pub fn print(text: fmt::Arguments<'_>) {
    if CLOSED.get().is_none()
        && let Err(error) = io::stdout().lock().write_fmt(text)
    {
        let _ = CLOSED.set(error);
    }
}

/// Behind `note!`. Nobody can be told that standard error is gone.
pub fn remark(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether everything printed arrived, or was not wanted.
pub fn finish() -> Result<(), Failure> {
    if let Err(error) = io::stdout().lock().flush() {
        let _ = CLOSED.set(error);
    }
    match CLOSED.get() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Said(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
