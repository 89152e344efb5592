"""Compute Studio configuration of the model that misbehaves on request."""

# Several lines and a newline at the end, as some real models answer.
__version__ = "1.0.0\nbuilt with the standard library\n"
