-- Secrets, sealed by a key that is not in here; several versions of each.
CREATE TABLE secrets (
    scope TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, key_id TEXT NOT NULL, sealed BLOB NOT NULL,
    set_by TEXT NOT NULL, set_at INTEGER NOT NULL, PRIMARY KEY (scope, name, version)
) STRICT;
CREATE INDEX secrets_of_key ON secrets (key_id);
-- Who did what with them; `id` sorts by time.
CREATE TABLE secret_events (
    id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, scope TEXT NOT NULL,
    secret TEXT NOT NULL, version INTEGER
) STRICT;
CREATE INDEX secret_events_of_scope ON secret_events (scope, id);
