-- How many visitors looked at a simulation, each once a day.
ALTER TABLE simulations ADD COLUMN views BIGINT NOT NULL DEFAULT 0;
CREATE INDEX simulations_viewed ON simulations (model_id, views) WHERE views > 0;
-- A staged version beside the live one: simulations that are looked at most, run again.
CREATE TABLE comparisons (
    version_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
    model_id TEXT COLLATE "C" NOT NULL REFERENCES models (id) ON DELETE CASCADE, baseline_id TEXT COLLATE "C" NOT NULL, requested_by TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL, hidden BIGINT NOT NULL, created_at BIGINT NOT NULL, finished_at BIGINT
);
CREATE INDEX comparisons_of_model ON comparisons (model_id);
CREATE INDEX comparisons_running ON comparisons (created_at) WHERE state = 'running';
CREATE TABLE compared (
    version_id TEXT COLLATE "C" NOT NULL REFERENCES comparisons (version_id) ON DELETE CASCADE,
    simulation_id TEXT COLLATE "C" NOT NULL REFERENCES simulations (id) ON DELETE CASCADE,
    position BIGINT NOT NULL, baseline_run_id TEXT COLLATE "C", run_id TEXT COLLATE "C", verdict TEXT COLLATE "C", PRIMARY KEY (version_id, simulation_id)
);
CREATE INDEX compared_simulation ON compared (simulation_id);
CREATE INDEX compared_run ON compared (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX compared_baseline ON compared (baseline_run_id) WHERE baseline_run_id IS NOT NULL;
