-- Times are microseconds since 1970, flags are 0 or 1, JSON is text, and a `_key` column is a name folded for comparison.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    password_hash TEXT,
    role TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    -- The row of a removed account stays, without its person, where models and simulations need an owner.
    is_removed INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX accounts_name_key ON accounts (name_key);
CREATE UNIQUE INDEX accounts_email_key ON accounts (email_key) WHERE email_key <> '';

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_account ON tokens (account_id);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE password_resets (
    hash TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX password_resets_account ON password_resets (account_id);

CREATE TABLE models (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES accounts (id),
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    oneliner TEXT NOT NULL,
    oneliner_key TEXT NOT NULL,
    description TEXT NOT NULL,
    repo_url TEXT NOT NULL,
    repo_tag TEXT NOT NULL,
    cpus REAL NOT NULL,
    memory_gigabytes REAL NOT NULL,
    expected_seconds INTEGER,
    deadline_seconds INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    is_public INTEGER NOT NULL,
    network INTEGER NOT NULL,
    deterministic INTEGER NOT NULL,
    warm_up INTEGER NOT NULL,
    status TEXT NOT NULL,
    live_version TEXT,
    latest_tag TEXT,
    staging_tag TEXT,
    sponsor_id TEXT REFERENCES accounts (id) ON DELETE SET NULL,
    sponsor_message TEXT,
    -- Numbers are given out under the lock of this row, so that they have no gaps.
    last_number INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX models_title_key ON models (owner_id, title_key);
CREATE INDEX models_created ON models (created_at);

CREATE TABLE model_roles (
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (model_id, account_id)
) STRICT;
CREATE INDEX model_roles_account ON model_roles (account_id);

CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    source_commit TEXT NOT NULL,
    reported TEXT NOT NULL,
    artifact TEXT NOT NULL,
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    facts TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX versions_digest ON versions (model_id, digest);

CREATE TABLE schemas (
    version_id TEXT NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    -- SHA-256 of the canonical values: the values themselves may be longer than an index allows.
    meta_hash TEXT NOT NULL,
    meta_values TEXT NOT NULL,
    meta_parameters TEXT NOT NULL,
    model_parameters TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (version_id, meta_hash)
) STRICT;

CREATE TABLE builds (
    id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    requested_by TEXT NOT NULL,
    source TEXT NOT NULL,
    stage TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT,
    version_id TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX builds_model ON builds (model_id, created_at);
CREATE INDEX builds_running ON builds (created_at) WHERE state = 'running';

CREATE TABLE simulations (
    id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    owner_id TEXT NOT NULL REFERENCES accounts (id),
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    readme TEXT NOT NULL,
    is_public INTEGER NOT NULL,
    notify_on_completion INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    traceback TEXT,
    model_version TEXT,
    version_id TEXT,
    run_milliseconds INTEGER NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    phase_queue INTEGER NOT NULL DEFAULT 0,
    phase_start INTEGER NOT NULL DEFAULT 0,
    phase_import INTEGER NOT NULL DEFAULT 0,
    phase_run INTEGER NOT NULL DEFAULT 0,
    phase_store INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    expected_at INTEGER,
    finished_at INTEGER,
    parent_id TEXT REFERENCES simulations (id) ON DELETE SET NULL,
    -- The `sim` run it follows; several may follow one.
    run_id TEXT,
    -- The run whose outputs it shows: the one it followed, one that answered it, or its parent's.
    results_run TEXT,
    answered_by TEXT,
    archived INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX simulations_number ON simulations (model_id, number);
CREATE INDEX simulations_owner ON simulations (owner_id, created_at);
CREATE INDEX simulations_created ON simulations (created_at);
CREATE INDEX simulations_run ON simulations (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX simulations_results ON simulations (results_run) WHERE results_run IS NOT NULL;
CREATE INDEX simulations_parent ON simulations (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE inputs (
    simulation_id TEXT PRIMARY KEY REFERENCES simulations (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    meta_parameters TEXT NOT NULL,
    adjustment TEXT NOT NULL,
    errors_warnings TEXT NOT NULL,
    custom_adjustment TEXT,
    traceback TEXT,
    client TEXT NOT NULL,
    run_id TEXT,
    version_id TEXT
) STRICT;

CREATE TABLE simulation_roles (
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    -- Whether an invitation brought it, so that it leaves with the author.
    by_invite INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (simulation_id, account_id)
) STRICT;
CREATE INDEX simulation_roles_account ON simulation_roles (account_id);

CREATE TABLE authors (
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (simulation_id, account_id)
) STRICT;
CREATE INDEX authors_account ON authors (account_id);

CREATE TABLE invites (
    id TEXT PRIMARY KEY,
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX invites_account ON invites (simulation_id, account_id);
CREATE INDEX invites_of_account ON invites (account_id);

CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    request_key TEXT NOT NULL,
    digest TEXT NOT NULL,
    simulation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, request_key)
) STRICT;
CREATE INDEX idempotency_simulation ON idempotency_keys (simulation_id);

-- The queue. `simulation_id` is the simulation that leads; it may be gone when the run still answers others.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    model_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    simulation_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    arguments TEXT NOT NULL,
    memo_key TEXT,
    cpus REAL NOT NULL,
    memory_bytes INTEGER NOT NULL,
    deadline_seconds INTEGER NOT NULL,
    state TEXT NOT NULL,
    -- 0 for validations, 1 for all else.
    priority INTEGER NOT NULL,
    reason TEXT,
    message TEXT,
    model_version TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    enqueued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    phase_queue INTEGER NOT NULL DEFAULT 0,
    phase_start INTEGER NOT NULL DEFAULT 0,
    phase_import INTEGER NOT NULL DEFAULT 0,
    phase_run INTEGER NOT NULL DEFAULT 0,
    phase_store INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_queued ON runs (owner_id, priority, enqueued_at, id, cpus, memory_bytes) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (owner_id) WHERE state = 'running';
CREATE INDEX runs_in_flight ON runs (memo_key) WHERE state <> 'finished' AND memo_key IS NOT NULL;
CREATE INDEX runs_times ON runs (version_id, finished_at) WHERE task = 'sim' AND reason = 'SUCCESS';
CREATE INDEX runs_simulation ON runs (simulation_id);

CREATE TABLE outputs (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    filename TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (run_id, kind, position)
) STRICT;
CREATE INDEX outputs_object ON outputs (sha256);

CREATE TABLE memos (
    memo_key TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX memos_run ON memos (run_id);

-- `log_of` is `run/ID` or `build/ID`; a row holds the bytes from `start_at` up to `end_at`.
CREATE TABLE logs (
    log_of TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (log_of, start_at)
) STRICT;
