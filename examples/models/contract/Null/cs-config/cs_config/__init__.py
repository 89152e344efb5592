"""Compute Studio configuration of the null model."""

__version__ = "1.0.0"
