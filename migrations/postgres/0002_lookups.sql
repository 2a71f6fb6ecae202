-- What Stripe has to be asked for, because no event says it: the queue, and what was asked before.
CREATE TABLE lookups (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    asked_at BIGINT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL,
    error TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, mode, what, object)
);
CREATE INDEX lookups_due ON lookups (workspace_id, mode, due_at, what, object) WHERE due_at IS NOT NULL;

-- Whose decisions wait for it.
CREATE TABLE lookup_customers (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, mode, what, object, customer_id)
);

-- How many calls a day's look-ups took (UTC days since 1970).
CREATE TABLE lookup_calls (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    day BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, day)
);

-- What is known of prices beside what customers' own subscriptions say.
CREATE TABLE prices (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    price_id TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C",
    billing_interval TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, price_id, mode)
);

-- As for the tables before: planned as for the largest workspace.
ALTER TABLE lookups ALTER COLUMN workspace_id SET (n_distinct = 1);
ALTER TABLE lookup_customers ALTER COLUMN workspace_id SET (n_distinct = 1);
ALTER TABLE prices ALTER COLUMN workspace_id SET (n_distinct = 1);
