#!/usr/bin/env bash
# The model needs the standard library alone.
set -e
pip install .
