"""Compute Studio configuration of a model whose random generator is made at import."""
