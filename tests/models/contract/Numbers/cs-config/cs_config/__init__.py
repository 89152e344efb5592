"""Compute Studio configuration of a model on NumPy."""
