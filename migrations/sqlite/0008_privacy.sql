-- Whose personal data was erased: once for each subject, which is an id or a pseudonym.
CREATE TABLE erasures (
    workspace_id INTEGER NOT NULL,
    erasure_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    object TEXT NOT NULL,
    subject TEXT NOT NULL,
    author TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, erasure_id),
    UNIQUE (workspace_id, mode, object, subject)
) STRICT, WITHOUT ROWID;

-- The customers concerned: what comes of them from then on is erased before it is recorded.
-- `again`: they were joined to somebody whose data is still there.
CREATE TABLE erased_customers (
    workspace_id INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    erasure_id TEXT NOT NULL,
    again INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, customer_id)
) STRICT, WITHOUT ROWID;

-- By which addresses become pseudonyms, kept as secrets are.
CREATE TABLE pseudonym_keys (
    workspace_id INTEGER NOT NULL,
    secret TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id)
) STRICT, WITHOUT ROWID;

-- Who was set aside, for whoever watches.
CREATE INDEX customers_parked ON customers (workspace_id, customer_id) WHERE failures > 0;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('customers', 'customers_parked', '1000 1000 1');
ANALYZE sqlite_schema;
