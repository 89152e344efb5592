-- Builds of one pull request replace each other; those of pushes have no line.
ALTER TABLE builds ADD COLUMN line TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Checks that a forge elsewhere is told of; those of builds have the build's identifier.
CREATE TABLE checks (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    repository TEXT COLLATE "C" NOT NULL, commit_id TEXT COLLATE "C" NOT NULL, beside TEXT COLLATE "C" NOT NULL, remote_id TEXT COLLATE "C", told TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL, retry_at BIGINT NOT NULL, is_over BIGINT NOT NULL, created_at BIGINT NOT NULL
);
CREATE INDEX checks_open ON checks (created_at) WHERE is_over = 0;
CREATE INDEX checks_of_commit ON checks (repository, commit_id);
-- Deliveries of webhooks that were taken.
CREATE TABLE deliveries (key TEXT COLLATE "C" NOT NULL PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX deliveries_by_age ON deliveries (at);
-- Which workflows may publish in the name of an account.
CREATE TABLE trusts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    repository TEXT COLLATE "C" NOT NULL, repository_key TEXT COLLATE "C" NOT NULL, reference TEXT COLLATE "C" NOT NULL, environment TEXT COLLATE "C" NOT NULL,
    models TEXT COLLATE "C" NOT NULL, promote BIGINT NOT NULL, repository_id TEXT COLLATE "C", created_at BIGINT NOT NULL, last_used_at BIGINT
);
CREATE INDEX trusts_of_account ON trusts (account_id);
CREATE INDEX trusts_in_repository ON trusts (repository_key);
