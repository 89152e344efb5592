conda install -y -c conda-forge numpy=2.2
pip install threadpoolctl==3.6.0
