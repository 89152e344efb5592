-- Pull requests of the site's own forge. `repository` is a model's identifier, or `publish`.
CREATE TABLE pulls (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY, repository TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL,
    author_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id), title TEXT COLLATE "C" NOT NULL, body TEXT COLLATE "C" NOT NULL, branch TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL, head TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL, checks TEXT COLLATE "C" NOT NULL, skip_tests BIGINT NOT NULL,
    merge TEXT COLLATE "C", outcome TEXT COLLATE "C", revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
    closed_at BIGINT, UNIQUE (repository, number)
);
-- A branch has one that is open.
CREATE UNIQUE INDEX pulls_open ON pulls (repository, branch) WHERE state IN ('open', 'merging');
CREATE INDEX pulls_merging ON pulls (id) WHERE state = 'merging';
