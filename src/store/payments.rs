//! Payments: the last decision about each, for lists and sums, and the references each is known by.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;

use super::listing::{Listing, Span};
use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::decision::Decision;
use crate::domain::terms::Kind;
use crate::on;

/// A payment as it was last decided.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Payment {
    /// `pay_…`
    pub payment_id: String,
    mode: i64,
    /// Whose.
    pub customer_id: String,
    /// Its main reference.
    #[sqlx(rename = "ref")]
    pub reference: String,
    /// `first`, `recurring`, `change` or `one_off`.
    pub kind: String,
    /// Of every amount.
    pub currency: String,
    /// Received, minor units.
    pub paid: i64,
    /// Taken back, minor units.
    pub taken_back: i64,
    paid_at: i64,
    /// The reason code.
    pub code: String,
    /// Who is credited, or would be.
    pub partner_key: Option<String>,
    /// Under which program.
    pub program_key: Option<String>,
    /// By which version.
    pub version: Option<i64>,
    /// Owed, minor units.
    pub amount: i64,
    decided_at: i64,
    /// The payment that this one turned out to be.
    pub merged_into: Option<String>,
    /// What a percentage was a percentage of, minor units.
    pub base: i64,
    /// What the rules gave, in words: `20 %`.
    pub rate: Option<String>,
    /// What was sold, as far as known.
    pub product: Option<String>,
    /// What Stripe calls its customer, where there is one.
    pub stripe_customer: Option<String>,
    /// Every reference it is known by, as JSON.
    #[sqlx(rename = "refs")]
    references: String,
    /// By what evidence `partner_key` was credited: `click_id`, `promotion_code`, …
    pub evidence_kind: Option<String>,
    /// The key, click id or code; an e-mail is not kept.
    pub evidence: Option<String>,
    /// The link that was clicked, `lnk_…`.
    pub link_id: Option<String>,
    taken_at: Option<i64>,
    takings: Option<String>,
}

impl Payment {
    /// What a decision says of a payment.
    pub fn decided(payment_id: String, customer_id: &str, mode: Mode, decision: &Decision, now: Time) -> Self {
        Self {
            payment_id,
            mode: mode.as_i64(),
            customer_id: customer_id.to_owned(),
            reference: decision.reference.clone(),
            kind: kind_text(decision.kind).to_owned(),
            currency: decision.currency.to_string(),
            paid: decision.paid,
            taken_back: decision.taken_back,
            paid_at: micros(decision.paid_at),
            code: decision.code.as_str().to_owned(),
            partner_key: decision.partner.clone(),
            program_key: decision.program.clone(),
            version: decision.version.map(i64::from),
            amount: decision.amount,
            decided_at: micros(now),
            merged_into: None,
            base: decision.base,
            rate: decision.rate.clone(),
            product: decision.product.clone(),
            stripe_customer: decision.customer.clone(),
            references: serde_json::Value::from(decision.references.as_slice()).to_string(),
            evidence_kind: decision.via.as_ref().map(|via| via.kind.as_str().to_owned()),
            evidence: decision.via.as_ref().and_then(|via| via.value.clone()),
            link_id: decision.via.as_ref().and_then(|via| via.link.clone()),
            taken_at: decision.takings.last().map(|(at, _)| micros(*at)),
            takings: takings_text(&decision.takings),
        }
    }

    /// Every reference it is known by, in order.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn references(&self) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&self.references).map_err(|error| StoreError::Unreadable {
            what: "the references of payment",
            key: self.payment_id.clone(),
            why: error.to_string(),
        })
    }

    /// Whether the same was decided before, whenever that was.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { decided_at: other.decided_at, ..self.clone() } == *other
    }

    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When it was paid.
    pub fn paid_at(&self) -> Time {
        from_micros(self.paid_at)
    }

    /// When that was decided.
    pub fn decided_at(&self) -> Time {
        from_micros(self.decided_at)
    }

    /// Nothing is owed for it any more: no decision mentions it.
    pub(crate) fn void(&mut self, merged_into: Option<String>, now: Time) {
        self.amount = 0;
        self.decided_at = micros(now);
        self.merged_into = merged_into;
    }
}

/// `[[moment, taken back in all], …]`, where there are any.
fn takings_text(takings: &[(Time, i64)]) -> Option<String> {
    let takings: Vec<[i64; 2]> = takings.iter().map(|(at, taken)| [micros(*at), *taken]).collect();
    (!takings.is_empty()).then(|| serde_json::json!(takings).to_string())
}

/// As in SQL and JSON.
pub fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::First => "first",
        Kind::Recurring => "recurring",
        Kind::Change => "change",
        Kind::OneOff => "one_off",
    }
}

