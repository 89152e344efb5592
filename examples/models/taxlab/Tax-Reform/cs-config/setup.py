from setuptools import find_packages, setup

setup(
    name="cs-config",
    version="1.4.0",
    description="Compute Studio configuration of the tax reform model",
    packages=find_packages(),
    python_requires=">=3.11",
)
