//! The schema: the same on both engines, and safe from what must not happen to it.

use std::collections::BTreeSet;

use commission_bridge::on;
use commission_bridge::store::{Db, Engine, OpenError};

use crate::harness::{World, invoice_paid, terms};
use serde_json::json;

crate::on_both_engines!(
    the_ledger_cannot_be_edited,
    a_newer_schema_is_refused,
    opening_again_changes_nothing,
    an_entry_key_is_there_once,
);

/// `(table, column, type, nullable)` of every column, types in `PostgreSQL`'s words.
async fn columns(db: &Db) -> BTreeSet<(String, String, String, bool)> {
    let sql = match db.engine() {
        Engine::Sqlite => {
            r#"SELECT t.name, c.name, c.type, CASE WHEN c."notnull" = 1 THEN 0 ELSE 1 END
               FROM sqlite_master t JOIN pragma_table_info(t.name) c
               WHERE t.type = 'table' AND t.name NOT LIKE '\_%' ESCAPE '\' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'"#
        }
        Engine::Postgres => {
            "SELECT table_name::text, column_name::text, data_type::text,
                    CASE WHEN is_nullable = 'YES' THEN 1::bigint ELSE 0::bigint END
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%'"
        }
    };
    let mut tx = db.read().await.unwrap();
    let rows: Vec<(String, String, String, i64)> = on!(tx, conn => sqlx::query_as(sql).fetch_all(conn).await.unwrap());
    rows.into_iter()
        .map(|(table, column, kind, nullable)| {
            let kind = match kind.as_str() {
                "INTEGER" => "bigint".to_owned(),
                "BLOB" => "bytea".to_owned(),
                other => other.to_lowercase(),
            };
            (table, column, kind, nullable == 1)
        })
        .collect()
}

/// `(table, unique key's columns)`.
async fn unique_keys(db: &Db) -> BTreeSet<(String, String)> {
    let sql = match db.engine() {
        Engine::Sqlite => {
            r#"SELECT t.name, (SELECT group_concat(c.name, ', ') FROM
                   (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) c)
               FROM sqlite_master t JOIN pragma_index_list(t.name) i
               WHERE t.type = 'table' AND t.name NOT LIKE '\_%' ESCAPE '\' AND i."unique" = 1"#
        }
        Engine::Postgres => {
            "SELECT t.relname::text, string_agg(a.attname::text, ', ' ORDER BY k.n)
             FROM pg_index i
             JOIN pg_class t ON t.oid = i.indrelid
             JOIN pg_namespace s ON s.oid = t.relnamespace AND s.nspname = 'public'
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, n)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
             WHERE i.indisunique AND t.relname NOT LIKE '\\_%'
             GROUP BY t.relname, i.indexrelid"
        }
    };
    let mut tx = db.read().await.unwrap();
    let rows: Vec<(String, String)> = on!(tx, conn => sqlx::query_as(sql).fetch_all(conn).await.unwrap());
    rows.into_iter().collect()
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_keys() {
    let sqlite = World::on_sqlite().await;
    let postgres = World::on_postgres().await;
    assert_eq!(columns(&sqlite.db).await, columns(&postgres.db).await);
    let (mut left, right) = (unique_keys(&sqlite.db).await, unique_keys(&postgres.db).await);
    // A single whole number as the key is the row itself in `SQLite` and has no index of its own.
    left.insert(("workspaces".to_owned(), "workspace_id".to_owned()));
    assert_eq!(left, right);
    for (table, key) in right {
        assert!(key.starts_with("workspace_id") || table == "workspaces", "{table}: {key}");
    }
    sqlite.close().await;
    postgres.close().await;
}

async fn the_ledger_cannot_be_edited(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))]).await;
    for sql in ["UPDATE entries SET amount = 1", "DELETE FROM entries"] {
        let refused = world.tamper(sql).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    assert_eq!(world.balance().await, 2_000);
}

async fn an_entry_key_is_there_once(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))]).await;
    let again = "INSERT INTO entries SELECT workspace_id, 'ent_twice', mode, kind, partner_key, program_key, component,
                        revision, payment_id, amount, currency, occurred_at, booked_at, available_at, event_id,
                        payout_id, reason, digest FROM entries";
    let refused = world.tamper(again).await.unwrap_err();
    assert!(refused.as_database_error().unwrap().is_unique_violation(), "{refused}");
}

async fn a_newer_schema_is_refused(world: &World) {
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of a later release', TRUE, '', 0)";
    world.tamper(later).await.unwrap();
    let error = Db::open(&world.url).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer(9999)), "{error}");
    assert!(error.to_string().contains("newer release"), "{error}");
}

async fn opening_again_changes_nothing(world: &World) {
    let again = Db::open(&world.url).await.unwrap();
    assert_eq!(columns(&again).await, columns(&world.db).await);
    again.close().await;
}

#[tokio::test]
async fn a_wrong_url_says_what_to_do() {
    for (url, says) in [
        ("mysql://root@localhost/x", "expected sqlite://"),
        ("sqlite::memory:", "name a file"),
        ("sqlite:///no/such/directory/x.db", "Check that it is there"),
    ] {
        let error = Db::open(url).await.unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
}
