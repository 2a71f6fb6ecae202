-- Every key begins with the workspace; times are unix microseconds; amounts are minor units.
-- Texts compare by their bytes, as in SQLite, so that both engines page in the same order.

CREATE TABLE workspaces (
    workspace_id BIGINT NOT NULL PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- What people entered, in order, for ever.
CREATE TABLE changes (
    workspace_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    entered_at BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    natural_key TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, seq),
    UNIQUE (workspace_id, natural_key)
);

-- A row to hold while doing what one process at a time may do; `version` tells who did not hold it that it was done.
CREATE TABLE locks (
    workspace_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

-- Raw events, as received. They are never written again: what becomes of them is in the two tables below.
CREATE TABLE events (
    workspace_id BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    payload_codec BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, event_id, shape)
);
-- The payload is compressed already: PostgreSQL compressing it again costs more than the rest of the insert.
ALTER TABLE events ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX events_by_time ON events (workspace_id, mode, received_at);
CREATE INDEX events_of_type ON events (workspace_id, mode, type, received_at);

-- The queue: events that nobody has read yet.
CREATE TABLE unread (
    workspace_id BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, received_at, event_id, shape)
);

-- Events that were read, or need not be, and have no facts. Status: 2 ignored, 3 failed.
CREATE TABLE unrecorded (
    workspace_id BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    status BIGINT NOT NULL,
    reason TEXT COLLATE "C",
    error TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, event_id, shape)
);
CREATE INDEX unrecorded_by_time ON unrecorded (workspace_id, mode, status, received_at, event_id, shape);

-- Who pays the merchant.
CREATE TABLE customers (
    workspace_id BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    dirty_version BIGINT NOT NULL,
    settled_version BIGINT NOT NULL,
    settle_due_at BIGINT,
    settled_at BIGINT,
    failures BIGINT NOT NULL,
    error TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, customer_id)
);
CREATE INDEX customers_of_book ON customers (workspace_id, mode, customer_id);
CREATE INDEX customers_due ON customers (workspace_id, settle_due_at, customer_id) WHERE settle_due_at IS NOT NULL;

-- What each event says about a customer.
CREATE TABLE facts (
    workspace_id BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    shape BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, customer_id, event_id, shape)
);

-- Whose a Stripe id or customer key is.
CREATE TABLE refs (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, ref, mode)
);
-- Shared customer keys depend on settings, so that a customer's cannot be told from its facts for ever.
CREATE INDEX refs_shared_keys ON refs (workspace_id, customer_id) WHERE ref >= 'key:' AND ref < 'key;';
CREATE INDEX refs_stripe_customers ON refs (workspace_id, customer_id) WHERE ref >= 'cus_' AND ref < 'cus`';

-- Evidence by which the customers that wait for something are found.
CREATE TABLE clues (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    clue TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, clue, mode, customer_id)
);

-- The last decision about each payment.
CREATE TABLE payments (
    workspace_id BIGINT NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    paid BIGINT NOT NULL,
    taken_back BIGINT NOT NULL,
    paid_at BIGINT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C",
    program_key TEXT COLLATE "C",
    version BIGINT,
    amount BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    merged_into TEXT COLLATE "C",
    stripe_customer TEXT COLLATE "C",
    base BIGINT NOT NULL,
    rate TEXT COLLATE "C",
    product TEXT COLLATE "C",
    refs TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, payment_id)
);
CREATE INDEX payments_of_customer ON payments (workspace_id, customer_id, paid_at, payment_id);
CREATE INDEX payments_of_book ON payments (workspace_id, mode, paid_at, payment_id) WHERE merged_into IS NULL;
CREATE INDEX payments_of_code ON payments (workspace_id, mode, code, paid_at, payment_id) WHERE merged_into IS NULL;
CREATE INDEX payments_of_partner ON payments (workspace_id, mode, partner_key, paid_at, payment_id)
    WHERE partner_key IS NOT NULL AND merged_into IS NULL;

-- Every reference a payment is known by.
CREATE TABLE payment_refs (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, ref, mode)
);

