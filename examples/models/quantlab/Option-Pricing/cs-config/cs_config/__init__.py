"""Compute Studio configuration of the option pricing model."""
