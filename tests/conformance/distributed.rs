//! The tables can be spread over many databases by workspace: every key begins with it, and every statement that the
//! suite sends to `PostgreSQL` ties all tables that it names to one workspace. Each is looked at when it is sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Mutex, OnceLock, PoisonError};

use commission_bridge::on;
use sqlparser::ast::{
    Assignment, BinaryOperator, Expr, FromTable, Insert, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind, Value, Visit,
    Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::harness::World;

/// Tables that every database of a cluster has whole, because they are small and asked for by something else than the
/// workspace.
const EVERYWHERE: [(&str, &str); 2] = [
    ("workspaces", "a request or an event's account names one before its number is known"),
    ("api_keys", "a key is looked up by its hash, which says whose it is"),
];

/// Tables that one database has, and that no statement joins with others.
const LOCAL: [(&str, &str); 1] = [("_sqlx_migrations", "the schema's own history")];

const WORKSPACE: &str = "workspace_id";

fn is_exempt(table: &str) -> bool {
    EVERYWHERE.iter().chain(&LOCAL).any(|(name, _)| *name == table)
}

/// What is wrong with the statements that were sent so far.
#[derive(Default)]
struct Heard {
    statements: BTreeSet<String>,
    wrong: BTreeMap<String, String>,
}

fn heard() -> &'static Mutex<Heard> {
    static HEARD: OnceLock<Mutex<Heard>> = OnceLock::new();
    HEARD.get_or_init(Mutex::default)
}

/// A statement was sent to `PostgreSQL`.
pub fn hear(text: &str) {
    let is_one = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].iter().any(|word| text.starts_with(word));
    // Migrations, and what tests put into databases of their own, are sent by others.
    let is_ours = is_one && !text.contains("_sqlx_migrations") && !text.contains(';');
    let mut heard = heard().lock().unwrap_or_else(PoisonError::into_inner);
    if is_ours
        && heard.statements.insert(text.to_owned())
        && let Err(why) = check(text)
    {
        heard.wrong.insert(text.to_owned(), why);
    }
}

/// Fails where a statement could not be sent to a cluster.
pub fn nothing_is_wrong() {
    let heard = heard().lock().unwrap_or_else(PoisonError::into_inner);
    let wrong: Vec<String> = heard.wrong.iter().map(|(text, why)| format!("{why}:\n    {text}")).collect();
    drop(heard);
    assert!(wrong.is_empty(), "{} statements tie tables to no one workspace:\n{}", wrong.len(), wrong.join("\n"));
}

/// A column of something that a statement reads: its name, and which workspace it stands for, where it does.
type Column = (Option<String>, Option<usize>);

/// What a part of a statement can name: an alias, and the workspace of its rows.
type Frame = Vec<(String, Option<usize>)>;

/// Which things of a statement are known to be of the same workspace.
#[derive(Default)]
struct Checking {
    parents: Vec<usize>,
    tables: Vec<(String, usize)>,
    named: HashMap<String, usize>,
    with: Vec<(String, Option<usize>)>,
    wrong: Option<String>,
}

fn check(text: &str) -> Result<(), String> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| error.to_string())?;
    let mut checking = Checking::default();
    for statement in &statements {
        checking.statement(statement);
    }
    if let Some(wrong) = checking.wrong {
        return Err(wrong);
    }
    let tables = checking.tables.clone();
    for pair in tables.windows(2) {
        let ((one, first), (other, second)) = (&pair[0], &pair[1]);
        if checking.root(*first) != checking.root(*second) {
            return Err(format!("{one} and {other} are not tied to one workspace"));
        }
    }
    Ok(())
}

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

