"""The households: a sample of the survey that Tax-Calculator ships."""

from functools import lru_cache
from pathlib import Path

import pandas as pd
import taxcalc

# One household in so many.
SAMPLES = {"1 %": 100, "2 %": 50, "5 %": 20, "20 %": 5, "100 %": 1}


@lru_cache(maxsize=1)
def households(sample):
    """Take every nth household in order of income, so that each income group keeps its share."""
    survey = pd.read_csv(Path(taxcalc.__path__[0]) / "cps.csv.gz")
    step = SAMPLES[sample]
    if step == 1:
        return survey
    income = survey["e00200"] + survey["e00900"] + survey["e02100"] + survey["e01500"] + survey["e00300"]
    in_order = income.sort_values(kind="stable").index
    return survey.loc[sorted(in_order[step // 2 :: step])]
