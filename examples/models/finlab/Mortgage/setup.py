from setuptools import setup

setup(
    name="mortgage",
    version="1.2.0",
    description="Payment schedules of repayment mortgages in whole cents",
    packages=["mortgage"],
    python_requires=">=3.8",
)
