"""Compare a reform of US federal taxes with current law, by way of Tax-Calculator."""

from taxreform.compare import Comparison, compare
from taxreform.households import SAMPLES, households

__version__ = "1.4.0"

__all__ = ["Comparison", "SAMPLES", "compare", "households"]
