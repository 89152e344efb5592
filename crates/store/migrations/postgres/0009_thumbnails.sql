-- How it stands with the thumbnail of each output, how often one was begun, and when it is due again.
ALTER TABLE run_outputs ADD COLUMN thumbnail TEXT COLLATE "C" NOT NULL DEFAULT 'wanted';
ALTER TABLE run_outputs ADD COLUMN thumbnail_attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run_outputs ADD COLUMN thumbnail_due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX run_outputs_undrawn ON run_outputs (run_id, position) WHERE thumbnail = 'wanted' AND kind = 'renderable';
CREATE INDEX run_outputs_by_id ON run_outputs (id);
