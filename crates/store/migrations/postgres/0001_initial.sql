-- Times are microseconds since 1970, flags are 0 or 1, JSON is text, and a `_key` column is a name folded for comparison.
-- Texts sort by code point, as they do in SQLite.

CREATE TABLE accounts (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    first_name TEXT COLLATE "C" NOT NULL,
    last_name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C",
    role TEXT COLLATE "C" NOT NULL,
    is_active BIGINT NOT NULL,
    -- The row of a removed account stays, without its person, where models and simulations need an owner.
    is_removed BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_name_key ON accounts (name_key);
CREATE UNIQUE INDEX accounts_email_key ON accounts (email_key) WHERE email_key <> '';

CREATE TABLE tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_account ON tokens (account_id);

CREATE TABLE sessions (
    hash TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE password_resets (
    hash TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX password_resets_account ON password_resets (account_id);

CREATE TABLE models (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    title TEXT COLLATE "C" NOT NULL,
    title_key TEXT COLLATE "C" NOT NULL,
    oneliner TEXT COLLATE "C" NOT NULL,
    oneliner_key TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    repo_url TEXT COLLATE "C" NOT NULL,
    repo_tag TEXT COLLATE "C" NOT NULL,
    cpus DOUBLE PRECISION NOT NULL,
    memory_gigabytes DOUBLE PRECISION NOT NULL,
    expected_seconds BIGINT,
    deadline_seconds BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    is_public BIGINT NOT NULL,
    network BIGINT NOT NULL,
    deterministic BIGINT NOT NULL,
    warm_up BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    live_version TEXT COLLATE "C",
    latest_tag TEXT COLLATE "C",
    staging_tag TEXT COLLATE "C",
    sponsor_id TEXT COLLATE "C" REFERENCES accounts (id) ON DELETE SET NULL,
    sponsor_message TEXT COLLATE "C",
    -- Numbers are given out under the lock of this row, so that they have no gaps.
    last_number BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX models_title_key ON models (owner_id, title_key);
CREATE INDEX models_created ON models (created_at);

CREATE TABLE model_roles (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, account_id)
);
CREATE INDEX model_roles_account ON model_roles (account_id);

CREATE TABLE versions (
    id TEXT COLLATE "C" PRIMARY KEY,
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    digest TEXT COLLATE "C" NOT NULL,
    source_commit TEXT COLLATE "C" NOT NULL,
    reported TEXT COLLATE "C" NOT NULL,
    artifact TEXT COLLATE "C" NOT NULL,
    strategy TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX versions_digest ON versions (model_id, digest);

CREATE TABLE schemas (
    version_id TEXT COLLATE "C" NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    -- SHA-256 of the canonical values: the values themselves may be longer than an index allows.
    meta_hash TEXT COLLATE "C" NOT NULL,
    meta_values TEXT COLLATE "C" NOT NULL,
    meta_parameters TEXT COLLATE "C" NOT NULL,
    model_parameters TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (version_id, meta_hash)
);

CREATE TABLE builds (
    id TEXT COLLATE "C" PRIMARY KEY,
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    requested_by TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C",
    version_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX builds_model ON builds (model_id, created_at);
CREATE INDEX builds_running ON builds (created_at) WHERE state = 'running';

CREATE TABLE simulations (
    id TEXT COLLATE "C" PRIMARY KEY,
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    title TEXT COLLATE "C" NOT NULL,
    title_key TEXT COLLATE "C" NOT NULL,
    readme TEXT COLLATE "C" NOT NULL,
    is_public BIGINT NOT NULL,
    notify_on_completion BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    traceback TEXT COLLATE "C",
    model_version TEXT COLLATE "C",
    version_id TEXT COLLATE "C",
    run_milliseconds BIGINT NOT NULL DEFAULT 0,
    cost DOUBLE PRECISION NOT NULL DEFAULT 0,
    phase_queue BIGINT NOT NULL DEFAULT 0,
    phase_start BIGINT NOT NULL DEFAULT 0,
    phase_import BIGINT NOT NULL DEFAULT 0,
    phase_run BIGINT NOT NULL DEFAULT 0,
    phase_store BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    expected_at BIGINT,
    finished_at BIGINT,
    parent_id TEXT COLLATE "C" REFERENCES simulations (id) ON DELETE SET NULL,
    -- The `sim` run it follows; several may follow one.
    run_id TEXT COLLATE "C",
    -- The run whose outputs it shows: the one it followed, one that answered it, or its parent's.
    results_run TEXT COLLATE "C",
    answered_by TEXT COLLATE "C",
    archived BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX simulations_number ON simulations (model_id, number);
CREATE INDEX simulations_owner ON simulations (owner_id, created_at);
CREATE INDEX simulations_created ON simulations (created_at);
CREATE INDEX simulations_run ON simulations (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX simulations_results ON simulations (results_run) WHERE results_run IS NOT NULL;
CREATE INDEX simulations_parent ON simulations (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE inputs (
    simulation_id TEXT COLLATE "C" PRIMARY KEY REFERENCES simulations (id) ON DELETE CASCADE,
    status TEXT COLLATE "C" NOT NULL,
    meta_parameters TEXT COLLATE "C" NOT NULL,
    adjustment TEXT COLLATE "C" NOT NULL,
    errors_warnings TEXT COLLATE "C" NOT NULL,
    custom_adjustment TEXT COLLATE "C",
    traceback TEXT COLLATE "C",
    client TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    version_id TEXT COLLATE "C"
);

CREATE TABLE simulation_roles (
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    -- Whether an invitation brought it, so that it leaves with the author.
    by_invite BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (simulation_id, account_id)
);
CREATE INDEX simulation_roles_account ON simulation_roles (account_id);

CREATE TABLE authors (
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (simulation_id, account_id)
);
CREATE INDEX authors_account ON authors (account_id);

CREATE TABLE invites (
    id TEXT COLLATE "C" PRIMARY KEY,
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX invites_account ON invites (simulation_id, account_id);
CREATE INDEX invites_of_account ON invites (account_id);

CREATE TABLE idempotency_keys (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    request_key TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    simulation_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, request_key)
);
CREATE INDEX idempotency_simulation ON idempotency_keys (simulation_id);

-- The queue. `simulation_id` is the simulation that leads; it may be gone when the run still answers others.
CREATE TABLE runs (
    id TEXT COLLATE "C" PRIMARY KEY,
    task TEXT COLLATE "C" NOT NULL,
    model_id TEXT COLLATE "C" NOT NULL,
    version_id TEXT COLLATE "C" NOT NULL,
    simulation_id TEXT COLLATE "C" NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL,
    arguments TEXT COLLATE "C" NOT NULL,
    memo_key TEXT COLLATE "C",
    cpus DOUBLE PRECISION NOT NULL,
    memory_bytes BIGINT NOT NULL,
    deadline_seconds BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    -- 0 for validations, 1 for all else.
    priority BIGINT NOT NULL,
    reason TEXT COLLATE "C",
    message TEXT COLLATE "C",
    model_version TEXT COLLATE "C",
    attempt BIGINT NOT NULL DEFAULT 0,
    lease TEXT COLLATE "C",
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    enqueued_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    phase_queue BIGINT NOT NULL DEFAULT 0,
    phase_start BIGINT NOT NULL DEFAULT 0,
    phase_import BIGINT NOT NULL DEFAULT 0,
    phase_run BIGINT NOT NULL DEFAULT 0,
    phase_store BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX runs_queued ON runs (owner_id, priority, enqueued_at, id, cpus, memory_bytes) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (owner_id) WHERE state = 'running';
CREATE INDEX runs_in_flight ON runs (memo_key) WHERE state <> 'finished' AND memo_key IS NOT NULL;
CREATE INDEX runs_times ON runs (version_id, finished_at) WHERE task = 'sim' AND reason = 'SUCCESS';
CREATE INDEX runs_simulation ON runs (simulation_id);

CREATE TABLE outputs (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    filename TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, kind, position)
);
CREATE INDEX outputs_object ON outputs (sha256);

CREATE TABLE memos (
    memo_key TEXT COLLATE "C" PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX memos_run ON memos (run_id);

-- `log_of` is `run/ID` or `build/ID`; a row holds the bytes from `start_at` up to `end_at`.
CREATE TABLE logs (
    log_of TEXT COLLATE "C" NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    body BYTEA NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (log_of, start_at)
);
