//! `[workspace.month_end]`, `[workspace.mail]` and `[workspace.sepa]`.

use super::super::fault::Faults;
use super::super::valid;
use super::node::Node;
use super::value;
use crate::domain::terms::{AutoClose, MailSettings, Method, MonthEnd, SendStatements, SepaDebtor};

const CLOSE: [(&str, AutoClose); 3] =
    [("off", AutoClose::Off), ("draft", AutoClose::Draft), ("approve", AutoClose::Approve)];
const STATEMENTS: [(&str, SendStatements); 2] =
    [("manual", SendStatements::Manual), ("on_approval", SendStatements::OnApproval)];

pub(crate) const MONTH_END: [&str; 6] = ["close", "day", "hour", "approve_below", "four_eyes", "tax_form_required"];
pub(crate) const MAIL: [&str; 7] = ["from", "reply_to", "bounce", "list_id", "owner", "statements", "payout_notices"];
pub(crate) const SEPA: [&str; 3] = ["name", "iban", "bic"];

/// Reads `[workspace.month_end]`.
pub(super) fn read(node: Node<'_>, faults: &mut Faults) -> Option<MonthEnd> {
    let section = node.section(&MONTH_END, faults)?;
    let usual = MonthEnd::default();
    let flag = |key: &str, faults: &mut Faults| section.get(key).and_then(|node| node.flag(faults)).unwrap_or(false);
    let read = MonthEnd {
        close: section.get("close").and_then(|node| node.word(&CLOSE, faults)).unwrap_or(usual.close),
        // Every month has a 28th.
        day: section.get("day").and_then(|node| node.whole(1..=28, "a day", faults)).unwrap_or(usual.day),
        hour: section.get("hour").and_then(|node| node.whole(0..=23, "an hour", faults)).unwrap_or(usual.hour),
        approve_below: section.get("approve_below").map(|node| value::amounts(&node, faults)).unwrap_or_default(),
        four_eyes: flag("four_eyes", faults),
        tax_form_required: flag("tax_form_required", faults),
    };
    if read.close == AutoClose::Approve && read.four_eyes {
        faults.add(
            &section.spot,
            "asks for four eyes and to approve by itself: set close to \"draft\", or four_eyes to false",
        );
    }
    if read.close == AutoClose::Approve && read.approve_below.is_empty() {
        faults.add(&section.spot, "lacks the key `approve_below`: expected limits such as { usd = \"1000.00\" }");
    }
    Some(read)
}

/// Reads `[workspace.mail]`.
pub(super) fn mail(node: Node<'_>, faults: &mut Faults) -> Option<MailSettings> {
    let section = node.section(&MAIL, faults)?;
    let address = |key: &str, faults: &mut Faults| {
        section.get(key).and_then(|node| node.valid("an e-mail address", valid::email, faults))
    };
    Some(MailSettings {
        from: section
            .get("from")
            .and_then(|node| node.valid("a sender such as \"Acme <pay@acme.example>\"", valid::mailbox, faults)),
        reply_to: address("reply_to", faults),
        bounce: address("bounce", faults),
        list_id: section.get("list_id").and_then(|node| node.valid("a List-Id", valid::list_id, faults)),
        owner: address("owner", faults),
        statements: section.get("statements").and_then(|node| node.word(&STATEMENTS, faults)).unwrap_or_default(),
        payout_notices: section.get("payout_notices").and_then(|node| node.flag(faults)).unwrap_or(false),
    })
}

/// Reads `[workspace.sepa]`.
pub(super) fn sepa(node: Node<'_>, faults: &mut Faults) -> Option<SepaDebtor> {
    let section = node.section(&SEPA, faults)?;
    let name = section.require("name", "the name of the account's holder", faults);
    let name = name.and_then(|node| node.text("a name", faults));
    let iban = section.require("iban", "the account that pays", faults);
    let iban = iban.and_then(|node| {
        node.valid("an IBAN", |text| valid::payout_account(Method::Sepa, Some(text)), faults).flatten()
    });
    let bic = section.get("bic").and_then(|node| node.valid("a BIC", valid::bic, faults));
    Some(SepaDebtor { name: name?, iban: iban?, bic })
}
