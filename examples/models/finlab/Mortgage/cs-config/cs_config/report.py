"""Turns two schedules into tables, text and CSV."""

import csv
import io
from html import escape

from mortgage import Payment, totals


def outputs(currency, agreed, paid):
    """Make what the page shows and what can be downloaded."""
    return {
        "renderable": [
            {"media_type": "Text", "title": "In short", "data": _in_short(currency, agreed, paid)},
            {
                "media_type": "table",
                "title": "With and without extra payments",
                "data": _comparison(currency, agreed, paid),
            },
            {
                "media_type": "table",
                "title": "Year by year, with extra payments",
                "data": _years(currency, paid),
            },
        ],
        "downloadable": [
            {"media_type": "CSV", "title": "Schedule as agreed", "data": _csv(agreed)},
            {"media_type": "CSV", "title": "Schedule with extra payments", "data": _csv(paid)},
        ],
    }


def _in_short(currency, agreed, paid):
    plain, more = totals(agreed), totals(paid)
    lines = [
        f"As agreed you pay {_money(agreed[0].instalment)} {currency} a month at first, "
        f"{_money(plain['interest'])} {currency} of interest in all, "
        f"and the last payment is due on {plain['last']}.",
    ]
    if len({row.rate for row in agreed}) > 1:
        change = next(row for row in agreed if row.rate != agreed[0].rate)
        lines.append(
            f"When the rate changes to {change.rate} % on {change.due}, "
            f"the instalment becomes {_money(change.instalment)} {currency}."
        )
    if more["extra"]:
        sooner = plain["payments"] - more["payments"]
        lines.append(
            f"Extra payments of {_money(more['extra'])} {currency} save "
            f"{_money(plain['interest'] - more['interest'])} {currency} of interest, "
            f"and the loan ends on {more['last']}, {_span(sooner)}."
        )
    else:
        lines.append("No extra payments were entered.")
    return "\n".join(lines) + "\n"


def _span(months):
    if months == 0:
        return "in the same month as agreed"
    years, months = divmod(months, 12)
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((years, "year"), (months, "month"))
        if count
    ]
    return " and ".join(parts) + " sooner"


def _comparison(currency, agreed, paid):
    plain, more = totals(agreed), totals(paid)
    rows = [
        (f"{label} ({currency})", _money(plain[key]), _money(more[key]), _money(more[key] - plain[key]))
        for label, key in (("Interest", "interest"), ("Fees", "fees"), ("Total paid", "paid"))
    ]
    rows.append(
        (
            "Number of payments",
            str(plain["payments"]),
            str(more["payments"]),
            str(more["payments"] - plain["payments"]),
        )
    )
    rows.append(("Last payment", str(plain["last"]), str(more["last"]), ""))
    return _table(("", "As agreed", "With extra payments", "Difference"), rows)


def _years(currency, paid):
    rows = []
    for start in range(0, len(paid), 12):
        year = paid[start : start + 12]
        rows.append(
            (
                str(start // 12 + 1),
                f"{year[0].due.isoformat()} to {year[-1].due.isoformat()}",
                _money(sum(row.instalment + row.extra + row.fee for row in year)),
                _money(sum(row.interest for row in year)),
                _money(sum(row.principal + row.extra for row in year)),
                _money(year[-1].balance),
            )
        )
    names = ("Year", "Payments", "Paid", "Interest", "Off the balance", "Balance at the end")
    return _table(names[:2] + tuple(f"{name} ({currency})" for name in names[2:]), rows)


def _table(header, rows):
    def cells(tag, texts):
        return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        '<table class="table table-striped">\n'
        f"<thead><tr>{cells('th', header)}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    )


def _csv(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Payment._fields)
    writer.writerows(rows)
    return text.getvalue()


def _money(amount):
    return f"{amount:,.2f}"
