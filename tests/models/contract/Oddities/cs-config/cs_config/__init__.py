"""Compute Studio configuration of a model with every oddity of real ones."""
