//! What reports are made of: sums over a span of time by partner, link or product, each found by an index and added up
//! by the database.
//!
//! Only what partners brought is looked at: payments that somebody has won (they name the version that judged them), and
//! subscriptions of customers whom somebody brought.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::on;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Each partner.
    Partner,
    /// Each link.
    Link,
    /// Each product.
    Product,
}

impl By {
    /// As in commands and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partners",
            Self::Link => "links",
            Self::Product => "products",
        }
    }

    /// The column that names it, in `payments` and `subscription_states`.
    fn column(self) -> &'static str {
        match self {
            Self::Partner => "partner_key",
            Self::Link => "link_id",
            Self::Product => "product",
        }
    }
}

/// Which book, and from when until when.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which book.
    pub mode: Mode,
    /// The first moment in it.
    pub from: Time,
    /// The first moment after it.
    pub until: Time,
}

impl Scope {
    fn args(&self) -> [i64; 4] {
        [self.workspace.0, self.mode.as_i64(), micros(self.from), micros(self.until)]
    }
}

/// A sum of money by what the report is about (none where it is not known) and currency.
pub type Sum = (Option<String>, String, i64);

async fn fetch<T>(tx: &mut Tx, text: String, args: &[i64]) -> Result<Vec<T>, StoreError>
where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    Ok(on!(tx, conn => {
        let mut query = sqlx::query_as(AssertSqlSafe(text));
        for arg in args {
            query = query.bind(*arg);
        }
        query.fetch_all(conn).await?
    }))
}

/// What was received in the span by payments that are credited, less what was taken back of them since.
pub async fn revenue(tx: &mut Tx, scope: &Scope, by: By) -> Result<Vec<Sum>, StoreError> {
    let key = by.column();
    let text = format!(
        "SELECT {key}, currency, CAST(SUM(paid - taken_back) AS BIGINT)
         FROM payments
         WHERE workspace_id = $1 AND mode = $2 AND merged_into IS NULL AND paid_at >= $3 AND paid_at < $4
           AND version IS NOT NULL AND code = 'credited'
         GROUP BY {key}, currency"
    );
    fetch(tx, text, &scope.args()).await
}

/// How many customers paid in the span, and how many of them never paid before: of each, how many payments were not
/// taken back altogether.
pub async fn paying(tx: &mut Tx, scope: &Scope, by: By) -> Result<Vec<(Option<String>, i64, i64)>, StoreError> {
    let key = by.column();
    let text = format!(
        "SELECT subject, COUNT(*),
                CAST(SUM(CASE WHEN EXISTS (
                    SELECT 1 FROM payments e
                    WHERE e.workspace_id = $1 AND e.customer_id = who AND e.paid_at < $3 AND e.merged_into IS NULL
                      AND e.paid > e.taken_back AND e.code NOT IN ('voided', 'awaiting_link')
                ) THEN 0 ELSE 1 END) AS BIGINT)
         FROM (SELECT {key} AS subject, customer_id AS who
               FROM payments
               WHERE workspace_id = $1 AND mode = $2 AND merged_into IS NULL AND paid_at >= $3 AND paid_at < $4
                 AND version IS NOT NULL AND paid > taken_back AND code <> 'voided'
               GROUP BY {key}, customer_id) v
         GROUP BY subject"
    );
    fetch(tx, text, &scope.args()).await
}

/// How many customers had something that recurs when the span began, and nothing when it ended.
pub async fn churned(tx: &mut Tx, scope: &Scope, by: By) -> Result<Vec<(Option<String>, i64)>, StoreError> {
    let key = by.column();
    let text = format!(
        "SELECT subject, COUNT(*)
         FROM (SELECT {key} AS subject, customer_id AS who
               FROM subscription_states
               WHERE workspace_id = $1 AND mode = $2 AND mrr > 0 AND partner_key IS NOT NULL AND until_at > $3
                 AND from_at <= $3
               GROUP BY {key}, customer_id) v
         WHERE NOT EXISTS (
             SELECT 1 FROM subscription_states e
             WHERE e.workspace_id = $1 AND e.customer_id = who AND e.mrr > 0 AND e.until_at > $4 AND e.from_at <= $4)
         GROUP BY subject"
    );
    fetch(tx, text, &scope.args()).await
}

