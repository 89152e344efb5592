-- Identifiers are UUIDs, times are microseconds since 1970, flags are 0 or 1, JSON is text, and a `_key` column is a text
-- folded for comparison. Texts sort by code point, as they do in SQLite.

CREATE TABLE accounts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, name_key TEXT COLLATE "C" NOT NULL UNIQUE, email TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" UNIQUE, first_name TEXT COLLATE "C" NOT NULL, last_name TEXT COLLATE "C" NOT NULL, password_hash TEXT COLLATE "C", role TEXT COLLATE "C" NOT NULL,
    is_active BIGINT NOT NULL, created_at BIGINT NOT NULL
);
CREATE TABLE tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, name TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL, hash TEXT COLLATE "C" NOT NULL UNIQUE, created_at BIGINT NOT NULL, expires_at BIGINT, last_used_at BIGINT
);
CREATE INDEX tokens_of_account ON tokens (account_id);
CREATE TABLE sessions (
    hash TEXT COLLATE "C" NOT NULL PRIMARY KEY, account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE TABLE password_resets (
    hash TEXT COLLATE "C" NOT NULL PRIMARY KEY, account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE TABLE models (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, owner_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id), title TEXT COLLATE "C" NOT NULL,
    title_key TEXT COLLATE "C" NOT NULL, oneliner TEXT COLLATE "C" NOT NULL, oneliner_key TEXT COLLATE "C" NOT NULL, description TEXT COLLATE "C" NOT NULL, repo_url TEXT COLLATE "C" NOT NULL,
    repo_tag TEXT COLLATE "C" NOT NULL, cpus DOUBLE PRECISION NOT NULL, memory_gigabytes DOUBLE PRECISION NOT NULL, expected_seconds BIGINT,
    deadline_seconds BIGINT NOT NULL, listed BIGINT NOT NULL, is_public BIGINT NOT NULL, network BIGINT NOT NULL,
    deterministic BIGINT NOT NULL, warm_up BIGINT NOT NULL, status TEXT COLLATE "C" NOT NULL, live_version_id TEXT COLLATE "C",
    latest_tag TEXT COLLATE "C", staging_tag TEXT COLLATE "C", sponsor_id TEXT COLLATE "C" REFERENCES accounts (id) ON DELETE SET NULL, sponsor_message TEXT COLLATE "C",
    last_number BIGINT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (owner_id, title_key)
);
CREATE TABLE model_roles (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, account_id)
);
CREATE TABLE versions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE, digest TEXT COLLATE "C" NOT NULL,
    commit_id TEXT COLLATE "C" NOT NULL, reported TEXT COLLATE "C" NOT NULL, artifact TEXT COLLATE "C" NOT NULL, strategy TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL, UNIQUE (model_id, digest)
);
CREATE TABLE schemas (
    -- `meta_key` is a hash: the values may be longer than an index allows.
    version_id TEXT COLLATE "C" NOT NULL REFERENCES versions (id) ON DELETE CASCADE, meta_key TEXT COLLATE "C" NOT NULL,
    meta_values TEXT COLLATE "C" NOT NULL, meta_parameters TEXT COLLATE "C" NOT NULL, model_parameters TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL,
    PRIMARY KEY (version_id, meta_key)
);
CREATE TABLE builds (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    requested_by TEXT COLLATE "C" NOT NULL REFERENCES accounts (id), source TEXT COLLATE "C" NOT NULL, stage TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C", version_id TEXT COLLATE "C", created_at BIGINT NOT NULL, finished_at BIGINT
);
CREATE INDEX builds_of_model ON builds (model_id, created_at);
CREATE INDEX builds_running ON builds (id) WHERE state = 'running';
CREATE TABLE simulations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id), number BIGINT NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id), title TEXT COLLATE "C" NOT NULL, title_key TEXT COLLATE "C" NOT NULL,
    readme TEXT COLLATE "C" NOT NULL, is_public BIGINT NOT NULL,
    notify BIGINT NOT NULL, status TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C", traceback TEXT COLLATE "C", model_version TEXT COLLATE "C", version_id TEXT COLLATE "C",
    run_milliseconds BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL, phases TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL, expected_at BIGINT, finished_at BIGINT,
    parent_id TEXT COLLATE "C" REFERENCES simulations (id) ON DELETE SET NULL, run_id TEXT COLLATE "C", answered_by TEXT COLLATE "C",
    archived BIGINT NOT NULL, inputs_status TEXT COLLATE "C" NOT NULL, meta_parameters TEXT COLLATE "C" NOT NULL, adjustment TEXT COLLATE "C" NOT NULL,
    errors_warnings TEXT COLLATE "C" NOT NULL, custom_adjustment TEXT COLLATE "C", inputs_traceback TEXT COLLATE "C", client TEXT COLLATE "C" NOT NULL, inputs_run_id TEXT COLLATE "C",
    inputs_version_id TEXT COLLATE "C", UNIQUE (model_id, number)
);
CREATE INDEX simulations_of_owner ON simulations (owner_id, created_at);
CREATE INDEX simulations_of_run ON simulations (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX simulations_of_parse ON simulations (inputs_run_id) WHERE inputs_run_id IS NOT NULL;
CREATE INDEX simulations_of_parent ON simulations (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX simulations_answered ON simulations (answered_by) WHERE answered_by IS NOT NULL;
CREATE TABLE simulation_roles (
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, role TEXT COLLATE "C" NOT NULL,
    -- Whether an invitation brought it, so that it leaves with the author.
    by_invite BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (simulation_id, account_id)
);
CREATE INDEX simulation_roles_of_account ON simulation_roles (account_id);
CREATE TABLE authors (
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, PRIMARY KEY (simulation_id, account_id)
);
CREATE TABLE invites (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, UNIQUE (simulation_id, account_id)
);
CREATE TABLE idempotency (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, client_key TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL,
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE, created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, client_key)
);
-- The queue. `simulation_id` leads: it pays for the run, which others may follow by `simulations.run_id`.
CREATE TABLE runs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, task TEXT COLLATE "C" NOT NULL, model_id TEXT COLLATE "C" NOT NULL, version_id TEXT COLLATE "C" NOT NULL,
    simulation_id TEXT COLLATE "C" NOT NULL, owner_id TEXT COLLATE "C" NOT NULL, arguments TEXT COLLATE "C" NOT NULL, memo_key TEXT COLLATE "C", cpus DOUBLE PRECISION NOT NULL,
    memory_bytes BIGINT NOT NULL, deadline_seconds BIGINT NOT NULL, state TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C", message TEXT COLLATE "C",
    attempt BIGINT NOT NULL, task_rank BIGINT NOT NULL, enqueued_at BIGINT NOT NULL, started_at BIGINT,
    finished_at BIGINT, phases TEXT COLLATE "C" NOT NULL, cancel_requested BIGINT NOT NULL, lease TEXT COLLATE "C", model_version TEXT COLLATE "C"
);
CREATE INDEX runs_queued ON runs (owner_id, task_rank, enqueued_at, id, cpus, memory_bytes) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (owner_id) WHERE state = 'running';
CREATE INDEX runs_memo ON runs (memo_key) WHERE memo_key IS NOT NULL AND task = 'sim';
CREATE INDEX runs_of_simulation ON runs (simulation_id);
CREATE INDEX runs_of_version ON runs (version_id, finished_at) WHERE task = 'sim' AND reason = 'SUCCESS';
CREATE TABLE run_outputs (
    run_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, position BIGINT NOT NULL, title TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL, filename TEXT COLLATE "C" NOT NULL, size BIGINT NOT NULL, sha256 TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, kind, position)
);
CREATE INDEX run_outputs_of_object ON run_outputs (sha256);
CREATE TABLE logs (
    owner TEXT COLLATE "C" NOT NULL, start BIGINT NOT NULL, body BYTEA NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (owner, start)
);
