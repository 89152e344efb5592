#!/usr/bin/env bash
# Nothing to install: the model needs the standard library alone.
set -e
python --version
