"""Compute Studio configuration of the solar yield model."""
