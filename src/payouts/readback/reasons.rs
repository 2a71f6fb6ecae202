//! Banks' reason codes, in words. Source: ISO 20022's external code sets of status and return reasons.

use super::short;

const WORDS: [(&str, &str); 43] = [
    ("AB05", "the partner's bank did not answer in time"),
    ("AB06", "the instant payment took too long"),
    ("AC01", "the account number is wrong"),
    ("AC03", "the partner's account number is wrong"),
    ("AC04", "the account is closed"),
    ("AC06", "the account is blocked"),
    ("AC13", "the account is of the wrong kind"),
    ("AC14", "the partner's account is of the wrong kind"),
    ("AC15", "the partner has another account now"),
    ("AG01", "payments of this kind are not allowed on this account"),
    ("AG02", "the bank's operation code is wrong"),
    ("AG09", "the payment was not received"),
    ("AG10", "the bank is suspended"),
    ("AG11", "the partner's bank is suspended"),
    ("AM01", "the amount is zero"),
    ("AM02", "the amount is more than is allowed"),
    ("AM03", "the currency is not supported"),
    ("AM04", "the paying account has too little money"),
    ("AM05", "it is a duplicate of another payment"),
    ("AM09", "the amount is wrong"),
    ("AM10", "the sum of the file is wrong"),
    ("BE01", "the name does not go with the account"),
    ("BE04", "the partner's address is missing or wrong"),
    ("BE05", "whoever sent the file is not known to the bank"),
    ("CNOR", "the partner's bank cannot be reached"),
    ("CUST", "its sender asked for it back"),
    ("DNOR", "the paying bank cannot be reached"),
    ("DS02", "somebody stopped the payment"),
    ("DUPL", "it was paid twice"),
    ("ED05", "the settlement failed"),
    ("FF01", "the file's form is wrong"),
    ("FOCR", "the bank called it back"),
    ("FRAD", "it was called back because of fraud"),
    ("MD07", "the account's holder has died"),
    ("MS02", "the partner refused it, without a reason"),
    ("MS03", "the bank refused it, without a reason"),
    ("RC01", "the bank's code (BIC) is wrong"),
    ("RR02", "the payer's name or address is missing"),
    ("RR03", "the partner's name or address is missing"),
    ("RR04", "of a legal reason"),
    ("TECH", "of a technical problem"),
    ("TM01", "it came after the bank's closing time"),
    ("NARR", "the bank says why"),
];

/// `AC04: the account is closed (what the bank adds)`.
pub(super) fn in_words<'a>(codes: impl Iterator<Item = &'a str>, added: &str, unsaid: &str) -> String {
    let mut said: Vec<String> = Vec::new();
    for code in codes {
        let code = short(code);
        let words = WORDS.iter().find(|(known, _)| *known == code).map(|(_, words)| *words);
        said.push(words.map_or_else(|| code.clone(), |words| format!("{code}: {words}")));
    }
    let mut text = if said.is_empty() { unsaid.to_owned() } else { said.join("; ") };
    let added = short(added);
    if !added.is_empty() {
        text = format!("{text} ({added})");
    }
    text
}
