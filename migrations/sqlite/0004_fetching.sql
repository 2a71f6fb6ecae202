-- What is asked of Stripe: events that are polled, history that is fetched, and what neither could tell.

-- Who polls a book's events, and what it came to so far. One process polls a book at a time: it holds the lease.
CREATE TABLE sync_books (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    lease_holder TEXT,
    leased_until INTEGER,
    started_at INTEGER,
    succeeded_at INTEGER,
    webhooks_since INTEGER,
    webhooks_looked_until INTEGER,
    new INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode)
) STRICT, WITHOUT ROWID;

-- Of each group of event types: up to which moment all is known, and the window that is being read, newest first.
CREATE TABLE sync_windows (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    group_key TEXT NOT NULL,
    known_until INTEGER,
    window_from INTEGER,
    window_until INTEGER,
    cursor TEXT,
    cursor_created_at INTEGER,
    PRIMARY KEY (workspace_id, mode, group_key)
) STRICT, WITHOUT ROWID;

-- Stretches of time that nobody asked about while Stripe still had their events.
CREATE TABLE sync_gaps (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    gap_from INTEGER NOT NULL,
    gap_until INTEGER NOT NULL,
    found_at INTEGER NOT NULL,
    closed_at INTEGER,
    closed_by TEXT,
    PRIMARY KEY (workspace_id, mode, gap_from)
) STRICT, WITHOUT ROWID;

-- Each poll, and what it brought.
CREATE TABLE syncs (
    workspace_id INTEGER NOT NULL,
    sync_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    calls INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    new INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (workspace_id, sync_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX syncs_of_book ON syncs (workspace_id, mode, sync_id);

-- History that is fetched from Stripe's lists. A book has one at a time.
CREATE TABLE backfills (
    workspace_id INTEGER NOT NULL,
    backfill_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT,
    questions_at INTEGER,
    calls INTEGER NOT NULL,
    error TEXT,
    lease_holder TEXT,
    leased_until INTEGER,
    PRIMARY KEY (workspace_id, backfill_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX backfills_of_book ON backfills (workspace_id, mode, backfill_id);
CREATE UNIQUE INDEX backfills_open ON backfills (workspace_id, mode) WHERE finished_at IS NULL;

-- How far each kind of objects has come, newest first.
CREATE TABLE backfill_kinds (
    workspace_id INTEGER NOT NULL,
    backfill_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    cursor TEXT,
    cursor_created_at INTEGER,
    objects INTEGER NOT NULL,
    new INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    is_done INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (workspace_id, backfill_id, kind)
) STRICT, WITHOUT ROWID;

-- What Stripe showed and could not be read, by its id (or by a digest, where it has none). Its text is not kept.
CREATE TABLE parked_objects (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    reason TEXT NOT NULL,
    run_id TEXT NOT NULL,
    parked_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, kind, object)
) STRICT, WITHOUT ROWID;

-- Metadata and codes that were fetched and are known to have been entered later than their object was made: since when
-- they hold is for people to say.
CREATE TABLE questions (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    object TEXT NOT NULL,
    what TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    counted_from INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    answered_at INTEGER,
    answer INTEGER,
    answered_by TEXT,
    PRIMARY KEY (workspace_id, mode, object, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX questions_of_customer ON questions (workspace_id, customer_id);

-- How many rows each further column of an index leaves, of a million.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('syncs', 'syncs', '1000000 1000000 1'),
    ('syncs', 'syncs_of_book', '1000000 1000000 500000 1'),
    ('backfills', 'backfills', '1000000 1000000 1'),
    ('backfills', 'backfills_of_book', '1000000 1000000 500000 1'),
    ('backfill_kinds', 'backfill_kinds', '1000000 1000000 10 1'),
    ('parked_objects', 'parked_objects', '1000000 1000000 500000 100000 1'),
    ('questions', 'questions', '1000000 1000000 500000 2 1'),
    ('questions', 'questions_of_customer', '1000000 1000000 2'),
    ('sync_windows', 'sync_windows', '1000000 1000000 2 1'),
    ('sync_gaps', 'sync_gaps', '1000000 1000000 500000 1');
ANALYZE sqlite_schema;
