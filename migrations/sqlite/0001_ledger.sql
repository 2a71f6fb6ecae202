-- Every key begins with the workspace; times are unix microseconds; amounts are minor units.

CREATE TABLE workspaces (
    workspace_id INTEGER NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- What people entered, in order, for ever.
CREATE TABLE changes (
    workspace_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    entered_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    natural_key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (workspace_id, seq),
    UNIQUE (workspace_id, natural_key)
) STRICT;

-- A row to hold while doing what one process at a time may do; `version` tells who did not hold it that it was done.
CREATE TABLE locks (
    workspace_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, name)
) STRICT, WITHOUT ROWID;

-- Raw events, as received. They are never written again: what becomes of them is in the two tables below.
CREATE TABLE events (
    workspace_id INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    payload_codec INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (workspace_id, event_id, shape)
) STRICT;
CREATE INDEX events_by_time ON events (workspace_id, mode, received_at);
CREATE INDEX events_of_type ON events (workspace_id, mode, type, received_at);

-- The queue: events that nobody has read yet.
CREATE TABLE unread (
    workspace_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, received_at, event_id, shape)
) STRICT, WITHOUT ROWID;

-- Events that were read, or need not be, and have no facts. Status: 2 ignored, 3 failed.
CREATE TABLE unrecorded (
    workspace_id INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT,
    error TEXT,
    PRIMARY KEY (workspace_id, event_id, shape)
) STRICT, WITHOUT ROWID;
CREATE INDEX unrecorded_by_time ON unrecorded (workspace_id, mode, status, received_at, event_id, shape);

-- Who pays the merchant.
CREATE TABLE customers (
    workspace_id INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    dirty_version INTEGER NOT NULL,
    settled_version INTEGER NOT NULL,
    settle_due_at INTEGER,
    settled_at INTEGER,
    failures INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, customer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX customers_of_book ON customers (workspace_id, mode, customer_id);
CREATE INDEX customers_due ON customers (workspace_id, settle_due_at, customer_id) WHERE settle_due_at IS NOT NULL;

-- What each event says about a customer.
CREATE TABLE facts (
    workspace_id INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    shape INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (workspace_id, customer_id, event_id, shape)
) STRICT, WITHOUT ROWID;

-- Whose a Stripe id or customer key is.
CREATE TABLE refs (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    ref TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, ref, mode)
) STRICT, WITHOUT ROWID;
-- Shared customer keys depend on settings, so that a customer's cannot be told from its facts for ever.
CREATE INDEX refs_shared_keys ON refs (workspace_id, customer_id) WHERE ref >= 'key:' AND ref < 'key;';
CREATE INDEX refs_stripe_customers ON refs (workspace_id, customer_id) WHERE ref >= 'cus_' AND ref < 'cus`';

-- Evidence by which the customers that wait for something are found.
CREATE TABLE clues (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    clue TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, clue, mode, customer_id)
) STRICT, WITHOUT ROWID;

