"""Compute Studio configuration of the tax reform model."""
