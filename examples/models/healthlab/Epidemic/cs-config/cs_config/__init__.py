"""Compute Studio configuration of the epidemic model."""
