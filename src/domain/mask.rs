//! Payout destinations as they may be shown: enough to recognise one's own, too little to use another's.

/// `acct_…6789`, `p…@acme.example`, `DE…1234`; what is too short to hide anything is hidden whole.
///
/// ```
/// use commission_bridge::domain::mask::mask;
///
/// assert_eq!(mask("acct_1NcQAbCd6789"), "acct_…6789");
/// assert_eq!(mask("pay@acme.example"), "p…@acme.example");
/// assert_eq!(mask("DE02 1203 0000 0000 2012 34"), "DE…1234");
/// ```
pub fn mask(destination: &str) -> String {
    let compact: String = destination.chars().filter(|character| !character.is_whitespace()).collect();
    if let Some((who, host)) = compact.rsplit_once('@') {
        let first: String = who.chars().take(1).collect();
        return format!("{first}…@{host}");
    }
    let head = head(&compact);
    let rest: Vec<char> = compact.chars().skip(head.chars().count()).collect();
    // Four are shown only where at least as many stay hidden.
    let shown: String = if rest.len() >= 8 { rest[rest.len() - 4..].iter().collect() } else { String::new() };
    format!("{head}…{shown}")
}

/// What says of which sort it is: `acct_`, or an IBAN's country.
fn head(destination: &str) -> &str {
    let prefix = destination.find('_').map(|end| &destination[..=end]);
    let is_iban = destination.len() >= 15
        && destination.is_ascii()
        && destination.as_bytes()[..2].iter().all(u8::is_ascii_alphabetic)
        && destination.as_bytes()[2..4].iter().all(u8::is_ascii_digit);
    match prefix {
        Some(prefix) if prefix.len() <= 6 => prefix,
        _ if is_iban => &destination[..2],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_strange_ones_are_hidden_whole() {
        for (destination, masked) in [
            ("", "…"),
            ("1234", "…"),
            ("acct_123", "acct_…"),
            ("@", "…@"),
            ("ü@ö.example", "ü…@ö.example"),
            ("+49 170 1234567", "…4567"),
            ("PAYERID12345X", "…345X"),
            ("verylongword_12345678", "…5678"),
            // Four are shown where four are hidden.
            ("1234567", "…"),
            ("12345678", "…5678"),
            ("acct_1NcQAbCd6789", "acct_…6789"),
            ("acctx_12345678", "acctx_…5678"),
            ("acctxy_12345678", "…5678"),
            ("pay@acme.example", "p…@acme.example"),
            ("DE02 1203 0000 0000 2012 34", "DE…1234"),
            // The shortest IBAN, and what only looks like one.
            ("NO9386011117947", "NO…7947"),
            ("NO938601111794", "…1794"),
            ("D102120300000000201234", "…1234"),
            ("DEX2120300000000201234", "…1234"),
            ("DÉ02120300000000201234", "…1234"),
        ] {
            assert_eq!(mask(destination), masked, "{destination}");
        }
    }
}