-- The ledger. Nothing in it is ever changed.
CREATE TABLE entries (
    workspace_id BIGINT NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    program_key TEXT COLLATE "C",
    component TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    payment_id TEXT COLLATE "C",
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    occurred_at BIGINT NOT NULL,
    booked_at BIGINT NOT NULL,
    available_at BIGINT NOT NULL,
    event_id TEXT COLLATE "C",
    payout_id TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, entry_id),
    UNIQUE (workspace_id, payment_id, partner_key, program_key, component, revision)
);
CREATE UNIQUE INDEX entries_of_payout ON entries (workspace_id, payout_id, kind, revision) WHERE payout_id IS NOT NULL;
CREATE INDEX entries_of_book ON entries (workspace_id, mode, booked_at, entry_id);
CREATE INDEX entries_of_partner ON entries (workspace_id, mode, partner_key, booked_at, entry_id);
CREATE INDEX entries_of_program ON entries (workspace_id, mode, program_key, booked_at, entry_id);
CREATE INDEX entries_of_kind ON entries (workspace_id, mode, kind, booked_at, entry_id) WHERE kind <> 'accrual';
-- What of a partner becomes available on the running day.
CREATE INDEX entries_on_hold ON entries (workspace_id, mode, partner_key, currency, available_at, amount)
    WHERE available_at > booked_at;

CREATE FUNCTION entries_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: an entry is corrected by a further entry';
END
$$;
CREATE TRIGGER entries_no_change BEFORE UPDATE OR DELETE ON entries
    FOR EACH ROW EXECUTE FUNCTION entries_are_final();
CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION entries_are_final();

-- What each partner has, by the UTC day on which it becomes available: 0 for at once, and for days long gone.
CREATE TABLE balances (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, partner_key, currency, day, shard)
);

-- Which promotion code id has which text.
CREATE TABLE promotion_codes (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    promotion_code_id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    event_created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, promotion_code_id, mode)
);

CREATE TABLE clicks (
    workspace_id BIGINT NOT NULL,
    click_id TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    program_key TEXT COLLATE "C",
    clicked_at BIGINT NOT NULL,
    entered_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, click_id)
);
CREATE INDEX clicks_of_partner ON clicks (workspace_id, partner_key, clicked_at, click_id);

-- Addresses of the bridge's own that lead to the merchant's pages and record a click on the way.
CREATE TABLE links (
    workspace_id BIGINT NOT NULL,
    link_id TEXT COLLATE "C" NOT NULL,
    link TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    program_key TEXT COLLATE "C",
    target TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, link_id),
    UNIQUE (workspace_id, link)
);
CREATE INDEX links_of_partner ON links (workspace_id, partner_key, link_id);

-- E-mails (lower case) and customer keys that are tied to a partner, or to a click.
CREATE TABLE leads (
    workspace_id BIGINT NOT NULL,
    lead_id TEXT COLLATE "C" NOT NULL,
    natural_key TEXT COLLATE "C" NOT NULL,
    by TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C",
    program_key TEXT COLLATE "C",
    click_id TEXT COLLATE "C",
    from_at BIGINT,
    entered_at BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, lead_id),
    UNIQUE (workspace_id, natural_key)
);
CREATE INDEX leads_by_value ON leads (workspace_id, by, value);
CREATE INDEX leads_of_partner ON leads (workspace_id, partner_key, lead_id) WHERE partner_key IS NOT NULL;
CREATE INDEX leads_of_click ON leads (workspace_id, click_id) WHERE click_id IS NOT NULL;

-- Changes that concern many customers, worked off in pages.
CREATE TABLE resettle (
    workspace_id BIGINT NOT NULL,
    job_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT,
    clue TEXT COLLATE "C",
    cursor TEXT COLLATE "C",
    relink BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, job_id)
);

-- What each payment adds to its partner's month, where the program has tiers: appended, each change under a version of
-- the lock `tiers`. What a closed month was priced by is what had been appended when it was closed.
CREATE TABLE contributions (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    program_key TEXT COLLATE "C" NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    volume BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, partner_key, program_key, month, customer_id, payment_id, currency, version)
);
CREATE INDEX contributions_of_payment ON contributions (workspace_id, payment_id);
CREATE INDEX contributions_by_version ON contributions (workspace_id, version);

-- The version that contributions had when a month was closed.
CREATE TABLE tier_closes (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
);

