-- Pull requests of the site's own forge. `repository` is a model's identifier, or `publish`.
CREATE TABLE pulls (
    id TEXT NOT NULL PRIMARY KEY, repository TEXT NOT NULL, number INTEGER NOT NULL,
    author_id TEXT NOT NULL REFERENCES accounts (id), title TEXT NOT NULL, body TEXT NOT NULL, branch TEXT NOT NULL,
    target TEXT NOT NULL, head TEXT NOT NULL, state TEXT NOT NULL, checks TEXT NOT NULL, skip_tests INTEGER NOT NULL,
    merge TEXT, outcome TEXT, revision INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    closed_at INTEGER, UNIQUE (repository, number)
) STRICT;
-- A branch has one that is open.
CREATE UNIQUE INDEX pulls_open ON pulls (repository, branch) WHERE state IN ('open', 'merging');
CREATE INDEX pulls_merging ON pulls (id) WHERE state = 'merging';
