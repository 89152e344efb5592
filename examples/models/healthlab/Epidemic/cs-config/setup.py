from setuptools import find_packages, setup

setup(
    name="cs-config",
    version="2.1.0",
    description="Compute Studio configuration of the epidemic model",
    packages=find_packages(),
    python_requires=">=3.11",
)
