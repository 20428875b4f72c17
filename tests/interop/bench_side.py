# What lives here: the benchmark models on the side of Keras. `make DIR BENCH` exports them with BENCH/export.py and writes what they predict
# and what their first two training steps lose; `run DIR BENCH BIN` runs keras-bench on all twelve workloads, briefly, and reads its lines.
import json
import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np

SEED = 7
ROWS = 4


def make(folder, bench):
    import keras
    import workloads as w

    subprocess.run([sys.executable, os.path.join(bench, "export.py"), folder], check=True, cwd=bench, stdout=subprocess.DEVNULL)
    for name in sorted(set(w.TRAIN) | set(w.INFER)):
        # Seeds of dropout are drawn as the model is read.
        keras.utils.set_random_seed(SEED)
        model = keras.models.load_model(f"{folder}/{name}.keras")
        _, shape, words = (w.TRAIN.get(name) or w.INFER[name])[:3]
        x = w._seeded(((1 if name in w.INFER and name not in w.TRAIN else ROWS),) + shape, words, seed=3)
        arrays = {"x0": x, "y0": np.asarray(model.predict(x, verbose=0)), "seed": np.asarray(float(SEED))}
        if name in w.TRAIN:
            y = w.train_data(name)[1][:ROWS]
            arrays.update(target0=y, loss=np.asarray([float(model.train_on_batch(x, y)) for _ in range(2)]))
        np.savez(f"{folder}/{name}.npz", **arrays)
        print(name, flush=True)


def run(folder, bench, program):
    import workloads as w

    failed = 0
    jobs = [("train", name, ["--samples", "32", "--batch", "16", "--epochs", "2"]) for name in w.TRAIN] + [("infer", name, ["--batch", "1", "--seconds", "0.1"]) for name in w.INFER]
    for mode, name, sizes in jobs:
        done = subprocess.run([program, mode, name, "--model", f"{folder}/{name}.keras", "--threads", "2", *sizes], capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        line = json.loads(lines[-1]) if lines else {}
        good = line.get("mode") == mode and line.get("workload") == name and line.get("samples_per_s" if mode == "train" else "ms", 0) > 0
        failed += not good
        print(lines[-1] if good else f"FAILED {mode} {name}: {done.stdout[-300:]} {done.stderr[-600:]}", flush=True)
    print(f"{len(jobs) - failed} of {len(jobs)} workloads ran")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    what, folder, bench = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
    sys.path.insert(0, bench)
    make(folder, bench) if what == "make" else run(folder, bench, os.path.join(os.path.abspath(sys.argv[4]), "keras-bench"))
