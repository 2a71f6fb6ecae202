-- What Stripe has to be asked for, because no event says it: the queue, and what was asked before.
CREATE TABLE lookups (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    due_at INTEGER,
    attempts INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (workspace_id, mode, what, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX lookups_due ON lookups (workspace_id, mode, due_at, what, object) WHERE due_at IS NOT NULL;

-- Whose decisions wait for it.
CREATE TABLE lookup_customers (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, mode, what, object, customer_id)
) STRICT, WITHOUT ROWID;

-- How many calls a day's look-ups took (UTC days since 1970).
CREATE TABLE lookup_calls (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    day INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, day)
) STRICT, WITHOUT ROWID;

-- What is known of prices beside what customers' own subscriptions say.
CREATE TABLE prices (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    price_id TEXT NOT NULL,
    product TEXT,
    billing_interval TEXT,
    metadata TEXT NOT NULL,
    PRIMARY KEY (workspace_id, price_id, mode)
) STRICT, WITHOUT ROWID;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('lookups', 'lookups', '1000000 1000000 500000 200000 1'),
    ('lookups', 'lookups_due', '100000 100000 50000 10 1 1'),
    ('lookup_customers', 'lookup_customers', '1000000 1000000 500000 200000 10 1'),
    ('prices', 'prices', '10000 10000 2 1');
ANALYZE sqlite_schema;
