"""Compute Studio configuration of a model that starts processes of its own."""