/// The queries right inside an expression.
fn queries_in(expression: &Expr) -> Vec<Query> {
    #[derive(Default)]
    struct Outermost {
        depth: usize,
        found: Vec<Query>,
    }
    impl Visitor for Outermost {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if self.depth == 0 {
                self.found.push(query.clone());
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut outermost = Outermost::default();
    let _ = expression.visit(&mut outermost);
    outermost.found
}

impl Checking {
    fn node(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    fn root(&self, mut node: usize) -> usize {
        while self.parents[node] != node {
            node = self.parents[node];
        }
        node
    }

    fn tie(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one] = other;
    }

    /// A parameter or literal: the same one is the same workspace.
    fn named(&mut self, name: &str) -> usize {
        if let Some(node) = self.named.get(name) {
            return *node;
        }
        let node = self.node();
        self.named.insert(name.to_owned(), node);
        node
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(query) => drop(self.query(query, &[])),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                let mut frame = Frame::new();
                self.table(&update.table, &mut frame, &[]);
                if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from {
                    for table in from {
                        self.table(table, &mut frame, &[]);
                    }
                }
                for Assignment { value, .. } in &update.assignments {
                    self.inside(value, &[&frame]);
                }
                self.conditions(update.selection.as_ref(), &[&frame]);
            }
            Statement::Delete(delete) => {
                let mut frame = Frame::new();
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                from.iter().chain(delete.using.iter().flatten()).for_each(|table| self.table(table, &mut frame, &[]));
                self.conditions(delete.selection.as_ref(), &[&frame]);
            }
            other => self.wrong = Some(format!("nobody knows what this does: {other}")),
        }
    }

    fn insert(&mut self, insert: &Insert) {
        let TableObject::TableName(name) = &insert.table else { return };
        let table = last(name);
        let at = insert.columns.iter().position(|column| last(column) == WORKSPACE);
        let columns = insert.source.as_ref().map(|source| self.query(source, &[])).unwrap_or_default();
        if is_exempt(&table) {
            return;
        }
        let target = self.node();
        self.tables.push((table.clone(), target));
        match at.and_then(|at| columns.get(at)).and_then(|(_, node)| *node) {
            Some(source) => self.tie(target, source),
            None => self.wrong = Some(format!("whose rows are inserted into {table} is not said")),
        }
    }

    fn query(&mut self, query: &Query, outer: &[&Frame]) -> Vec<Column> {
        let known = self.with.len();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = cte.alias.name.value.to_lowercase();
            let columns: Vec<String> =
                cte.alias.columns.iter().map(|column| column.name.value.to_lowercase()).collect();
            if columns.iter().any(|column| column == WORKSPACE) {
                // One that names itself may be read inside.
                let node = self.node();
                self.with.push((name.clone(), Some(node)));
            }
            let found = self.query(&cte.query, outer);
            let at = columns.iter().position(|column| column == WORKSPACE);
            let of = match at {
                Some(at) => found.get(at).and_then(|(_, node)| *node),
                None => found.iter().find(|(name, _)| name.as_deref() == Some(WORKSPACE)).and_then(|(_, node)| *node),
            };
            match (self.with.iter().rfind(|(of, _)| *of == name).and_then(|(_, node)| *node), of) {
                (Some(node), Some(of)) => self.tie(node, of),
                (Some(_), None) => {}
                (None, of) => self.with.push((name, of)),
            }
        }
        let columns = self.set(&query.body, outer);
        self.with.truncate(known);
        columns
    }

    fn set(&mut self, set: &SetExpr, outer: &[&Frame]) -> Vec<Column> {
        match set {
            SetExpr::Select(select) => self.select(select, outer),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, right, .. } => {
                let (left, right) = (self.set(left, outer), self.set(right, outer));
                for pair in left.iter().zip(&right) {
                    if let ((_, Some(one)), (_, Some(other))) = pair {
                        self.tie(*one, *other);
                    }
                }
                left
            }
            SetExpr::Values(values) => {
                let mut columns = Vec::new();
                for row in &values.rows {
                    columns = row.content.iter().map(|cell| (None, self.workspace(cell, outer))).collect();
                }
                columns
            }
            _ => Vec::new(),
        }
    }

    fn select(&mut self, select: &Select, outer: &[&Frame]) -> Vec<Column> {
        let mut frame = Frame::new();
        select.from.iter().for_each(|table| self.table(table, &mut frame, outer));
        let scopes: Vec<&Frame> = std::iter::once(&frame).chain(outer.iter().copied()).collect();
        self.conditions(select.selection.as_ref(), &scopes);
        self.conditions(select.having.as_ref(), &scopes);
        let mut columns = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    self.inside(expression, &scopes);
                    let name = match expression {
                        Expr::Identifier(ident) => Some(ident.value.to_lowercase()),
                        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| ident.value.to_lowercase()),
                        _ => None,
                    };
                    columns.push((name, self.workspace(expression, &scopes)));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.inside(expr, &scopes);
                    columns.push((Some(alias.value.to_lowercase()), self.workspace(expr, &scopes)));
                }
                // Of everything, the workspace is the one column that counts.
                _ => columns.push((Some(WORKSPACE.to_owned()), frame.iter().find_map(|(_, node)| *node))),
            }
        }
        columns
    }

    fn table(&mut self, table: &TableWithJoins, frame: &mut Frame, outer: &[&Frame]) {
        self.factor(&table.relation, frame, outer);
        for Join { relation, join_operator, .. } in &table.joins {
            self.factor(relation, frame, outer);
            let (JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)) = join_operator
            else {
                self.wrong = Some("a join of a kind that nobody knows".to_owned());
                continue;
            };
            if let JoinConstraint::On(condition) = constraint {
                let scopes: Vec<&Frame> = std::iter::once(&*frame).chain(outer.iter().copied()).collect();
                self.conditions(Some(condition), &scopes);
            }
        }
    }

    fn factor(&mut self, factor: &TableFactor, frame: &mut Frame, outer: &[&Frame]) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let table = last(name);
                let alias = alias.as_ref().map_or_else(|| table.clone(), |alias| alias.name.value.to_lowercase());
                let with = self.with.iter().rfind(|(name, _)| *name == table).map(|(_, node)| *node);
                let node = with.unwrap_or_else(|| {
                    let is_ours = !table.starts_with("pg_") && !is_exempt(&table);
                    let node = self.node();
                    if is_ours {
                        self.tables.push((table, node));
                    }
                    Some(node)
                });
                frame.push((alias, node));
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let scopes: Vec<&Frame> =
                    std::iter::once(&*frame).filter(|_| *lateral).chain(outer.iter().copied()).collect();
                let columns = self.query(subquery, &scopes);
                let node =
                    columns.iter().find(|(name, _)| name.as_deref() == Some(WORKSPACE)).and_then(|(_, node)| *node);
                let alias = alias.as_ref().map(|alias| alias.name.value.to_lowercase()).unwrap_or_default();
                frame.push((alias, node));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.table(table_with_joins, frame, outer),
            // Values that came along: each is of the workspace that its column says.
            TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::Table { alias, .. } => {
                let node = self.node();
                let alias = alias.as_ref().map(|alias| alias.name.value.to_lowercase()).unwrap_or_default();
                frame.push((alias, Some(node)));
            }
            other => self.wrong = Some(format!("nobody knows what {other} reads")),
        }
    }

    /// Conditions that all hold.
    fn conditions(&mut self, condition: Option<&Expr>, scopes: &[&Frame]) {
        let Some(condition) = condition else { return };
        match condition {
            Expr::Nested(inner) => return self.conditions(Some(inner), scopes),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.conditions(Some(left), scopes);
                return self.conditions(Some(right), scopes);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
            | Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                if let (Some(one), Some(other)) = (self.workspace(left, scopes), self.workspace(right, scopes)) {
                    self.tie(one, other);
                }
            }
            Expr::InSubquery { expr, subquery, negated: false } => {
                let columns = self.query(subquery, scopes);
                let asked: Vec<&Expr> = match &**expr {
                    Expr::Tuple(cells) => cells.iter().collect(),
                    one => vec![one],
                };
                for (cell, (_, node)) in asked.into_iter().zip(columns) {
                    if let (Some(one), Some(other)) = (self.workspace(cell, scopes), node) {
                        self.tie(one, other);
                    }
                }
                return self.inside(expr, scopes);
            }
            _ => {}
        }
        self.inside(condition, scopes);
    }

    /// Looks at the queries inside an expression.
    fn inside(&mut self, expression: &Expr, scopes: &[&Frame]) {
        for query in queries_in(expression) {
            self.query(&query, scopes);
        }
    }

    /// Which workspace an expression stands for, where it stands for one.
    fn workspace(&mut self, expression: &Expr, scopes: &[&Frame]) -> Option<usize> {
        match expression {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => self.workspace(inner, scopes),
            Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case(WORKSPACE) => {
                scopes.iter().find_map(|frame| frame.iter().find_map(|(_, node)| *node))
            }
            Expr::CompoundIdentifier(idents) => {
                let [of, column] = idents.as_slice() else { return None };
                if !column.value.eq_ignore_ascii_case(WORKSPACE) {
                    return None;
                }
                let of = of.value.to_lowercase();
                scopes.iter().find_map(|frame| frame.iter().find(|(alias, _)| *alias == of)).and_then(|(_, node)| *node)
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => Some(self.named(name)),
                Value::Number(number, _) => Some(self.named(&number.clone())),
                _ => None,
            },
            // A parameter in brackets.
            Expr::Subquery(query) => match &*query.body {
                SetExpr::Select(select) if select.from.is_empty() => match select.projection.as_slice() {
                    [SelectItem::UnnamedExpr(inner)] => self.workspace(inner, scopes),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

#[test]
fn a_statement_that_forgets_the_workspace_is_found() {
    for good in [
        "SELECT COUNT(*) FROM unread WHERE workspace_id = $1",
        "SELECT 1 FROM entries e JOIN payments p ON p.workspace_id = e.workspace_id AND p.payment_id = e.payment_id",
        "SELECT 1 FROM entries e LEFT JOIN payments p ON p.workspace_id = $1 AND p.ref = e.ref WHERE e.workspace_id = $1",
        "WITH v (ref) AS (SELECT * FROM UNNEST($1::text[])) SELECT r.ref FROM v CROSS JOIN refs r
         WHERE r.workspace_id = (SELECT $2) AND r.ref = ANY($1)",
        "WITH v (workspace_id, ref) AS (SELECT * FROM UNNEST($1::bigint[], $2::text[]))
         INSERT INTO refs (workspace_id, ref) SELECT workspace_id, ref FROM v WHERE TRUE ON CONFLICT DO NOTHING",
        "DELETE FROM unread WHERE workspace_id = $1 AND (event_id, shape) IN
             (SELECT u.event_id, u.shape FROM unrecorded u WHERE u.workspace_id = $1)",
        "UPDATE facts SET body = v.body FROM (SELECT workspace_id, body FROM refs) v
         WHERE facts.workspace_id = v.workspace_id",
        "SELECT 1 FROM unread u CROSS JOIN LATERAL (SELECT * FROM events m WHERE m.workspace_id = u.workspace_id OFFSET 0) e",
        "SELECT 1 FROM entries e WHERE e.workspace_id = $1
           AND NOT EXISTS (SELECT 1 FROM payouts p WHERE p.workspace_id = e.workspace_id)",
        "SELECT mode FROM unread WHERE workspace_id = $1 UNION ALL SELECT mode FROM unrecorded WHERE workspace_id = $1",
        "SELECT w.key FROM workspaces w WHERE EXISTS (SELECT 1 FROM unread u WHERE u.workspace_id = w.workspace_id)",
        "INSERT INTO resettle (workspace_id, done) VALUES ($1, 0)",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in [
        "SELECT 1 FROM entries e JOIN payments p ON p.payment_id = e.payment_id",
        "SELECT 1 FROM entries e JOIN payments p ON p.payment_id = e.payment_id WHERE e.workspace_id = $1",
        "SELECT 1 FROM entries e JOIN payments p ON p.workspace_id = $2 AND e.workspace_id = $1",
        "SELECT 1 FROM entries e LEFT JOIN payments p ON p.workspace_id = e.workspace_id OR p.payment_id = e.payment_id",
        "SELECT 1 FROM entries e LEFT JOIN payments p ON p.workspace_id <> e.workspace_id",
        "DELETE FROM unread WHERE workspace_id = $1 AND event_id IN (SELECT event_id FROM unrecorded)",
        "SELECT (SELECT COUNT(*) FROM payouts) FROM entries e WHERE e.workspace_id = $1",
        "UPDATE facts SET body = r.ref FROM refs r WHERE facts.workspace_id = $1 AND facts.event_id = r.ref",
        "INSERT INTO refs (workspace_id, ref) SELECT $1, f.event_id FROM facts f",
        "INSERT INTO refs (ref) VALUES ($1)",
        "SELECT mode FROM unread WHERE workspace_id = $1 UNION ALL SELECT mode FROM unrecorded",
        "WITH x AS (SELECT event_id FROM unread) SELECT 1 FROM facts f JOIN x ON x.event_id = f.event_id
         WHERE f.workspace_id = $1",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

/// `(table, name, columns)` of every unique key and every foreign key; of those that a table was given by another's
/// months, once.
async fn keys(world: &World) -> Vec<(String, String, Vec<String>)> {
    let text = "SELECT t.relname::text, i.relname::text, array_agg(a.attname::text ORDER BY k.n)
                FROM pg_index x
                JOIN pg_class i ON i.oid = x.indexrelid
                JOIN pg_class t ON t.oid = x.indrelid
                JOIN pg_namespace s ON s.oid = t.relnamespace AND s.nspname = 'public'
                CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, n)
                JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
                WHERE x.indisunique
                GROUP BY t.relname, i.relname
                UNION ALL
                SELECT t.relname::text, c.conname::text, array_agg(a.attname::text ORDER BY k.n)
                FROM pg_constraint c
                JOIN pg_class t ON t.oid = c.conrelid
                CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k (number, n)
                JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
                WHERE c.contype = 'f'
                GROUP BY t.relname, c.conname";
    let mut tx = world.db.read().await.unwrap();
    let commission_bridge::store::Inner::Postgres(tx) = &mut tx.inner else { panic!("on PostgreSQL") };
    sqlx::query_as(text).fetch_all(&mut **tx).await.unwrap()
}

#[tokio::test]
async fn every_table_can_be_spread_by_workspace() {
    let world = World::on_postgres().await;
    let text = "SELECT c.relname::text, COALESCE(bool_or(a.attname = 'workspace_id' AND a.attnotnull), FALSE)
                FROM pg_class c
                JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public'
                LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                WHERE c.relkind IN ('r', 'p')
                GROUP BY c.relname";
    let mut tx = world.db.read().await.unwrap();
    let tables: Vec<(String, bool)> = on!(tx, conn => sqlx::query_as(text).fetch_all(conn).await.unwrap());
    tx.rollback().await.unwrap();
    assert!(tables.len() > 40, "{tables:?}");
    for (table, has_workspace) in &tables {
        assert!(*has_workspace || is_exempt(table), "{table} has no workspace, and nothing says why");
    }
    for (table, why) in EVERYWHERE.iter().chain(&LOCAL) {
        assert!(tables.iter().any(|(name, _)| name == table), "{table} ({why}) is not there");
    }
    for (table, key, columns) in keys(&world).await {
        assert!(
            columns[0] == WORKSPACE || is_exempt(&table),
            "{table}: {key} does not begin with the workspace: {columns:?}"
        );
    }
    world.close().await;
}
