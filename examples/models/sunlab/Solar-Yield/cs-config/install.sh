#!/usr/bin/env bash
set -e
mamba install -y -c conda-forge pvlib=0.16.1 pandas=3.1.1 numpy=2.4.6 scipy=1.17.1 h5py=3.16.0 \
    bokeh=3.9.2 paramtools=0.20.0 marshmallow=4.4.0
pip install .
