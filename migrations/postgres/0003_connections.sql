-- The Stripe account that a workspace's settings name: events of that account are its own, wherever they arrive.
ALTER TABLE workspaces ADD COLUMN account TEXT COLLATE "C";
UPDATE workspaces SET account = (
    SELECT c.body::jsonb #>> '{settings,account}' FROM changes c
    WHERE c.workspace_id = workspaces.workspace_id AND c.body LIKE '{"kind":"settings"%'
    ORDER BY c.seq DESC
    LIMIT 1
);
UPDATE workspaces SET account = NULL
WHERE EXISTS (SELECT 1 FROM workspaces o WHERE o.account = workspaces.account AND o.workspace_id < workspaces.workspace_id);
CREATE UNIQUE INDEX workspaces_of_account ON workspaces (account);

-- Whose key each book is reached by: a key of another account is not used by mistake.
CREATE TABLE stripe_connections (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    connected_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode)
);

-- Webhook endpoints that the bridge made at Stripe. A row is here before Stripe is asked, and says what is under way:
-- `making` (stripe_id unknown, or the one before), `retiring` (old_id is to be deleted), `made`, `removing`.
CREATE TABLE stripe_endpoints (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    connect BIGINT NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    stripe_id TEXT COLLATE "C",
    secret_id TEXT COLLATE "C",
    old_id TEXT COLLATE "C",
    idempotency_key TEXT COLLATE "C" NOT NULL,
    key_since BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, connect, url)
);

-- What comparing a month with Stripe's own objects came to, the last time.
CREATE TABLE reconciliations (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    checked_at BIGINT NOT NULL,
    differing BIGINT NOT NULL,
    report TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
);
