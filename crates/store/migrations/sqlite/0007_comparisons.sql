-- How many visitors looked at a simulation, each once a day.
ALTER TABLE simulations ADD COLUMN views INTEGER NOT NULL DEFAULT 0;
CREATE INDEX simulations_viewed ON simulations (model_id, views) WHERE views > 0;
-- A staged version beside the live one: simulations that are looked at most, run again.
CREATE TABLE comparisons (
    version_id TEXT NOT NULL PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE, baseline_id TEXT NOT NULL, requested_by TEXT NOT NULL,
    state TEXT NOT NULL, hidden INTEGER NOT NULL, created_at INTEGER NOT NULL, finished_at INTEGER
) STRICT;
CREATE INDEX comparisons_of_model ON comparisons (model_id);
CREATE INDEX comparisons_running ON comparisons (created_at) WHERE state = 'running';
CREATE TABLE compared (
    version_id TEXT NOT NULL REFERENCES comparisons (version_id) ON DELETE CASCADE,
    simulation_id TEXT NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, baseline_run_id TEXT, run_id TEXT, verdict TEXT, PRIMARY KEY (version_id, simulation_id)
) STRICT;
CREATE INDEX compared_simulation ON compared (simulation_id);
CREATE INDEX compared_run ON compared (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX compared_baseline ON compared (baseline_run_id) WHERE baseline_run_id IS NOT NULL;
