//! `openapi`: the reference of the JSON API, as a document.

use clap::Args;

use super::Failure;
use super::out::out;
use crate::http;

/// Print the JSON API's reference as an OpenAPI 3.1 document; `serve` shows it at /docs
#[derive(Debug, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
#[command(after_help = "Example:\n  commission-bridge openapi > openapi.json")]
pub struct Arguments {}

/// Prints it.
pub fn run(_: &Arguments) -> Result<(), Failure> {
    out!("{}", text().map_err(|error| Failure::Said(error.to_string()))?);
    Ok(())
}

/// The document as it is committed.
///
/// # Errors
/// Where it is no JSON, which it always is.
pub fn text() -> Result<String, serde_json::Error> {
    // Through a value, so that the order of keys is the same in every build.
    let value = serde_json::to_value(http::document())?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}
