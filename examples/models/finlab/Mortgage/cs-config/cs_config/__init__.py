"""Compute Studio configuration of the mortgage model."""
