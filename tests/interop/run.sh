#!/bin/bash
# Exchanges models with Keras itself and with tf-keras, both ways, and compares: run.sh BIN, the folder with integration_test and keras-bench.
# Both come from PyPI into an environment of its own, which is removed again; KERAS_PYTHON names a Python that has them already.
# The benchmark models are compared where ../shared/bench stands beside the project.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${1:?usage: run.sh BIN}" && pwd)
bench=$here/../../../shared/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exchange=$work/exchange
mkdir -p "$exchange"

python=${KERAS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax h5py tensorflow-cpu tf-keras
  python=$work/venv/bin/python
fi
export JAX_PLATFORMS=cpu CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 PYTHONWARNINGS=ignore
# TensorFlow pools channels that come first on the CPU only through oneDNN, which it leaves off by itself on CPUs without AVX-512.
export TF_ENABLE_ONEDNN_OPTS=1
# Matrix products in float32 as on this side, not in reduced precision.
export JAX_DEFAULT_MATMUL_PRECISION=highest

jax() { KERAS_BACKEND=jax "$python" "$here/keras_side.py" "$1" "$exchange" "$2" 2; }
tensorflow() { KERAS_BACKEND=tensorflow "$python" "$here/keras_side.py" "$1" "$exchange" 0 1; }
tf_keras() { KERAS_SIDE=tf-keras KERAS_BACKEND=tensorflow "$python" "$here/keras_side.py" "$1" "$exchange/legacy" 0 1; }
benchmarks() {
  if [ ! -d "$bench" ]; then echo "skipped: the benchmark models, for no folder $bench"; return; fi
  KERAS_BACKEND=jax "$python" "$here/bench_side.py" make "$exchange/bench" "$bench"
}

# Steps one after the other; what they print is shown whole when one fails, and otherwise without the warnings of Python's libraries.
lane() {
  local log=$work/lane.$BASHPID failed=0
  for step in "$@"; do $step >>"$log" 2>&1 || failed=1; done
  if [ $failed = 1 ]; then cat "$log"; else grep -E '^([0-9]+ files|skipped)' "$log" || true; fi
  return $failed
}
# Two lanes, for two processors.
two_lanes() {
  local IFS=, failed=0
  local first=($1) second=($2)
  unset IFS
  lane "${first[@]}" & local a=$!
  lane "${second[@]}" & local b=$!
  wait $a || failed=1
  wait $b || failed=1
  return $failed
}

status=0
two_lanes "jax make 0,tensorflow make" "jax make 1,tf_keras make,benchmarks" || status=1
KERAS_INTEROP="$exchange" "$bin/integration_test" --gtest_filter='Interop.*' || status=1
two_lanes "jax check 0,tensorflow check" "jax check 1,tf_keras check" || status=1
if [ -d "$bench" ]; then "$python" "$here/bench_side.py" run "$exchange/bench" "$bench" "$bin" || status=1; fi
exit $status
