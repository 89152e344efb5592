-- A build holds all it needs to be carried out again after the server that was at it has ended.
ALTER TABLE builds ADD COLUMN reason TEXT COLLATE "C" NOT NULL DEFAULT 'request';
ALTER TABLE builds ADD COLUMN ordered TEXT COLLATE "C" NOT NULL DEFAULT '{"source":{"git":{"url":"","reference":""}},"as_of":null,"skip_tests":false,"promote":true,"example":false}';
ALTER TABLE builds ADD COLUMN commit_id TEXT COLLATE "C";
ALTER TABLE builds ADD COLUMN stages TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE builds ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;
UPDATE builds SET state = 'failed', message = 'The server was upgraded during this build; publish again.' WHERE state = 'running';
DROP INDEX builds_running;
CREATE INDEX builds_unfinished ON builds (created_at) WHERE state IN ('queued', 'running');
ALTER TABLE models ADD COLUMN build_limits TEXT COLLATE "C" NOT NULL DEFAULT '{"cpus":2.0,"memory_gigabytes":8.0,"minutes":60}';
-- Which version was live when, so that a roll-back knows where to.
CREATE TABLE promotions (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE, version_id TEXT COLLATE "C" NOT NULL, account_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL, PRIMARY KEY (model_id, at)
);
INSERT INTO promotions (model_id, version_id, account_id, at)
    SELECT id, live_version_id, owner_id, created_at FROM models WHERE live_version_id IS NOT NULL;