-- The last decision about each payment.
CREATE TABLE payments (
    workspace_id INTEGER NOT NULL,
    payment_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    ref TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    paid INTEGER NOT NULL,
    taken_back INTEGER NOT NULL,
    paid_at INTEGER NOT NULL,
    code TEXT NOT NULL,
    partner_key TEXT,
    program_key TEXT,
    version INTEGER,
    amount INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    merged_into TEXT,
    stripe_customer TEXT,
    base INTEGER NOT NULL,
    rate TEXT,
    product TEXT,
    refs TEXT NOT NULL,
    PRIMARY KEY (workspace_id, payment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX payments_of_customer ON payments (workspace_id, customer_id, paid_at, payment_id);
CREATE INDEX payments_of_book ON payments (workspace_id, mode, paid_at, payment_id) WHERE merged_into IS NULL;
CREATE INDEX payments_of_code ON payments (workspace_id, mode, code, paid_at, payment_id) WHERE merged_into IS NULL;
CREATE INDEX payments_of_partner ON payments (workspace_id, mode, partner_key, paid_at, payment_id)
    WHERE partner_key IS NOT NULL AND merged_into IS NULL;

-- Every reference a payment is known by.
CREATE TABLE payment_refs (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    ref TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, ref, mode)
) STRICT, WITHOUT ROWID;

-- The ledger. Nothing in it is ever changed.
CREATE TABLE entries (
    workspace_id INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    kind TEXT NOT NULL,
    partner_key TEXT NOT NULL,
    program_key TEXT,
    component TEXT NOT NULL,
    revision INTEGER NOT NULL,
    payment_id TEXT,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    booked_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    event_id TEXT,
    payout_id TEXT,
    reason TEXT,
    digest TEXT NOT NULL,
    PRIMARY KEY (workspace_id, entry_id),
    UNIQUE (workspace_id, payment_id, partner_key, program_key, component, revision)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_of_payout ON entries (workspace_id, payout_id, kind, revision) WHERE payout_id IS NOT NULL;
CREATE INDEX entries_of_book ON entries (workspace_id, mode, booked_at, entry_id);
CREATE INDEX entries_of_partner ON entries (workspace_id, mode, partner_key, booked_at, entry_id);
CREATE INDEX entries_of_program ON entries (workspace_id, mode, program_key, booked_at, entry_id);
CREATE INDEX entries_of_kind ON entries (workspace_id, mode, kind, booked_at, entry_id) WHERE kind <> 'accrual';
-- What of a partner becomes available on the running day.
CREATE INDEX entries_on_hold ON entries (workspace_id, mode, partner_key, currency, available_at, amount)
    WHERE available_at > booked_at;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an entry is corrected by a further entry');
END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an entry is corrected by a further entry');
END;

-- What each partner has, by the UTC day on which it becomes available: 0 for at once, and for days long gone.
CREATE TABLE balances (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    partner_key TEXT NOT NULL,
    currency TEXT NOT NULL,
    day INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, partner_key, currency, day, shard)
) STRICT, WITHOUT ROWID;

-- Which promotion code id has which text.
CREATE TABLE promotion_codes (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    promotion_code_id TEXT NOT NULL,
    code TEXT NOT NULL,
    event_created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, promotion_code_id, mode)
) STRICT, WITHOUT ROWID;

CREATE TABLE clicks (
    workspace_id INTEGER NOT NULL,
    click_id TEXT NOT NULL,
    partner_key TEXT NOT NULL,
    program_key TEXT,
    clicked_at INTEGER NOT NULL,
    entered_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, click_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX clicks_of_partner ON clicks (workspace_id, partner_key, clicked_at, click_id);

-- Addresses of the bridge's own that lead to the merchant's pages and record a click on the way.
CREATE TABLE links (
    workspace_id INTEGER NOT NULL,
    link_id TEXT NOT NULL,
    link TEXT NOT NULL,
    partner_key TEXT NOT NULL,
    program_key TEXT,
    target TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, link_id),
    UNIQUE (workspace_id, link)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_of_partner ON links (workspace_id, partner_key, link_id);

-- E-mails (lower case) and customer keys that are tied to a partner, or to a click. With row ids: without them SQLite
-- prefers to go through all of a workspace by the primary key to the indexes that leads are looked up by.
CREATE TABLE leads (
    workspace_id INTEGER NOT NULL,
    lead_id TEXT NOT NULL,
    natural_key TEXT NOT NULL,
    by TEXT NOT NULL,
    value TEXT NOT NULL,
    partner_key TEXT,
    program_key TEXT,
    click_id TEXT,
    from_at INTEGER,
    entered_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    PRIMARY KEY (workspace_id, lead_id),
    UNIQUE (workspace_id, natural_key)
) STRICT;
CREATE INDEX leads_by_value ON leads (workspace_id, by, value);
CREATE INDEX leads_of_partner ON leads (workspace_id, partner_key, lead_id) WHERE partner_key IS NOT NULL;
CREATE INDEX leads_of_click ON leads (workspace_id, click_id) WHERE click_id IS NOT NULL;

-- Changes that concern many customers, worked off in pages.
CREATE TABLE resettle (
    workspace_id INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    mode INTEGER,
    clue TEXT,
    cursor TEXT,
    relink INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, job_id)
) STRICT, WITHOUT ROWID;

-- What each payment adds to its partner's month, where the program has tiers: appended, each change under a version of
-- the lock `tiers`. What a closed month was priced by is what had been appended when it was closed.
CREATE TABLE contributions (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    partner_key TEXT NOT NULL,
    program_key TEXT NOT NULL,
    month TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    version INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, partner_key, program_key, month, customer_id, payment_id, currency, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX contributions_of_payment ON contributions (workspace_id, payment_id);
CREATE INDEX contributions_by_version ON contributions (workspace_id, version);

-- The version that contributions had when a month was closed.
CREATE TABLE tier_closes (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    month TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, month)
) STRICT, WITHOUT ROWID;

