from setuptools import setup

setup(
    name="epidemic",
    version="2.1.0",
    description="Age-structured epidemic with contact measures and vaccination",
    packages=["epidemic"],
    python_requires=">=3.11",
    install_requires=["numpy>=1.20", "scipy>=1.6"],
)
