//! How an id is written where it may not be as long as it is, or may not hold `_`, and how it is found again in what
//! banks and services send back.

/// The most characters of a bank's reference (`EndToEndId`, `MsgId`).
const BANK: usize = 35;
/// Digits of an id's number in base 16, and in base 36.
const LONG: usize = 32;
const SHORT: usize = 25;

/// An id as banks take it: `po_0198…` as `po-0198…`, 35 characters of the SEPA character set.
pub fn for_bank(id: &str) -> String {
    let id = id.replace('_', "-");
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(BANK).collect()
}

/// An id in letters and digits alone, 27 for one of two letters: its number in base 36. None for what is no id.
pub fn short(id: &str) -> Option<String> {
    let (prefix, number) = id.split_once('_')?;
    if number.len() != LONG {
        return None;
    }
    let mut rest = u128::from_str_radix(number, 16).ok()?;
    let mut digits = [b'0'; SHORT];
    for digit in digits.iter_mut().rev() {
        let value = u8::try_from(rest % 36).unwrap_or(0);
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        rest /= 36;
    }
    Some(format!("{prefix}{}", String::from_utf8_lossy(&digits)))
}

/// The first id with this prefix in a text, however it is written: `po_…`, `po-…`, in capitals, or short.
pub fn find(prefix: &str, text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let at_word = |at: usize| !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
    text.match_indices(prefix).filter(|(at, _)| at_word(*at)).find_map(|(at, _)| {
        let rest = &text[at + prefix.len()..];
        let rest = rest.strip_prefix(['_', '-', ' ']).unwrap_or(rest);
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let number = match length {
            LONG => u128::from_str_radix(&rest[..LONG], 16).ok()?,
            SHORT => u128::from_str_radix(&rest[..SHORT], 36).ok()?,
            _ => return None,
        };
        Some(format!("{prefix}_{number:032x}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_found_as_they_were_written() {
        let id = "po_0198c0de4a7b7f3e9d21aa55bb66cc77";
        assert_eq!(for_bank(id), "po-0198c0de4a7b7f3e9d21aa55bb66cc77");
        let short = short(id).unwrap();
        assert_eq!(short, "po03eiavwd1m2coqtkj2vafddh3");
        assert_eq!(short.len(), 27);
        for text in [
            id.to_owned(),
            for_bank(id),
            for_bank(id).to_uppercase(),
            format!("Commission 2026-10 acme ({short})"),
            format!("post po {}", &id[3..]),
            format!("/{}/", for_bank(id)),
        ] {
            assert_eq!(find("po", &text).as_deref(), Some(id), "{text}");
        }
        for other in ["", "po", "po_", "post", "NOTPROVIDED", "po_1", &format!("x{id}"), &format!("{id}0"), "pöo_ü"] {
            assert_eq!(find("po", other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_id_is_found_again(number: u128, before in "[ /(.]{0,3}", after in "[ /).]{0,3}") {
            let id = format!("po_{number:032x}");
            for written in [id.clone(), for_bank(&id), short(&id).unwrap()] {
                prop_assert_eq!(find("po", &format!("{before}{written}{after}")), Some(id.clone()));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in ".*") {
            let _ = (find("po", &text), short(&text), for_bank(&text));
        }
    }
}
