-- Several servers share a database: which of them has a run or a build.
ALTER TABLE runs ADD COLUMN server INTEGER;
ALTER TABLE builds ADD COLUMN server INTEGER;

-- What was paid for which run, by whom. It stays when the simulation goes.
CREATE TABLE charges (
    run_id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, payer_id TEXT NOT NULL, account_id TEXT NOT NULL,
    model_id TEXT NOT NULL, version_id TEXT NOT NULL, simulation_id TEXT NOT NULL, milliseconds INTEGER NOT NULL,
    cpus REAL NOT NULL, memory_bytes INTEGER NOT NULL, cost REAL NOT NULL
) STRICT;
CREATE INDEX charges_by_payer ON charges (payer_id, at);
CREATE INDEX charges_by_account ON charges (account_id, at);
CREATE INDEX charges_by_time ON charges (at);

INSERT INTO charges (run_id, at, payer_id, account_id, model_id, version_id, simulation_id, milliseconds, cpus, memory_bytes, cost)
    SELECT r.id, COALESCE(s.finished_at, s.created_at), COALESCE(m.sponsor_id, s.owner_id), s.owner_id, s.model_id, r.version_id,
    s.id, s.run_milliseconds, r.cpus, r.memory_bytes, s.cost
    FROM simulations s JOIN runs r ON r.id = s.run_id AND r.simulation_id = s.id JOIN models m ON m.id = s.model_id
    WHERE s.cost > 0.0;

-- What an account may spend in a month.
CREATE TABLE budgets (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE, monthly REAL NOT NULL
) STRICT;
