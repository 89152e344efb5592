#!/usr/bin/env bash
# NumPy and SciPy come from conda-forge, the rest from PyPI, in the versions that the results were made with.
set -e
conda install -y -c conda-forge "numpy>=1.20" "scipy>=1.6" pip
pip install -r requirements.txt
pip install .
