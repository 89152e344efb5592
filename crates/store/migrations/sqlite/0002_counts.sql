-- Simulations and users of a model are counted from the index alone.
CREATE INDEX simulations_of_model ON simulations (model_id, owner_id);
