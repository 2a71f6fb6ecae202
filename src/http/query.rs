//! The part of an address behind the `?`.

use super::Problem;
use crate::store::Mode;

/// `mode=live` or `mode=test`, where that is the one parameter there is.
///
/// # Errors
/// 422 for any other.
pub(super) fn only_mode(query: Option<&str>) -> Result<Option<Mode>, Problem> {
    let mut wished = None;
    for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=').unwrap_or((part, "")) {
            ("mode", mode) => wished = Some(mode.parse().map_err(|error| Problem::invalid("mode", error))?),
            (other, _) => return Err(Problem::invalid(other, "there is no such parameter: expected mode")),
        }
    }
    Ok(wished)
}
