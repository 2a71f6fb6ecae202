-- The Stripe account that a workspace's settings name: events of that account are its own, wherever they arrive.
ALTER TABLE workspaces ADD COLUMN account TEXT;
UPDATE workspaces SET account = (
    SELECT json_extract(c.body, '$.settings.account') FROM changes c
    WHERE c.workspace_id = workspaces.workspace_id AND c.body LIKE '{"kind":"settings"%'
    ORDER BY c.seq DESC
    LIMIT 1
);
UPDATE workspaces SET account = NULL
WHERE EXISTS (SELECT 1 FROM workspaces o WHERE o.account = workspaces.account AND o.workspace_id < workspaces.workspace_id);
CREATE UNIQUE INDEX workspaces_of_account ON workspaces (account);

-- Whose key each book is reached by: a key of another account is not used by mistake.
CREATE TABLE stripe_connections (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    account TEXT NOT NULL,
    connected_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode)
) STRICT, WITHOUT ROWID;

-- Webhook endpoints that the bridge made at Stripe. A row is here before Stripe is asked, and says what is under way:
-- `making` (stripe_id unknown, or the one before), `retiring` (old_id is to be deleted), `made`, `removing`.
CREATE TABLE stripe_endpoints (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    connect INTEGER NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    stripe_id TEXT,
    secret_id TEXT,
    old_id TEXT,
    idempotency_key TEXT NOT NULL,
    key_since INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, connect, url)
) STRICT, WITHOUT ROWID;

-- What comparing a month with Stripe's own objects came to, the last time.
CREATE TABLE reconciliations (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    month TEXT NOT NULL,
    checked_at INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
) STRICT, WITHOUT ROWID;
