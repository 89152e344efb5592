"""What `run_model` shows: titles, tables and plots as real models make them."""

import json

PROSE = """<h3>Results</h3>
<p>All amounts are in <b>billions</b>.<br>Negative ones are <code>losses</code>.</p>
<details><summary>Details</summary><pre>year  revenue
2026   1234.5</pre></details>
<table class="table table-striped table-hover text-right">
<thead><tr><th>Year</th><th>Revenue</th></tr></thead><tbody><tr><td>2026</td><td>1,234.5</td></tr></tbody></table>
"""

TITLES = (
    "",
    "Revenue",
    "Revenue",
    "Tax liability: baseline (current law) and reform, in $",
    "revenue.csv",
    "Change in after-tax income by expanded-income percentile, for all tax units of the whole population in the year 2026 (mean)",
)


def old_plot(points):
    """A document of bokeh 2.4: its version is inside, models are listed apart."""
    source = {"id": "1002", "type": "ColumnDataSource", "attributes": {"data": {"x": points}}}
    roots = {"references": [source], "root_ids": ["1002"]}
    return {"target_id": None, "root_id": "1002", "doc": {"roots": roots, "title": "", "version": "2.4.3"}}


def new_plot(points, version):
    """A document of bokeh 3: its version is beside it as well."""
    root = {"type": "object", "name": "Figure", "id": "p1001", "attributes": {"x": points}}
    document = {"version": version, "title": "", "roots": [root]}
    return {"target_id": None, "root_id": "p1001", "doc": document, "version": version}


def output(media_type, title, data):
    """Make one output."""
    return {"media_type": media_type, "title": title, "data": data}


def result(given, count):
    """Show what was given, prose, plots of three releases of bokeh, and titles as people write them."""
    points = [index % 1000 / 8 for index in range(count)]
    return {
        "renderable": [
            output("Text", "Echo", json.dumps(given, sort_keys=True)),
            output("table", "Summary", PROSE),
            output("bokeh", "Plot of 2.4", old_plot(points)),
            output("bokeh", "Plot of 3.3", new_plot(points, "3.3.4")),
            output("bokeh", "Plot of 3.9", new_plot(points, "3.9.0")),
            output("table", "Revenue", "<table><tr><td>1</td></tr></table>"),
        ],
        "downloadable": [output("CSV", title, f"n\n{place}\n") for place, title in enumerate(TITLES)],
    }
