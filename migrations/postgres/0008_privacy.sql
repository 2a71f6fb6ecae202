-- Whose personal data was erased: once for each subject, which is an id or a pseudonym.
CREATE TABLE erasures (
    workspace_id BIGINT NOT NULL,
    erasure_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, erasure_id),
    UNIQUE (workspace_id, mode, object, subject)
);

-- The customers concerned: what comes of them from then on is erased before it is recorded.
-- `again`: they were joined to somebody whose data is still there.
CREATE TABLE erased_customers (
    workspace_id BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    erasure_id TEXT COLLATE "C" NOT NULL,
    again BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, customer_id)
);

-- By which addresses become pseudonyms, kept as secrets are.
CREATE TABLE pseudonym_keys (
    workspace_id BIGINT NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id)
);

-- Who was set aside, for whoever watches.
CREATE INDEX customers_parked ON customers (workspace_id, customer_id) WHERE failures > 0;
