//! The words of statements: what a line is, why a payout is blocked and what to do, where money goes.

use crate::domain::entry::{Component, EntryKind};
use crate::domain::netting::Reason;
use crate::domain::statement::Line;

/// What a line is, in a few words.
pub fn title(line: &Line) -> String {
    let product = line.product.as_deref();
    let of = |what: &str| product.map_or_else(|| what.to_owned(), |product| format!("{what}: {product}"));
    match line.kind {
        EntryKind::Accrual => match line.component {
            Component::Direct => product.unwrap_or("Commission").to_owned(),
            Component::Level2 => of("Second level"),
            Component::Bonus => of("Bonus"),
        },
        EntryKind::Reversal => of(reversal(line)),
        EntryKind::Adjustment => "Adjustment".to_owned(),
        EntryKind::Bonus => "Bonus".to_owned(),
        EntryKind::Payout => "Payout".to_owned(),
        EntryKind::PayoutReturn => "Payout returned".to_owned(),
        EntryKind::Carry => "Carried over".to_owned(),
    }
}

fn reversal(line: &Line) -> &'static str {
    match (line.reason.as_deref(), line.amount < 0) {
        (Some("refund"), true) => "Refund",
        (Some("dispute"), true) => "Dispute",
        (Some("credit_note"), true) => "Credit note",
        (Some("voided"), true) => "Invoice voided",
        (Some("refund" | "refund_failed"), false) => "Refund failed",
        (Some("dispute" | "dispute_returned"), false) => "Dispute won",
        (Some("credit_note" | "credit_note_voided"), false) => "Credit note voided",
        (Some("credited_otherwise"), _) => "Credited to somebody else",
        _ => "Correction",
    }
}

/// What the payment was.
pub fn payment_kind(kind: &str) -> &str {
    match kind {
        "first" => "first payment",
        "recurring" => "renewal",
        "change" => "plan change",
        "one_off" => "one-off payment",
        other => other,
    }
}

/// How money leaves: `by Stripe`.
pub fn method(method: &str) -> &str {
    match method {
        "stripe" => "by Stripe",
        "paypal" => "by PayPal",
        "wise" => "by Wise",
        "sepa" => "by SEPA bank transfer",
        "csv" => "by bank transfer",
        other => other,
    }
}

/// Why a payout is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// In a few words.
    pub title: &'static str,
    /// In a sentence to the partner.
    pub why: &'static str,
    /// What the partner can do about it; nothing where time or the merchant will.
    pub what_to_do: Option<&'static str>,
    /// What the merchant can do about it; nothing where there is nothing to do.
    pub for_the_owner: Option<&'static str>,
}

/// The reasons that payouts know. A reason of a later release is told as it is.
pub fn blocked(reason: &str) -> Blocked {
    let (title, why, what_to_do) = match reason {
        "nothing_due" => ("Nothing due", "Nothing became payable this month.", None),
        "negative_balance" => {
            ("Negative balance", "More was taken back than earned. The next commissions make up for it.", None)
        }
        "on_hold" => (
            "Payouts on hold",
            "Your payouts are on hold. The balance is kept until they are released.",
            Some("Please get in touch with us."),
        ),
        "no_method" => (
            "Payout details missing",
            "We do not know yet where to send your money. The balance is kept until we do.",
            Some("Please tell us how you would like to be paid."),
        ),
        "account_not_ready" => (
            "Account not ready",
            "Your account with the payment service cannot receive money yet. The balance is kept until it can.",
            Some("Please complete the details that the payment service asks for."),
        ),
        "below_minimum" => {
            ("Below the minimum", "The balance is below the minimum payout. It is kept until it is reached.", None)
        }
        "tax_form_missing" => (
            "Tax form missing",
            "We need a tax form from you before we can pay. The balance is kept until we have it.",
            Some("Please send us your tax form."),
        ),
        "rate_missing" => (
            "No rate of exchange",
            "There was no rate of exchange to your currency. The balance is kept until there is.",
            None,
        ),
        "currency_not_payable" => (
            "Currency not payable",
            "Your way to be paid does not carry this currency. The balance is kept.",
            Some("Please choose another currency or another way to be paid."),
        ),
        _ => ("Not paid this month", "This month's payout is blocked. The balance is kept.", None),
    };
    let for_the_owner = Reason::named(reason).and_then(Reason::remedy);
    Blocked { title, why, what_to_do, for_the_owner }
}
