#!/bin/sh
# Tests bit_axon.batch on a local Ray cluster and on a local Dask cluster of two workers each, with
# a worker that is killed midway. It needs the package and
#   pip install pytest "ray[data]" "dask[distributed,dataframe]"
# It takes a few minutes and is no part of the tests that a change runs.
set -eu
cd "$(dirname "$0")"
exec "${PYTHON:-python3}" -m pytest -q clusters.py "$@"
