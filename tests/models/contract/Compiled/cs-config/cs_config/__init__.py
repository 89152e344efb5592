"""Compute Studio configuration of a model whose first run in a process takes long."""
