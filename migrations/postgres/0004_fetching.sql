-- What is asked of Stripe: events that are polled, history that is fetched, and what neither could tell.

-- Who polls a book's events, and what it came to so far. One process polls a book at a time: it holds the lease.
CREATE TABLE sync_books (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    lease_holder TEXT COLLATE "C",
    leased_until BIGINT,
    started_at BIGINT,
    succeeded_at BIGINT,
    webhooks_since BIGINT,
    webhooks_looked_until BIGINT,
    new BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode)
);

-- Of each group of event types: up to which moment all is known, and the window that is being read, newest first.
CREATE TABLE sync_windows (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    group_key TEXT COLLATE "C" NOT NULL,
    known_until BIGINT,
    window_from BIGINT,
    window_until BIGINT,
    cursor TEXT COLLATE "C",
    cursor_created_at BIGINT,
    PRIMARY KEY (workspace_id, mode, group_key)
);

-- Stretches of time that nobody asked about while Stripe still had their events.
CREATE TABLE sync_gaps (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    gap_from BIGINT NOT NULL,
    gap_until BIGINT NOT NULL,
    found_at BIGINT NOT NULL,
    closed_at BIGINT,
    closed_by TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, mode, gap_from)
);

-- Each poll, and what it brought.
CREATE TABLE syncs (
    workspace_id BIGINT NOT NULL,
    sync_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    calls BIGINT NOT NULL,
    fetched BIGINT NOT NULL,
    new BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    parked BIGINT NOT NULL,
    error TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, sync_id)
);
CREATE INDEX syncs_of_book ON syncs (workspace_id, mode, sync_id);

-- History that is fetched from Stripe's lists. A book has one at a time.
CREATE TABLE backfills (
    workspace_id BIGINT NOT NULL,
    backfill_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    outcome TEXT COLLATE "C",
    questions_at BIGINT,
    calls BIGINT NOT NULL,
    error TEXT COLLATE "C",
    lease_holder TEXT COLLATE "C",
    leased_until BIGINT,
    PRIMARY KEY (workspace_id, backfill_id)
);
CREATE INDEX backfills_of_book ON backfills (workspace_id, mode, backfill_id);
CREATE UNIQUE INDEX backfills_open ON backfills (workspace_id, mode) WHERE finished_at IS NULL;

-- How far each kind of objects has come, newest first.
CREATE TABLE backfill_kinds (
    workspace_id BIGINT NOT NULL,
    backfill_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    cursor TEXT COLLATE "C",
    cursor_created_at BIGINT,
    objects BIGINT NOT NULL,
    new BIGINT NOT NULL,
    parked BIGINT NOT NULL,
    is_done BIGINT NOT NULL,
    error TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, backfill_id, kind)
);

-- What Stripe showed and could not be read, by its id (or by a digest, where it has none). Its text is not kept.
CREATE TABLE parked_objects (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    parked_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, kind, object)
);

-- Metadata and codes that were fetched and are known to have been entered later than their object was made: since when
-- they hold is for people to say.
CREATE TABLE questions (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    counted_from BIGINT NOT NULL,
    asked_at BIGINT NOT NULL,
    answered_at BIGINT,
    answer BIGINT,
    answered_by TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, mode, object, what)
);
CREATE INDEX questions_of_customer ON questions (workspace_id, customer_id);

-- As in the first migration: a workspace that is new, or small beside another, must not be planned for as if it had no
-- rows.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['syncs', 'backfills', 'backfill_kinds', 'parked_objects', 'questions'] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN workspace_id SET (n_distinct = 1)', name);
    END LOOP;
END $$;
