-- Which link a click came by.
ALTER TABLE clicks ADD COLUMN link_id TEXT;

-- By what evidence a payment was credited, and what was taken back of it when: `[[moment, taken back in all], ...]`.
ALTER TABLE payments ADD COLUMN evidence_kind TEXT;
ALTER TABLE payments ADD COLUMN evidence TEXT;
ALTER TABLE payments ADD COLUMN link_id TEXT;
ALTER TABLE payments ADD COLUMN taken_at INTEGER;
ALTER TABLE payments ADD COLUMN takings TEXT;
CREATE INDEX payments_taken ON payments (workspace_id, mode, taken_at, payment_id)
    WHERE taken_at IS NOT NULL AND merged_into IS NULL;

-- The ledger by the moments of its facts.
CREATE INDEX entries_of_facts ON entries (workspace_id, mode, occurred_at, entry_id);

-- Stands for what a customer's rows in subscription_states say, so that nobody looks at them who has nothing new.
ALTER TABLE customers ADD COLUMN states_digest INTEGER NOT NULL DEFAULT 0;

-- How each subscription stood, what recurred of it by the month, and whose customer it was. Made of the facts.
CREATE TABLE subscription_states (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    subscription TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    stripe_customer TEXT,
    status TEXT NOT NULL,
    mrr INTEGER NOT NULL,
    currency TEXT,
    product TEXT,
    partner_key TEXT,
    program_key TEXT,
    link_id TEXT,
    PRIMARY KEY (workspace_id, mode, subscription, from_at)
) STRICT, WITHOUT ROWID;
-- What recurs at a moment: what ends after it and began before.
CREATE INDEX subscription_states_at ON subscription_states (workspace_id, mode, until_at, from_at) WHERE mrr > 0;
CREATE INDEX subscription_states_of_customer ON subscription_states (workspace_id, customer_id, until_at) WHERE mrr > 0;

-- What is known of payments by then says nothing of all this: they are decided once more.
INSERT INTO resettle (workspace_id, job_id, relink, created_at, done)
SELECT w.workspace_id, 'job_0005_reports', 0,
       (SELECT COALESCE(MAX(c.settled_at), 0) + 1 FROM customers c WHERE c.workspace_id = w.workspace_id), 0
FROM workspaces w;

-- As in the first migration: what a key leaves, of a million rows.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('payments', 'payments_taken', '1000000 1000000 1000000 2 1'),
    ('entries', 'entries_of_facts', '1000000 1000000 1000000 2 1'),
    ('subscription_states', 'subscription_states', '1000000 1000000 1000000 5 1'),
    ('subscription_states', 'subscription_states_at', '1000000 1000000 1000000 50000 2'),
    ('subscription_states', 'subscription_states_of_customer', '1000000 1000000 5 2');
ANALYZE sqlite_schema;
