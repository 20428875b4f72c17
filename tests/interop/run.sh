#!/bin/bash
# Exchanges models with Keras itself, both ways: run.sh BIN, the folder with integration_test. Keras comes from PyPI into an environment
# of its own, which is removed again; KERAS_PYTHON names a Python that has Keras 3.15.1 already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${1:?usage: run.sh BIN}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=${KERAS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax h5py
  python=$work/venv/bin/python
fi
export KERAS_BACKEND=jax JAX_PLATFORMS=cpu TF_CPP_MIN_LOG_LEVEL=3 PYTHONWARNINGS=ignore
# Matrix products in float32 as on this side, not in reduced precision.
export JAX_DEFAULT_MATMUL_PRECISION=highest

"$python" "$here/keras_side.py" make "$work/exchange"
KERAS_INTEROP="$work/exchange" "$bin/integration_test" --gtest_filter='Interop.*'
"$python" "$here/keras_side.py" check "$work/exchange"
