-- Secrets, sealed by a key that is not in here; several versions of each.
CREATE TABLE secrets (
    scope TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL, key_id TEXT COLLATE "C" NOT NULL, sealed BYTEA NOT NULL,
    set_by TEXT COLLATE "C" NOT NULL, set_at BIGINT NOT NULL, PRIMARY KEY (scope, name, version)
);
CREATE INDEX secrets_of_key ON secrets (key_id);
-- Who did what with them; `id` sorts by time.
CREATE TABLE secret_events (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, at BIGINT NOT NULL, who TEXT COLLATE "C" NOT NULL, action TEXT COLLATE "C" NOT NULL, scope TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL, version BIGINT
);
CREATE INDEX secret_events_of_scope ON secret_events (scope, id);