-- A month's payouts.
CREATE TABLE batches (
    workspace_id INTEGER NOT NULL,
    batch_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    month TEXT NOT NULL,
    period_start_at INTEGER NOT NULL,
    period_end_at INTEGER NOT NULL,
    cut_off_at INTEGER NOT NULL,
    terms_seq INTEGER NOT NULL,
    before_id TEXT,
    closed_up_to TEXT,
    status TEXT NOT NULL,
    closed_at INTEGER NOT NULL,
    closed_by TEXT NOT NULL,
    approved_at INTEGER,
    approved_by TEXT,
    pay_asked_at INTEGER,
    paused TEXT,
    paid_at INTEGER,
    PRIMARY KEY (workspace_id, batch_id),
    UNIQUE (workspace_id, mode, month)
) STRICT, WITHOUT ROWID;

-- One partner's money in one currency by one method.
CREATE TABLE payouts (
    workspace_id INTEGER NOT NULL,
    payout_id TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    partner_key TEXT NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL,
    destination TEXT,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    opening INTEGER NOT NULL,
    earned INTEGER NOT NULL,
    reversed INTEGER NOT NULL,
    adjustments INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    minimum INTEGER NOT NULL,
    entry_count INTEGER NOT NULL,
    commission_count INTEGER NOT NULL,
    paid_amount INTEGER NOT NULL,
    paid_currency TEXT NOT NULL,
    fx_rate TEXT,
    fx_day TEXT,
    fx_source TEXT,
    reason TEXT,
    reference TEXT NOT NULL,
    profile TEXT NOT NULL,
    file_id TEXT,
    attempt INTEGER NOT NULL,
    leased_until INTEGER,
    leased_by TEXT,
    sent_at INTEGER,
    settled_at INTEGER,
    external_id TEXT,
    failure_reason TEXT,
    returned INTEGER NOT NULL,
    returned_paid INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, payout_id),
    UNIQUE (workspace_id, batch_id, partner_key, currency, method)
) STRICT, WITHOUT ROWID;
CREATE INDEX payouts_of_partner ON payouts (workspace_id, mode, partner_key, payout_id);
CREATE INDEX payouts_open ON payouts (workspace_id, batch_id, status, payout_id) WHERE status IN ('ready', 'sending', 'sent');
CREATE INDEX payouts_by_external_id ON payouts (workspace_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX payouts_of_file ON payouts (workspace_id, file_id) WHERE file_id IS NOT NULL;

-- Which entries a payout pays; each at most once while it lives.
CREATE TABLE payout_entries (
    workspace_id INTEGER NOT NULL,
    payout_id TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    live INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, payout_id, entry_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX payout_entries_live ON payout_entries (workspace_id, entry_id) WHERE live = 1;

-- Every try at a Stripe transfer, written before the call: the key under which Stripe does it once.
CREATE TABLE transfer_attempts (
    workspace_id INTEGER NOT NULL,
    payout_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    tried_at INTEGER NOT NULL,
    ended_at INTEGER,
    code TEXT,
    message TEXT,
    PRIMARY KEY (workspace_id, payout_id, attempt),
    UNIQUE (workspace_id, idempotency_key)
) STRICT, WITHOUT ROWID;

-- What Stripe says of partners' connected accounts.
CREATE TABLE stripe_accounts (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    account TEXT NOT NULL,
    transfers TEXT NOT NULL,
    missing TEXT NOT NULL,
    said_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, mode, account)
) STRICT, WITHOUT ROWID;

-- Links by which partners open a connected account; `hash` is the SHA-256 of the token.
CREATE TABLE onboardings (
    workspace_id INTEGER NOT NULL,
    hash TEXT NOT NULL,
    mode INTEGER NOT NULL,
    partner_key TEXT NOT NULL,
    account TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (workspace_id, hash)
) STRICT, WITHOUT ROWID;
-- A visitor shows a token and no workspace.
CREATE INDEX onboardings_by_hash ON onboardings (hash);

-- Payment files, as they were made the first time: a file that is asked for again is the same to the byte.
CREATE TABLE payout_files (
    workspace_id INTEGER NOT NULL,
    file_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    batch_id TEXT NOT NULL,
    format TEXT NOT NULL,
    currency TEXT NOT NULL,
    part INTEGER NOT NULL,
    name TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    total INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    content BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (workspace_id, file_id),
    UNIQUE (workspace_id, batch_id, format, currency, part)
) STRICT, WITHOUT ROWID;

-- Reference rates: units of the currency for one euro, as published for a day.
CREATE TABLE fx_rates (
    workspace_id INTEGER NOT NULL,
    currency TEXT NOT NULL,
    day TEXT NOT NULL,
    rate TEXT NOT NULL,
    source TEXT NOT NULL,
    entered_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, day, currency)
) STRICT, WITHOUT ROWID;