const COLUMNS: &[(&str, Column)] = &[
    ("payment_id", Text),
    ("mode", Int),
    ("customer_id", Text),
    ("ref", Text),
    ("kind", Text),
    ("currency", Text),
    ("paid", Int),
    ("taken_back", Int),
    ("paid_at", Int),
    ("code", Text),
    ("partner_key", Text),
    ("program_key", Text),
    ("version", Int),
    ("amount", Int),
    ("decided_at", Int),
    ("merged_into", Text),
    ("base", Int),
    ("rate", Text),
    ("product", Text),
    ("stripe_customer", Text),
    ("refs", Text),
    ("evidence_kind", Text),
    ("evidence", Text),
    ("link_id", Text),
    ("taken_at", Int),
    ("takings", Text),
];

/// Writes payments, new or decided anew.
pub async fn upsert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payments: impl IntoIterator<Item = &Payment>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(COLUMNS);
    for payment in payments {
        rows.push([
            (&payment.payment_id).into(),
            payment.mode.into(),
            (&payment.customer_id).into(),
            (&payment.reference).into(),
            (&payment.kind).into(),
            (&payment.currency).into(),
            payment.paid.into(),
            payment.taken_back.into(),
            payment.paid_at.into(),
            (&payment.code).into(),
            payment.partner_key.as_deref().into(),
            payment.program_key.as_deref().into(),
            payment.version.into(),
            payment.amount.into(),
            payment.decided_at.into(),
            payment.merged_into.as_deref().into(),
            payment.base.into(),
            payment.rate.as_deref().into(),
            payment.product.as_deref().into(),
            payment.stripe_customer.as_deref().into(),
            (&payment.references).into(),
            payment.evidence_kind.as_deref().into(),
            payment.evidence.as_deref().into(),
            payment.link_id.as_deref().into(),
            payment.taken_at.into(),
            payment.takings.as_deref().into(),
        ]);
    }
    let text =
        "INSERT INTO payments (workspace_id, payment_id, mode, customer_id, ref, kind, currency, paid, taken_back,
                                      paid_at, code, partner_key, program_key, version, amount, decided_at, merged_into,
                                      base, rate, product, stripe_customer, refs, evidence_kind, evidence, link_id,
                                      taken_at, takings)
                SELECT $1, payment_id, mode, customer_id, ref, kind, currency, paid, taken_back,
                       paid_at, code, partner_key, program_key, version, amount, decided_at, merged_into,
                       base, rate, product, stripe_customer, refs, evidence_kind, evidence, link_id, taken_at, takings
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, payment_id) DO UPDATE SET
                    customer_id = excluded.customer_id, ref = excluded.ref, kind = excluded.kind,
                    currency = excluded.currency, paid = excluded.paid, taken_back = excluded.taken_back,
                    paid_at = excluded.paid_at, code = excluded.code, partner_key = excluded.partner_key,
                    program_key = excluded.program_key, version = excluded.version, amount = excluded.amount,
                    decided_at = excluded.decided_at, merged_into = excluded.merged_into,
                    base = excluded.base, rate = excluded.rate, product = excluded.product,
                    stripe_customer = excluded.stripe_customer, refs = excluded.refs,
                    evidence_kind = excluded.evidence_kind, evidence = excluded.evidence, link_id = excluded.link_id,
                    taken_at = excluded.taken_at, takings = excluded.takings";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// The payments of some customers, merged ones included.
pub async fn of_customers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<Vec<Payment>, StoreError> {
    let text = "SELECT p.payment_id, p.mode, p.customer_id, p.ref, p.kind, p.currency, p.paid, p.taken_back, p.paid_at,
                       p.code, p.partner_key, p.program_key, p.version, p.amount, p.decided_at, p.merged_into,
                       p.base, p.rate, p.product, p.stripe_customer, p.refs, p.evidence_kind, p.evidence, p.link_id,
                       p.taken_at, p.takings
                FROM payments p
                WHERE p.workspace_id = $1 AND p.customer_id $in(customer_id)";
    Rows::texts(&[("customer_id", Text)], customers).fetch(tx, text, &[workspace.0.into()]).await
}

/// Gives the payments of customers that were joined to those they were joined to: `(from, into)`.
pub async fn give(tx: &mut Tx, workspace: WorkspaceId, joined: &[(String, String)]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("loser", Text), ("winner", Text)]);
    for (loser, winner) in joined {
        rows.push([loser.into(), winner.into()]);
    }
    let text = "UPDATE payments SET customer_id = v.winner
                FROM v
                WHERE payments.workspace_id = $1 AND payments.customer_id = v.loser";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Which payments some references belong to; unknown ones are left out.
pub async fn by_refs(
    tx: &mut Tx,
    workspace: WorkspaceId,
    refs: impl IntoIterator<Item = (Mode, &str)>,
) -> Result<HashMap<(Mode, String), String>, StoreError> {
    let asked: HashSet<(Mode, &str)> = refs.into_iter().collect();
    let rows = Rows::texts(&[("ref", Text)], asked.iter().map(|(_, reference)| *reference));
    let text = "SELECT $row(r.mode, r.ref, r.payment_id)
                FROM payment_refs r
                WHERE r.workspace_id = $1 AND r.ref $in(ref)";
    let found: Vec<(i64, String, String)> = rows.gather(tx, text, &[workspace.0.into()]).await?;
    // A text may be a reference in both books.
    let found = found.into_iter().map(|(mode, text, payment)| ((Mode::from_i64(mode), text), payment));
    Ok(found.filter(|((mode, text), _)| asked.contains(&(*mode, text.as_str()))).collect())
}

