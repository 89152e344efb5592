"""The arithmetic of a repayment mortgage.

Sums are `Decimal` and are rounded to the cent wherever money changes hands, so that the principal parts of a schedule add
up to the loan exactly.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import List, NamedTuple, Tuple

CENT = Decimal("0.01")

# How often interest compounds in a year, by what the law or custom of the place is.
CONVENTIONS = {"US": 12, "Canada": 2, "UK": 12}


@dataclass(frozen=True)
class Loan:
    """What the contract says. Rates are percent a year, `amount` and `yearly_fee` money, lengths whole years."""

    amount: Decimal = Decimal(300000)
    years: int = 30
    first_payment: date = date(2027, 1, 1)
    initial_rate: Decimal = Decimal("6.25")
    initial_years: int = 30
    later_rate: Decimal = Decimal("6.25")
    yearly_fee: Decimal = Decimal(0)
    compounding: int = 12


@dataclass(frozen=True)
class Extra:
    """What the borrower pays beyond the contract: `lump_sums[k]` at the end of year k + 1."""

    monthly: Decimal = Decimal(0)
    from_year: int = 1
    lump_sums: Tuple[Decimal, ...] = ()


class Payment(NamedTuple):
    """One row of the schedule; `balance` is what is owed after it."""

    number: int
    due: date
    rate: Decimal
    instalment: Decimal
    interest: Decimal
    principal: Decimal
    extra: Decimal
    fee: Decimal
    balance: Decimal


def schedule(loan: Loan, extra: Extra = Extra()) -> List[Payment]:
    """Write every payment until nothing is owed."""
    rows, balance, instalment = [], _cents(loan.amount), Decimal(0)
    months = loan.years * 12
    for number in range(1, months + 1):
        rate = loan.initial_rate if number <= loan.initial_years * 12 else loan.later_rate
        monthly = monthly_rate(rate, loan.compounding)
        if number == 1 or number == loan.initial_years * 12 + 1:
            instalment = level_instalment(balance, monthly, months - number + 1)
        interest = _cents(balance * monthly)
        last = number == months or balance + interest <= instalment
        paid = balance + interest if last else instalment
        principal = paid - interest
        more = min(_extra_of(extra, number), balance - principal)
        balance -= principal + more
        fee = _cents(loan.yearly_fee) if number % 12 == 0 else _cents(Decimal(0))
        due = _months_later(loan.first_payment, number - 1)
        rows.append(Payment(number, due, rate, paid, interest, principal, more, fee, balance))
        if balance == 0:
            break
    return rows


def monthly_rate(percent: Decimal, compounding: int) -> Decimal:
    """Turn a nominal yearly rate that compounds so many times a year into the equivalent rate of a month."""
    if compounding == 12:
        return percent / 1200
    periods = Decimal(compounding)
    return (1 + percent / 100 / periods) ** (periods / 12) - 1


def level_instalment(balance: Decimal, monthly: Decimal, months: int) -> Decimal:
    """Find the equal instalment that clears the balance, rounded up so that no cent stays owed."""
    if monthly == 0:
        exact = balance / months
    else:
        exact = balance * monthly / (1 - (1 + monthly) ** -months)
    return exact.quantize(CENT, ROUND_UP)


def totals(rows: List[Payment]) -> dict:
    """Add up a schedule: what was paid, and for what."""
    interest = sum(row.interest for row in rows)
    fees = sum(row.fee for row in rows)
    principal = sum(row.principal + row.extra for row in rows)
    return {
        "interest": interest,
        "fees": fees,
        "paid": principal + interest + fees,
        "extra": sum(row.extra for row in rows),
        "payments": len(rows),
        "last": rows[-1].due,
    }


def _extra_of(extra: Extra, number: int) -> Decimal:
    year = (number - 1) // 12 + 1
    sum_now = _cents(extra.monthly) if year >= extra.from_year else _cents(Decimal(0))
    if number % 12 == 0 and year <= len(extra.lump_sums):
        sum_now += _cents(extra.lump_sums[year - 1])
    return sum_now


def _months_later(first: date, months: int) -> date:
    """Keep the day of the month, or take the month's last day where it has no such day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def _cents(sum_of_money: Decimal) -> Decimal:
    return sum_of_money.quantize(CENT, ROUND_HALF_UP)
