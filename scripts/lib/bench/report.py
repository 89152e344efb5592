"""What was measured, beside what it has to be."""

import json
import math
import sys


def say(text):
    """Tell what happens, on stderr: stdout has the table alone."""
    print(text, file=sys.stderr, flush=True)


def percentile(values, part):
    """The smallest value that so great a part of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


class Rows:
    """The measurements of one part."""

    def __init__(self, part):
        self.part = part
        self.rows = []
        self.problem = None

    def add(self, what, value, unit="", beside=None, at_most=None, at_least=None):
        """Note a value; `beside` is what it is compared with, as (name, value)."""
        holds = None
        if at_most is not None:
            holds = value <= at_most
        elif at_least is not None:
            holds = value >= at_least
        row = {"part": self.part, "what": what, "value": value, "unit": unit, "at_most": at_most, "at_least": at_least}
        row |= {"holds": holds, "beside": beside and beside[0], "beside_value": beside and beside[1]}
        self.rows.append(row)
        say("   " + "  ".join(cell for cell in cells(row)[1:] if cell))

    def failed(self, why):
        """Note that the part could not be measured to its end."""
        self.problem = why
        say(f"{self.part}: {why}")


def number(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row):
    bound, holds = "", ""
    if row["holds"] is not None:
        sign, limit = ("<=", row["at_most"]) if row["at_most"] is not None else (">=", row["at_least"])
        bound, holds = f"{sign} {number(limit)}", "holds" if row["holds"] else "MISSED"
    beside, ratio = "", ""
    if row["beside"]:
        beside = f"{row['beside']}: {number(row['beside_value'])}"
        if row["beside_value"]:
            ratio = f"x {row['value'] / row['beside_value']:.2f}"
    return [row["part"], row["what"], f"{number(row['value'])} {row['unit']}".strip(), beside, ratio, bound, holds]


def table(parts):
    """Print every row, and what could not be measured."""
    lines = [["PART", "MEASURE", "VALUE", "BESIDE IT", "RATIO", "MUST BE", ""]]
    for part in parts:
        lines += [cells(row) for row in part.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for part in parts:
        if part.problem:
            print(f"{part.part} was not measured to its end: {part.problem}")
    judged = [row["holds"] for part in parts for row in part.rows if row["holds"] is not None]
    print(f"{sum(judged)} of {len(judged)} bounds hold", flush=True)


def write(file, parts):
    """Write the rows as JSON."""
    rows = [row for part in parts for row in part.rows]
    problems = {part.part: part.problem for part in parts if part.problem}
    file.write_text(json.dumps({"rows": rows, "problems": problems}, indent=1) + "\n")
