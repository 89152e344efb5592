from setuptools import find_packages, setup

setup(
    name="cs-config",
    version="0.9.2",
    description="Compute Studio configuration of the solar yield model",
    packages=find_packages(),
    python_requires=">=3.11",
)