-- A partner's month in one currency, frozen at the close: `document` is what `hash` was made of, compressed.
CREATE TABLE statements (
    workspace_id INTEGER NOT NULL,
    statement_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    batch_id TEXT NOT NULL,
    month TEXT NOT NULL,
    partner_key TEXT NOT NULL,
    currency TEXT NOT NULL,
    opening INTEGER NOT NULL,
    earned INTEGER NOT NULL,
    reversed INTEGER NOT NULL,
    adjusted INTEGER NOT NULL,
    paid INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    line_count INTEGER NOT NULL,
    cut_off_at INTEGER NOT NULL,
    hash TEXT NOT NULL,
    previous_hash TEXT,
    document BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, statement_id),
    UNIQUE (workspace_id, mode, partner_key, currency, month)
) STRICT, WITHOUT ROWID;
CREATE INDEX statements_of_batch ON statements (workspace_id, batch_id, partner_key, currency);

-- The outbox: mails, written before they are sent, and what became of each.
CREATE TABLE mails (
    workspace_id INTEGER NOT NULL,
    mail_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    natural_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    batch_id TEXT,
    partner_key TEXT,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_try_at INTEGER,
    leased_by TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    PRIMARY KEY (workspace_id, mail_id),
    UNIQUE (workspace_id, natural_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX mails_due ON mails (workspace_id, next_try_at, mail_id) WHERE next_try_at IS NOT NULL;
CREATE INDEX mails_of_book ON mails (workspace_id, mode, mail_id);
CREATE INDEX mails_of_status ON mails (workspace_id, mode, status, mail_id);
CREATE INDEX mails_of_batch ON mails (workspace_id, batch_id, mail_id) WHERE batch_id IS NOT NULL;

-- Keys of the JSON API. A key itself is shown once and never kept: `hash` is the SHA-256 of it.
CREATE TABLE api_keys (
    workspace_id INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    mode INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (workspace_id, key_id),
    UNIQUE (workspace_id, hash)
) STRICT, WITHOUT ROWID;
-- A request shows a key and no workspace.
CREATE INDEX api_keys_by_hash ON api_keys (hash);

-- Who changed what, through whichever door; before and after are JSON.
CREATE TABLE audit_log (
    workspace_id INTEGER NOT NULL,
    audit_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (workspace_id, audit_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_log_of_object ON audit_log (workspace_id, object, object_id, audit_id);
CREATE INDEX audit_log_of_author ON audit_log (workspace_id, author, audit_id);

-- What POST requests with an Idempotency-Key were answered.
CREATE TABLE idempotency (
    workspace_id INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, idempotency_key, mode)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (workspace_id, created_at);

-- Signing secrets of webhook endpoints; several while one is rotated.
CREATE TABLE webhook_secrets (
    workspace_id INTEGER NOT NULL,
    secret_id TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (workspace_id, secret_id),
    UNIQUE (workspace_id, secret)
) STRICT, WITHOUT ROWID;

-- Adjustments and bonuses, each with the one entry that books it.
CREATE TABLE adjustments (
    workspace_id INTEGER NOT NULL,
    adjustment_id TEXT NOT NULL,
    mode INTEGER NOT NULL,
    kind TEXT NOT NULL,
    partner_key TEXT NOT NULL,
    program_key TEXT,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    note TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, adjustment_id),
    UNIQUE (workspace_id, entry_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX adjustments_of_book ON adjustments (workspace_id, mode, adjustment_id);
CREATE INDEX adjustments_of_partner ON adjustments (workspace_id, mode, partner_key, adjustment_id);

-- SQLite believes, unless it is told, that a first column narrows a table down to ten rows.
-- Whatever is asked, the rest of a key is what narrows it down: how many rows each further column of an index leaves, of
-- a million.
ANALYZE;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('events', 'events_by_time', '1000000 1000000 1000000 1'),
    ('events', 'events_of_type', '1000000 1000000 1000000 25000 1'),
    ('events', 'sqlite_autoindex_events_1', '1000000 1000000 2 1'),
    ('unread', 'unread', '1000000 1000000 2 2 1'),
    ('unrecorded', 'unrecorded', '1000000 1000000 2 1'),
    ('unrecorded', 'unrecorded_by_time', '1000000 1000000 1000000 333333 2 2 1'),
    ('customers', 'customers_due', '1000000 1000000 2 1'),
    ('customers', 'customers_of_book', '1000000 1000000 1000000 10'),
    ('customers', 'customers', '1000000 1000000 1'),
    ('facts', 'facts', '1000000 1000000 10 2 1'),
    ('refs', 'refs_shared_keys', '1000000 1000000 10'),
    ('refs', 'refs_stripe_customers', '1000000 1000000 10'),
    ('refs', 'refs', '1000000 1000000 2 1'),
    ('clues', 'clues', '1000000 1000000 2 2 1'),
    ('payments', 'payments_of_book', '1000000 1000000 1000000 2 1'),
    ('payments', 'payments_of_code', '1000000 1000000 1000000 100000 2 1'),
    ('payments', 'payments_of_customer', '1000000 1000000 10 2 1'),
    ('payments', 'payments_of_partner', '1000000 1000000 1000000 5000 2 1'),
    ('payments', 'payments', '1000000 1000000 1'),
    ('payment_refs', 'payment_refs', '1000000 1000000 2 1'),
    ('entries', 'entries_of_book', '1000000 1000000 1000000 2 1'),
    ('entries', 'entries_of_kind', '1000000 1000000 1000000 200000 2 1'),
    ('entries', 'entries_of_partner', '1000000 1000000 1000000 5000 2 1'),
    ('entries', 'entries_of_payout', '1000000 1000000 2 2 1'),
    ('entries', 'entries_of_program', '1000000 1000000 1000000 200000 2 1'),
    ('entries', 'entries_on_hold', '1000000 1000000 1000000 5000 1666 2 1'),
    ('entries', 'entries', '1000000 1000000 1'),
    ('entries', 'sqlite_autoindex_entries_2', '1000000 1000000 2 2 2 2 1'),
    ('balances', 'balances', '1000000 1000000 1000000 5000 1666 41 1'),
    ('clicks', 'clicks_of_partner', '1000000 1000000 5000'),
    ('clicks', 'clicks', '1000000 1000000 1'),
    ('leads', 'leads_by_value', '1000000 1000000 1000000 1'),
    ('leads', 'leads_of_click', '1000000 1000000 1'),
    ('leads', 'leads_of_partner', '1000000 1000000 5000 1'),
    ('leads', 'leads', '1000000 1000000 1'),
    ('leads', 'sqlite_autoindex_leads_2', '1000000 1000000 1'),
    ('payouts', 'payouts', '1000000 1000000 1'),
    ('payouts', 'payouts_of_partner', '1000000 1000000 1000000 50 1'),
    ('payouts', 'payouts_open', '1000000 1000000 10000 5000 1'),
    ('payouts', 'payouts_by_external_id', '1000000 1000000 1'),
    ('payouts', 'payouts_of_file', '1000000 1000000 500'),
    ('statements', 'statements', '1000000 1000000 1'),
    ('statements', 'statements_of_batch', '1000000 1000000 10000 2 1'),
    ('statements', 'sqlite_autoindex_statements_2', '1000000 1000000 1000000 50 25 1'),
    ('mails', 'mails', '1000000 1000000 1'),
    ('mails', 'mails_due', '1000000 1000000 2 1'),
    ('mails', 'mails_of_book', '1000000 1000000 1000000 1'),
    ('mails', 'mails_of_batch', '1000000 1000000 10000 1'),
    ('mails', 'mails_of_status', '1000000 1000000 1000000 10000 1'),
    ('mails', 'sqlite_autoindex_mails_2', '1000000 1000000 1'),
    ('payouts', 'sqlite_autoindex_payouts_2', '1000000 1000000 2 2 2 1'),
    ('payout_entries', 'payout_entries_live', '1000000 1000000 1'),
    ('payout_entries', 'payout_entries', '1000000 1000000 2 1'),
    ('audit_log', 'audit_log_of_author', '1000000 1000000 50000 1'),
    ('audit_log', 'audit_log_of_object', '1000000 1000000 100000 2 1'),
    ('audit_log', 'audit_log', '1000000 1000000 1'),
    ('idempotency', 'idempotency_by_age', '1000000 1000000 1'),
    ('idempotency', 'idempotency', '1000000 1000000 2 1'),
    ('adjustments', 'adjustments_of_book', '1000000 1000000 1000000 1'),
    ('adjustments', 'adjustments_of_partner', '1000000 1000000 1000000 5000 1'),
    ('adjustments', 'adjustments', '1000000 1000000 1'),
    ('adjustments', 'sqlite_autoindex_adjustments_2', '1000000 1000000 1');
ANALYZE sqlite_schema;
