-- Raw events lie in the order in which they came; which ids are known is a slim table of its own, which also says where
-- the event lies. So old months can be put into files, and an event that comes again is known all the same.
ALTER TABLE events RENAME TO events_before;
DROP INDEX events_by_time;
DROP INDEX events_of_type;
DELETE FROM sqlite_stat1 WHERE tbl IN ('events', 'events_before');

-- Every event there ever was: its row here makes it known, whether its body is in `events` or in a file.
CREATE TABLE event_ids (
    workspace_id INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, event_id, shape)
) STRICT, WITHOUT ROWID;

-- Raw events, as received. They are never written again. On PostgreSQL each calendar month (UTC) is a table.
CREATE TABLE events (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    payload_codec INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (workspace_id, mode, received_at, event_id, shape)
) STRICT;

-- In which minutes (of the unix epoch) events of a type came: where to look for a rare one, at no cost for each event.
CREATE TABLE event_minutes (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    type TEXT NOT NULL,
    minute INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, type, minute)
) STRICT, WITHOUT ROWID;

-- Months whose raw events were put into a file. State: 0 they are all back in the database, 1 the file is proven and
-- they are being removed, 2 they are in the file alone.
CREATE TABLE archives (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    month TEXT NOT NULL,
    state INTEGER NOT NULL,
    file TEXT NOT NULL,
    events INTEGER NOT NULL,
    about_nobody INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    file_sha256 TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    archived_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
) STRICT, WITHOUT ROWID;

INSERT INTO event_ids (workspace_id, event_id, shape, mode, received_at)
SELECT workspace_id, event_id, shape, mode, received_at FROM events_before
ORDER BY workspace_id, event_id, shape;

INSERT INTO events (workspace_id, mode, received_at, event_id, shape, type, created_at, source, payload_codec, payload)
SELECT workspace_id, mode, received_at, event_id, shape, type, created_at, source, payload_codec, payload
FROM events_before
ORDER BY workspace_id, mode, received_at, event_id, shape;

INSERT INTO event_minutes (workspace_id, mode, type, minute)
SELECT DISTINCT workspace_id, mode, type, received_at / 60000000 FROM events_before;

DROP TABLE events_before;

-- As in the first migration: what a key leaves, of a million rows.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('event_ids', 'event_ids', '1000000 1000000 2 1'),
    ('events', 'sqlite_autoindex_events_1', '1000000 1000000 1000000 2 2 1'),
    ('event_minutes', 'event_minutes', '1000000 1000000 1000000 25000 1');
ANALYZE sqlite_schema;
