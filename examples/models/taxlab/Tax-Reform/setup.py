from setuptools import setup

setup(
    name="taxreform",
    version="1.4.0",
    description="Compare a reform of US federal taxes with current law",
    packages=["taxreform"],
    python_requires=">=3.11",
    install_requires=["taxcalc"],
)
