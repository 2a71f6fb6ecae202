//! Text in CSV files that people open in spreadsheets.

use std::borrow::Cow;

/// A text cell that no spreadsheet takes for a formula: one that starts like a formula gets a `'` before it. Numbers
/// are not text: `-5.00` stays what it is.
///
/// ```
/// use commission_bridge::payouts::csv_cell::text;
///
/// assert_eq!(text("Acme Media"), "Acme Media");
/// assert_eq!(text("=HYPERLINK(\"http://evil.example\")"), "'=HYPERLINK(\"http://evil.example\")");
/// ```
pub fn text(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn only_what_starts_like_a_formula_is_changed() {
        for formula in ["=1+1", "+49 170", "-2", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(text(formula), format!("'{formula}"));
        }
        for plain in ["", "Acme", "a=b", "'=1", "1-2", "pay@acme.example"] {
            assert_eq!(text(plain), plain);
        }
    }
}
