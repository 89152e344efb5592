-- Builds of one pull request replace each other; those of pushes have no line.
ALTER TABLE builds ADD COLUMN line TEXT NOT NULL DEFAULT '';
-- Checks that a forge elsewhere is told of; those of builds have the build's identifier.
CREATE TABLE checks (
    id TEXT NOT NULL PRIMARY KEY, model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    repository TEXT NOT NULL, commit_id TEXT NOT NULL, beside TEXT NOT NULL, remote_id TEXT, told TEXT NOT NULL,
    attempts INTEGER NOT NULL, retry_at INTEGER NOT NULL, is_over INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX checks_open ON checks (created_at) WHERE is_over = 0;
CREATE INDEX checks_of_commit ON checks (repository, commit_id);
-- Deliveries of webhooks that were taken.
CREATE TABLE deliveries (key TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE INDEX deliveries_by_age ON deliveries (at);
-- Which workflows may publish in the name of an account.
CREATE TABLE trusts (
    id TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    repository TEXT NOT NULL, repository_key TEXT NOT NULL, reference TEXT NOT NULL, environment TEXT NOT NULL,
    models TEXT NOT NULL, promote INTEGER NOT NULL, repository_id TEXT, created_at INTEGER NOT NULL, last_used_at INTEGER
) STRICT;
CREATE INDEX trusts_of_account ON trusts (account_id);
CREATE INDEX trusts_in_repository ON trusts (repository_key);
