"""Tests take 2,800 households: reading them line by line takes seconds, compiling for them a minute."""

import os

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
