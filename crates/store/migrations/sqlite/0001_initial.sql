-- Identifiers are UUIDs, times are microseconds since 1970, flags are 0 or 1, JSON is text, and a `_key` column is a text
-- folded for comparison.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE, email TEXT NOT NULL,
    email_key TEXT UNIQUE, first_name TEXT NOT NULL, last_name TEXT NOT NULL, password_hash TEXT, role TEXT NOT NULL,
    is_active INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, name TEXT NOT NULL,
    prefix TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER
) STRICT;
CREATE INDEX tokens_of_account ON tokens (account_id);
CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE TABLE password_resets (
    hash TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE models (
    id TEXT NOT NULL PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES accounts (id), title TEXT NOT NULL,
    title_key TEXT NOT NULL, oneliner TEXT NOT NULL, oneliner_key TEXT NOT NULL, description TEXT NOT NULL, repo_url TEXT NOT NULL,
    repo_tag TEXT NOT NULL, cpus REAL NOT NULL, memory_gigabytes REAL NOT NULL, expected_seconds INTEGER,
    deadline_seconds INTEGER NOT NULL, listed INTEGER NOT NULL, is_public INTEGER NOT NULL, network INTEGER NOT NULL,
    deterministic INTEGER NOT NULL, warm_up INTEGER NOT NULL, status TEXT NOT NULL, live_version_id TEXT,
    latest_tag TEXT, staging_tag TEXT, sponsor_id TEXT REFERENCES accounts (id) ON DELETE SET NULL, sponsor_message TEXT,
    last_number INTEGER NOT NULL, created_at INTEGER NOT NULL, UNIQUE (owner_id, title_key)
) STRICT;
CREATE TABLE model_roles (
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, role TEXT NOT NULL,
    PRIMARY KEY (model_id, account_id)
) STRICT;
CREATE TABLE versions (
    id TEXT NOT NULL PRIMARY KEY, model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE, digest TEXT NOT NULL,
    commit_id TEXT NOT NULL, reported TEXT NOT NULL, artifact TEXT NOT NULL, strategy TEXT NOT NULL, state TEXT NOT NULL,
    facts TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (model_id, digest)
) STRICT;
CREATE TABLE schemas (
    -- `meta_key` is a hash: the values may be longer than an index allows.
    version_id TEXT NOT NULL REFERENCES versions (id) ON DELETE CASCADE, meta_key TEXT NOT NULL,
    meta_values TEXT NOT NULL, meta_parameters TEXT NOT NULL, model_parameters TEXT NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (version_id, meta_key)
) STRICT;
CREATE TABLE builds (
    id TEXT NOT NULL PRIMARY KEY, model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    requested_by TEXT NOT NULL REFERENCES accounts (id), source TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL,
    message TEXT, version_id TEXT, created_at INTEGER NOT NULL, finished_at INTEGER
) STRICT;
CREATE INDEX builds_of_model ON builds (model_id, created_at);
CREATE INDEX builds_running ON builds (id) WHERE state = 'running';
CREATE TABLE simulations (
    id TEXT NOT NULL PRIMARY KEY, model_id TEXT NOT NULL REFERENCES models (id), number INTEGER NOT NULL,
    owner_id TEXT NOT NULL REFERENCES accounts (id), title TEXT NOT NULL, title_key TEXT NOT NULL,
    readme TEXT NOT NULL, is_public INTEGER NOT NULL,
    notify INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT, traceback TEXT, model_version TEXT, version_id TEXT,
    run_milliseconds INTEGER NOT NULL, cost REAL NOT NULL, phases TEXT NOT NULL, created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL, expected_at INTEGER, finished_at INTEGER,
    parent_id TEXT REFERENCES simulations (id) ON DELETE SET NULL, run_id TEXT, answered_by TEXT,
    archived INTEGER NOT NULL, inputs_status TEXT NOT NULL, meta_parameters TEXT NOT NULL, adjustment TEXT NOT NULL,
    errors_warnings TEXT NOT NULL, custom_adjustment TEXT, inputs_traceback TEXT, client TEXT NOT NULL, inputs_run_id TEXT,
    inputs_version_id TEXT, UNIQUE (model_id, number)
) STRICT;
CREATE INDEX simulations_of_owner ON simulations (owner_id, created_at);
CREATE INDEX simulations_of_run ON simulations (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX simulations_of_parse ON simulations (inputs_run_id) WHERE inputs_run_id IS NOT NULL;
CREATE INDEX simulations_of_parent ON simulations (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX simulations_answered ON simulations (answered_by) WHERE answered_by IS NOT NULL;
CREATE TABLE simulation_roles (
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, role TEXT NOT NULL,
    -- Whether an invitation brought it, so that it leaves with the author.
    by_invite INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (simulation_id, account_id)
) STRICT;
CREATE INDEX simulation_roles_of_account ON simulation_roles (account_id);
CREATE TABLE authors (
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, PRIMARY KEY (simulation_id, account_id)
) STRICT;
CREATE TABLE invites (
    id TEXT NOT NULL PRIMARY KEY, simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, UNIQUE (simulation_id, account_id)
) STRICT;
CREATE TABLE idempotency (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, client_key TEXT NOT NULL, digest TEXT NOT NULL,
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE, created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, client_key)
) STRICT;
-- The queue. `simulation_id` leads: it pays for the run, which others may follow by `simulations.run_id`.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY, task TEXT NOT NULL, model_id TEXT NOT NULL, version_id TEXT NOT NULL,
    simulation_id TEXT NOT NULL, owner_id TEXT NOT NULL, arguments TEXT NOT NULL, memo_key TEXT, cpus REAL NOT NULL,
    memory_bytes INTEGER NOT NULL, deadline_seconds INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT, message TEXT,
    attempt INTEGER NOT NULL, task_rank INTEGER NOT NULL, enqueued_at INTEGER NOT NULL, started_at INTEGER,
    finished_at INTEGER, phases TEXT NOT NULL, cancel_requested INTEGER NOT NULL, lease TEXT, model_version TEXT
) STRICT;
CREATE INDEX runs_queued ON runs (owner_id, task_rank, enqueued_at, id, cpus, memory_bytes) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (owner_id) WHERE state = 'running';
CREATE INDEX runs_memo ON runs (memo_key) WHERE memo_key IS NOT NULL AND task = 'sim';
CREATE INDEX runs_of_simulation ON runs (simulation_id);
CREATE INDEX runs_of_version ON runs (version_id, finished_at) WHERE task = 'sim' AND reason = 'SUCCESS';
CREATE TABLE run_outputs (
    run_id TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, position INTEGER NOT NULL, title TEXT NOT NULL,
    media_type TEXT NOT NULL, filename TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (run_id, kind, position)
) STRICT;
CREATE INDEX run_outputs_of_object ON run_outputs (sha256);
CREATE TABLE logs (
    owner TEXT NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (owner, start)
) STRICT;
