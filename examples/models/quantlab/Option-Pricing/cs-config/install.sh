#!/usr/bin/env bash
set -e
conda install -y -c conda-forge "numba=0.68.1" "numpy=2.4.6"
pip install .