-- A month's payouts.
CREATE TABLE batches (
    workspace_id BIGINT NOT NULL,
    batch_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    period_start_at BIGINT NOT NULL,
    period_end_at BIGINT NOT NULL,
    cut_off_at BIGINT NOT NULL,
    terms_seq BIGINT NOT NULL,
    before_id TEXT COLLATE "C",
    closed_up_to TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    closed_at BIGINT NOT NULL,
    closed_by TEXT COLLATE "C" NOT NULL,
    approved_at BIGINT,
    approved_by TEXT COLLATE "C",
    pay_asked_at BIGINT,
    paused TEXT COLLATE "C",
    paid_at BIGINT,
    PRIMARY KEY (workspace_id, batch_id),
    UNIQUE (workspace_id, mode, month)
);

-- One partner's money in one currency by one method.
CREATE TABLE payouts (
    workspace_id BIGINT NOT NULL,
    payout_id TEXT COLLATE "C" NOT NULL,
    batch_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    opening BIGINT NOT NULL,
    earned BIGINT NOT NULL,
    reversed BIGINT NOT NULL,
    adjustments BIGINT NOT NULL,
    closing BIGINT NOT NULL,
    minimum BIGINT NOT NULL,
    entry_count BIGINT NOT NULL,
    commission_count BIGINT NOT NULL,
    paid_amount BIGINT NOT NULL,
    paid_currency TEXT COLLATE "C" NOT NULL,
    fx_rate TEXT COLLATE "C",
    fx_day TEXT COLLATE "C",
    fx_source TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    reference TEXT COLLATE "C" NOT NULL,
    profile TEXT COLLATE "C" NOT NULL,
    file_id TEXT COLLATE "C",
    attempt BIGINT NOT NULL,
    leased_until BIGINT,
    leased_by TEXT COLLATE "C",
    sent_at BIGINT,
    settled_at BIGINT,
    external_id TEXT COLLATE "C",
    failure_reason TEXT COLLATE "C",
    returned BIGINT NOT NULL,
    returned_paid BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, payout_id),
    UNIQUE (workspace_id, batch_id, partner_key, currency, method)
);
CREATE INDEX payouts_of_partner ON payouts (workspace_id, mode, partner_key, payout_id);
CREATE INDEX payouts_open ON payouts (workspace_id, batch_id, status, payout_id) WHERE status IN ('ready', 'sending', 'sent');
CREATE INDEX payouts_by_external_id ON payouts (workspace_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX payouts_of_file ON payouts (workspace_id, file_id) WHERE file_id IS NOT NULL;

-- Which entries a payout pays; each at most once while it lives.
CREATE TABLE payout_entries (
    workspace_id BIGINT NOT NULL,
    payout_id TEXT COLLATE "C" NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, payout_id, entry_id)
);
CREATE UNIQUE INDEX payout_entries_live ON payout_entries (workspace_id, entry_id) WHERE live = 1;

-- Every try at a Stripe transfer, written before the call: the key under which Stripe does it once.
CREATE TABLE transfer_attempts (
    workspace_id BIGINT NOT NULL,
    payout_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    tries BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    tried_at BIGINT NOT NULL,
    ended_at BIGINT,
    code TEXT COLLATE "C",
    message TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, payout_id, attempt),
    UNIQUE (workspace_id, idempotency_key)
);

-- What Stripe says of partners' connected accounts.
CREATE TABLE stripe_accounts (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    transfers TEXT COLLATE "C" NOT NULL,
    missing TEXT COLLATE "C" NOT NULL,
    said_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, mode, account)
);

-- Links by which partners open a connected account; `hash` is the SHA-256 of the token.
CREATE TABLE onboardings (
    workspace_id BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    PRIMARY KEY (workspace_id, hash)
);
-- A visitor shows a token and no workspace.
CREATE INDEX onboardings_by_hash ON onboardings (hash);

-- Payment files, as they were made the first time: a file that is asked for again is the same to the byte.
CREATE TABLE payout_files (
    workspace_id BIGINT NOT NULL,
    file_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    batch_id TEXT COLLATE "C" NOT NULL,
    format TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    part BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    row_count BIGINT NOT NULL,
    total BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    content BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, file_id),
    UNIQUE (workspace_id, batch_id, format, currency, part)
);

-- Reference rates: units of the currency for one euro, as published for a day.
CREATE TABLE fx_rates (
    workspace_id BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    rate TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    entered_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day, currency)
);

