-- Which link a click came by.
ALTER TABLE clicks ADD COLUMN link_id TEXT COLLATE "C";

-- By what evidence a payment was credited, and what was taken back of it when: `[[moment, taken back in all], ...]`.
ALTER TABLE payments ADD COLUMN evidence_kind TEXT COLLATE "C";
ALTER TABLE payments ADD COLUMN evidence TEXT COLLATE "C";
ALTER TABLE payments ADD COLUMN link_id TEXT COLLATE "C";
ALTER TABLE payments ADD COLUMN taken_at BIGINT;
ALTER TABLE payments ADD COLUMN takings TEXT COLLATE "C";
CREATE INDEX payments_taken ON payments (workspace_id, mode, taken_at, payment_id)
    WHERE taken_at IS NOT NULL AND merged_into IS NULL;

-- The ledger by the moments of its facts.
CREATE INDEX entries_of_facts ON entries (workspace_id, mode, occurred_at, entry_id);

-- Stands for what a customer's rows in subscription_states say, so that nobody looks at them who has nothing new.
ALTER TABLE customers ADD COLUMN states_digest BIGINT NOT NULL DEFAULT 0;

-- How each subscription stood, what recurred of it by the month, and whose customer it was. Made of the facts.
CREATE TABLE subscription_states (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    subscription TEXT COLLATE "C" NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    stripe_customer TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    mrr BIGINT NOT NULL,
    currency TEXT COLLATE "C",
    product TEXT COLLATE "C",
    partner_key TEXT COLLATE "C",
    program_key TEXT COLLATE "C",
    link_id TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, mode, subscription, from_at)
);
-- What recurs at a moment: what ends after it and began before.
CREATE INDEX subscription_states_at ON subscription_states (workspace_id, mode, until_at, from_at) WHERE mrr > 0;
CREATE INDEX subscription_states_of_customer ON subscription_states (workspace_id, customer_id, until_at) WHERE mrr > 0;

-- What is known of payments by then says nothing of all this: they are decided once more.
INSERT INTO resettle (workspace_id, job_id, relink, created_at, done)
SELECT w.workspace_id, 'job_0005_reports', 0,
       (SELECT COALESCE(MAX(c.settled_at), 0) + 1 FROM customers c WHERE c.workspace_id = w.workspace_id), 0
FROM workspaces w;

ALTER TABLE subscription_states ALTER COLUMN workspace_id SET (n_distinct = 1);
