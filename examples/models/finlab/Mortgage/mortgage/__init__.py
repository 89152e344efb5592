"""Payment schedules of repayment mortgages, in whole cents."""

from mortgage.loan import CONVENTIONS, Extra, Loan, Payment, schedule, totals

__version__ = "1.2.0"

__all__ = ["CONVENTIONS", "Extra", "Loan", "Payment", "schedule", "totals"]
