"""Computes the taxes of all households under current law and under the reform."""

from copy import deepcopy
from dataclasses import dataclass

import pandas as pd
import taxcalc

from taxreform.households import households

BILLION = 1e9
TAXES = {"iitax": "Individual income tax", "payrolltax": "Payroll tax", "combined": "Both"}


@dataclass(frozen=True)
class Comparison:
    """`revenue` has a row for each year and tax (billions of dollars); `groups` tells of the first year."""

    revenue: pd.DataFrame
    groups: pd.DataFrame


def compare(reform, first_year, years, sample, group_by):
    """Compare a checked reform, in Tax-Calculator's own format, with current law."""
    changed = taxcalc.Policy()
    changed.adjust(deepcopy(reform), print_warnings=False)
    data = households(sample)
    law, new = (
        taxcalc.Calculator(
            policy=policy, records=taxcalc.Records.cps_constructor(data=data.copy()), verbose=False
        )
        for policy in (taxcalc.Policy(), changed)
    )
    rows, groups = [], None
    for year in range(first_year, first_year + years):
        for calculator in (law, new):
            calculator.advance_to_year(year)
            calculator.calc_all()
        for name, title in TAXES.items():
            before, after = (one.weighted_total(name) / BILLION for one in (law, new))
            rows.append((year, title, before, after, after - before))
        if groups is None:
            groups = law.difference_table(new, groupby=group_by, tax_to_diff="combined")
    columns = ["year", "tax", "current_law", "reform", "difference"]
    return Comparison(pd.DataFrame(rows, columns=columns), groups)