/// Ties references to payments; one that was tied before is tied anew.
pub async fn tie_refs(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ties: impl IntoIterator<Item = (Mode, &str, &str)>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("ref", Text), ("payment_id", Text)]);
    for (mode, reference, payment) in ties {
        rows.push([mode.as_i64().into(), reference.into(), payment.into()]);
    }
    let text = "INSERT INTO payment_refs (workspace_id, mode, ref, payment_id)
                SELECT $1, mode, ref, payment_id
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, ref) DO UPDATE SET payment_id = excluded.payment_id";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Finds a payment by its id or any of its references; a merged one leads to the one it was merged into.
pub async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    reference: &str,
) -> Result<Option<Payment>, StoreError> {
    let mut id = if reference.starts_with("pay_") {
        Some(reference.to_owned())
    } else {
        on!(tx, conn => {
            sqlx::query_scalar("SELECT payment_id FROM payment_refs WHERE workspace_id = $1 AND mode = $2 AND ref = $3")
                .bind(workspace.0)
                .bind(mode.as_i64())
                .bind(reference)
                .fetch_optional(conn)
                .await?
        })
    };
    while let Some(wanted) = id.take() {
        match by_id(tx, workspace, mode, &wanted).await? {
            Some(Payment { merged_into: Some(into), .. }) => id = Some(into),
            other => return Ok(other),
        }
    }
    Ok(None)
}

/// A payment by its id, `pay_…`, whether or not it turned out to be another.
pub async fn by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    payment_id: &str,
) -> Result<Option<Payment>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM payments WHERE workspace_id = $1 AND payment_id = $2 AND mode = $3")
            .bind(workspace.0)
            .bind(payment_id)
            .bind(mode.as_i64())
            .fetch_optional(conn)
            .await?
    }))
}

/// How many payments have a reason code.
pub async fn count_of_code(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, code: &str) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM payments
             WHERE workspace_id = $1 AND mode = $2 AND code = $3 AND merged_into IS NULL",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(code)
        .fetch_one(conn)
        .await?
    }))
}

/// The main references of some payments; unknown ones are left out.
pub async fn main_refs(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payments: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, String>, StoreError> {
    let text = "SELECT p.payment_id, p.ref
                FROM v CROSS JOIN payments p
                WHERE p.workspace_id = $1 AND p.payment_id = v.payment_id";
    let rows: Vec<(String, String)> =
        Rows::texts(&[("payment_id", Text)], payments).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().collect())
}

/// A page of payments in the order in which the bridge came to know them, after `after`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Payment>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT * FROM payments
             WHERE workspace_id = $1 AND payment_id > $2 AND mode = $3 AND merged_into IS NULL
             ORDER BY payment_id
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(mode.as_i64())
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Which payments are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Whose commission it is, or would be.
    pub partner: Option<&'a str>,
    /// Decided so.
    pub code: Option<&'a str>,
    /// Of this customer, `cust_…`.
    pub customer_id: Option<&'a str>,
    /// When it was paid.
    pub paid: Span,
    /// Behind this one.
    pub behind: Option<&'a Payment>,
}

/// A page of payments, those paid last first. Those that turned out to be others are left out.
pub async fn newest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<Payment>, StoreError> {
    let mut listing = Listing::of("SELECT * FROM payments WHERE workspace_id =", workspace);
    match wanted.customer_id {
        // A customer is in one book, which the caller has seen.
        Some(customer_id) => listing.and_cell("customer_id =", customer_id),
        None => listing.and_cell("mode =", mode.as_i64()),
    }
    listing.and("merged_into IS NULL");
    listing.and_some("partner_key =", wanted.partner);
    listing.and_some("code =", wanted.code);
    listing.within("paid_at", wanted.paid);
    if let Some(behind) = wanted.behind {
        listing.before("(paid_at, payment_id)", [behind.paid_at.into(), (&behind.payment_id).into()]);
    }
    listing.fetch(tx, "paid_at DESC, payment_id DESC", limit).await
}

/// How many payments some customers have; those who have none are left out.
pub async fn counts_of_customers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, i64>, StoreError> {
    let text = "SELECT p.customer_id, COUNT(*)
                FROM payments p
                WHERE p.workspace_id = $1 AND p.customer_id $in(customer_id) AND p.merged_into IS NULL
                GROUP BY p.customer_id";
    let rows: Vec<(String, i64)> =
        Rows::texts(&[("customer_id", Text)], customers).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().collect())
}
