from setuptools import find_packages, setup

setup(name="cs-config", version="1.0.0", packages=find_packages(), python_requires=">=3.8")
