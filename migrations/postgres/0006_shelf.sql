-- Raw events lie in the order in which they came, a table a month; which ids are known is a slim table of its own, which
-- also says where the event lies. So old months can be put into files, and an event that comes again is known all the
-- same.
ALTER TABLE events RENAME TO events_before;
ALTER TABLE events_before RENAME CONSTRAINT events_pkey TO events_before_pkey;
DROP INDEX events_by_time;
DROP INDEX events_of_type;

-- Every event there ever was: its row here makes it known, whether its body is in `events` or in a file.
CREATE TABLE event_ids (
    workspace_id BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, event_id, shape)
);
ALTER TABLE event_ids ALTER COLUMN workspace_id SET (n_distinct = 1);

-- Raw events, as received. They are never written again. Each calendar month (UTC) is a table, `events_2026_11`, which
-- whoever stores the first event of the month makes: see src/store/months.rs.
CREATE TABLE events (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    payload_codec BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, mode, received_at, event_id, shape)
) PARTITION BY RANGE (received_at);
-- The payload is compressed already: PostgreSQL compressing it again costs more than the rest of the insert.
ALTER TABLE events ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE events ALTER COLUMN workspace_id SET (n_distinct = 1, n_distinct_inherited = 1);

-- In which minutes (of the unix epoch) events of a type came: where to look for a rare one, at no cost for each event.
CREATE TABLE event_minutes (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    minute BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, type, minute)
);
ALTER TABLE event_minutes ALTER COLUMN workspace_id SET (n_distinct = 1);

-- Months whose raw events were put into a file. State: 0 they are all back in the database, 1 the file is proven and
-- they are being removed, 2 they are in the file alone.
CREATE TABLE archives (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    events BIGINT NOT NULL,
    about_nobody BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    file_bytes BIGINT NOT NULL,
    file_sha256 TEXT COLLATE "C" NOT NULL,
    content_sha256 TEXT COLLATE "C" NOT NULL,
    manifest_sha256 TEXT COLLATE "C" NOT NULL,
    archived_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
);

-- A table for each month of which there are events, as src/store/months.rs makes them.
DO $$
DECLARE
    month TIMESTAMP;
    name TEXT;
BEGIN
    FOR month IN
        SELECT DISTINCT date_trunc('month', to_timestamp(received_at / 1000000) AT TIME ZONE 'UTC') FROM events_before
    LOOP
        name := 'events_' || to_char(month, 'YYYY_MM');
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%s) TO (%s)',
            name,
            CAST(EXTRACT(EPOCH FROM month) AS BIGINT) * 1000000,
            CAST(EXTRACT(EPOCH FROM month + INTERVAL '1 month') AS BIGINT) * 1000000
        );
        EXECUTE format('ALTER TABLE %I ALTER COLUMN workspace_id SET (n_distinct = 1)', name);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN payload SET STATISTICS 0', name);
    END LOOP;
END $$;

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
ANALYZE event_ids, event_minutes, events;