-- A partner's month in one currency, frozen at the close: `document` is what `hash` was made of, compressed.
CREATE TABLE statements (
    workspace_id BIGINT NOT NULL,
    statement_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    batch_id TEXT COLLATE "C" NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    opening BIGINT NOT NULL,
    earned BIGINT NOT NULL,
    reversed BIGINT NOT NULL,
    adjusted BIGINT NOT NULL,
    paid BIGINT NOT NULL,
    closing BIGINT NOT NULL,
    line_count BIGINT NOT NULL,
    cut_off_at BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    previous_hash TEXT COLLATE "C",
    document BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, statement_id),
    UNIQUE (workspace_id, mode, partner_key, currency, month)
);
CREATE INDEX statements_of_batch ON statements (workspace_id, batch_id, partner_key, currency);

-- The outbox: mails, written before they are sent, and what became of each.
CREATE TABLE mails (
    workspace_id BIGINT NOT NULL,
    mail_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    natural_key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    batch_id TEXT COLLATE "C",
    partner_key TEXT COLLATE "C",
    recipient TEXT COLLATE "C" NOT NULL,
    message_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    tries BIGINT NOT NULL,
    next_try_at BIGINT,
    leased_by TEXT COLLATE "C",
    error TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    PRIMARY KEY (workspace_id, mail_id),
    UNIQUE (workspace_id, natural_key)
);
CREATE INDEX mails_due ON mails (workspace_id, next_try_at, mail_id) WHERE next_try_at IS NOT NULL;
CREATE INDEX mails_of_book ON mails (workspace_id, mode, mail_id);
CREATE INDEX mails_of_status ON mails (workspace_id, mode, status, mail_id);
CREATE INDEX mails_of_batch ON mails (workspace_id, batch_id, mail_id) WHERE batch_id IS NOT NULL;

-- Keys of the JSON API. A key itself is shown once and never kept: `hash` is the SHA-256 of it.
CREATE TABLE api_keys (
    workspace_id BIGINT NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (workspace_id, key_id),
    UNIQUE (workspace_id, hash)
);
-- A request shows a key and no workspace.
CREATE INDEX api_keys_by_hash ON api_keys (hash);

-- Who changed what, through whichever door; before and after are JSON.
CREATE TABLE audit_log (
    workspace_id BIGINT NOT NULL,
    audit_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C",
    after TEXT COLLATE "C",
    PRIMARY KEY (workspace_id, audit_id)
);
CREATE INDEX audit_log_of_object ON audit_log (workspace_id, object, object_id, audit_id);
CREATE INDEX audit_log_of_author ON audit_log (workspace_id, author, audit_id);

-- What POST requests with an Idempotency-Key were answered.
CREATE TABLE idempotency (
    workspace_id BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    request_hash TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, idempotency_key, mode)
);
CREATE INDEX idempotency_by_age ON idempotency (workspace_id, created_at);

-- Signing secrets of webhook endpoints; several while one is rotated.
CREATE TABLE webhook_secrets (
    workspace_id BIGINT NOT NULL,
    secret_id TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (workspace_id, secret_id),
    UNIQUE (workspace_id, secret)
);

-- Adjustments and bonuses, each with the one entry that books it.
CREATE TABLE adjustments (
    workspace_id BIGINT NOT NULL,
    adjustment_id TEXT COLLATE "C" NOT NULL,
    mode BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    partner_key TEXT COLLATE "C" NOT NULL,
    program_key TEXT COLLATE "C",
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, adjustment_id),
    UNIQUE (workspace_id, entry_id)
);
CREATE INDEX adjustments_of_book ON adjustments (workspace_id, mode, adjustment_id);
CREATE INDEX adjustments_of_partner ON adjustments (workspace_id, mode, partner_key, adjustment_id);

-- A workspace that is new, or small beside another, must not be planned for as if it had no rows: whatever is asked, the
-- rest of a key is what narrows it down.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'unread', 'unrecorded', 'customers', 'facts', 'refs', 'clues', 'payments',
                                'payment_refs', 'entries', 'balances', 'clicks', 'links', 'leads', 'payouts',
                                'payout_entries', 'audit_log', 'idempotency', 'adjustments', 'contributions', 'statements', 'mails'] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN workspace_id SET (n_distinct = 1)', name);
    END LOOP;
END $$;