/// What recurs by the month at a moment.
pub async fn recurring(tx: &mut Tx, scope: &Scope, by: By, at: Time) -> Result<Vec<Sum>, StoreError> {
    let key = by.column();
    let text = format!(
        "SELECT {key}, currency, CAST(SUM(mrr) AS BIGINT)
         FROM subscription_states
         WHERE workspace_id = $1 AND mode = $2 AND mrr > 0 AND partner_key IS NOT NULL AND currency IS NOT NULL
           AND until_at > $3 AND from_at <= $3
         GROUP BY {key}, currency"
    );
    fetch(tx, text, &[scope.workspace.0, scope.mode.as_i64(), micros(at)]).await
}

/// Commissions of which the facts happened in the span: accrued less reversed, of every component.
pub async fn commissions(tx: &mut Tx, scope: &Scope, by: By) -> Result<Vec<Sum>, StoreError> {
    let (key, join) = match by {
        By::Partner => ("e.partner_key", ""),
        By::Link => ("p.link_id", COMMISSIONS_OF),
        By::Product => ("p.product", COMMISSIONS_OF),
    };
    let text = format!(
        "SELECT {key}, e.currency, CAST(SUM(e.amount) AS BIGINT)
         FROM entries e {join}
         WHERE e.workspace_id = $1 AND e.mode = $2 AND e.occurred_at >= $3 AND e.occurred_at < $4
           AND e.kind IN ('accrual', 'reversal')
         GROUP BY {key}, e.currency"
    );
    fetch(tx, text, &scope.args()).await
}

/// The payment that an entry is about.
const COMMISSIONS_OF: &str = "JOIN payments p ON p.workspace_id = e.workspace_id AND p.payment_id = e.payment_id";

/// A payment of which something was taken back.
#[derive(Debug, Clone, FromRow)]
pub struct TakenBack {
    payment_id: String,
    /// What the report is about.
    pub subject: Option<String>,
    /// Of every amount.
    pub currency: String,
    taken_at: i64,
    takings: String,
}

impl TakenBack {
    /// What was taken back within a span of time, minor units; negative where it came back.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn within(&self, scope: &Scope) -> Result<i64, StoreError> {
        let unreadable = |why: String| StoreError::Unreadable {
            what: "what was taken back of payment",
            key: self.payment_id.clone(),
            why,
        };
        let takings: Vec<[i64; 2]> =
            serde_json::from_str(&self.takings).map_err(|error| unreadable(error.to_string()))?;
        let [_, _, from, until] = scope.args();
        let at = |moment: i64| takings.iter().rev().find(|[at, _]| *at < moment).map_or(0, |[_, taken]| *taken);
        at(until).checked_sub(at(from)).ok_or_else(|| unreadable("its amounts are too large".to_owned()))
    }
}

/// A page of the payments of which something was taken back in the span or later, behind `after`.
pub async fn taken_back(
    tx: &mut Tx,
    scope: &Scope,
    by: By,
    after: Option<&TakenBack>,
    limit: i64,
) -> Result<Vec<TakenBack>, StoreError> {
    let key = by.column();
    let text = format!(
        "SELECT payment_id, {key} AS subject, currency, taken_at, takings
         FROM payments
         WHERE workspace_id = $1 AND mode = $2 AND merged_into IS NULL AND taken_at IS NOT NULL
           AND (taken_at, payment_id) > ($3, $5) AND paid_at < $4 AND version IS NOT NULL
         ORDER BY taken_at, payment_id
         LIMIT $6"
    );
    let [workspace, mode, from, until] = scope.args();
    let (from, payment) = after.map_or((from, ""), |last| (last.taken_at, last.payment_id.as_str()));
    Ok(on!(tx, conn => {
        sqlx::query_as(AssertSqlSafe(text))
            .bind(workspace)
            .bind(mode)
            .bind(from)
            .bind(until)
            .bind(payment)
            .bind(limit)
            .fetch_all(conn)
            .await?
    }))
}

/// How many clicks there were in the span, by partner or link; products have none. Clicks belong to both books.
pub async fn clicks(
    tx: &mut Tx,
    scope: &Scope,
    by: By,
    partners: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let (key, known) = match by {
        By::Partner => ("c.partner_key", ""),
        By::Link => ("c.link_id", "AND c.link_id IS NOT NULL"),
        By::Product => return Ok(Vec::new()),
    };
    let text = format!(
        "SELECT {key}, COUNT(*)
         FROM v CROSS JOIN clicks c
         WHERE c.workspace_id = $1 AND c.partner_key = v.partner_key AND c.clicked_at >= $2 AND c.clicked_at < $3 {known}
         GROUP BY {key}"
    );
    let [workspace, _, from, until] = scope.args();
    Rows::texts(&[("partner_key", Text)], partners)
        .fetch(tx, &text, &[workspace.into(), from.into(), until.into()])
        .await
}
