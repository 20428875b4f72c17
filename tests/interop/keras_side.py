# What lives here: the Python side of the exchange with Keras itself. `make DIR` writes the models of models.py, trained, with what they
# predict and how their training goes on; `check DIR` opens what the C++ side wrote, compares, and trains it on. Nothing of ours is imported.
# Each does the PART-th of PARTS, and of those what is for the backend of Keras (or for tf-keras) that runs: keras_side.py make|check DIR PART PARTS.
import io
import json
import os
import re
import sys
import zipfile
import zlib

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import h5py
import numpy as np

# KERAS_SIDE=tf-keras: Keras 2, which knows .h5 alone.
LEGACY = os.environ.get("KERAS_SIDE") == "tf-keras"
if LEGACY:
    import tf_keras

    sys.modules["keras"] = tf_keras
import keras

BACKEND = "tf-keras" if LEGACY else keras.backend.backend()
FORMAT = "h5" if LEGACY else "keras"

FIT = dict(batch_size=4, epochs=2, shuffle=False, verbose=0)


def tensors_of(outputs):
    if isinstance(outputs, dict):
        return [outputs[k] for k in sorted(outputs)]
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def given(model, x):
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        return dict(zip(sorted(model._inputs_struct), x))
    return list(x) if len(x) > 1 else x[0]


def shaped(model, ys):
    """A list of arrays in the structure of the model's outputs."""
    if isinstance(getattr(model, "_outputs_struct", None), dict):
        return dict(zip(sorted(model._outputs_struct), ys))
    return list(ys) if len(ys) > 1 else ys[0]


def predicted(model, x):
    return [np.asarray(y, "float32") if np.asarray(y).dtype.name == "bfloat16" else np.asarray(y) for y in tensors_of(model.predict(given(model, x), batch_size=FIT["batch_size"], verbose=0))]


def numbered(prefix, arrays):
    return {f"{prefix}{i}": a for i, a in enumerate(arrays)}


def collected(prefix, data):
    return [data[f"{prefix}{i}"] for i in range(100) if f"{prefix}{i}" in data]


# ---- what Keras writes
def make(folder, part, parts):
    from models import TABLE

    os.makedirs(folder, exist_ok=True)
    failed = 0
    for i, (name, row) in enumerate(TABLE.items()):
        if i % parts != part or not (row.tf if LEGACY else row.backend == BACKEND):
            continue
        try:
            make_row(folder, name, row)
        except Exception as e:
            failed += 1
            print(f"FAILED in Keras itself: {name}: {type(e).__name__} {str(e)[:600]}", flush=True)
    sys.exit(1 if failed else 0)


def make_row(folder, name, row):
    from models import ROWS

    rng = np.random.default_rng(zlib.crc32(name.encode()))
    keras.utils.set_random_seed(1)
    model = row.build()
    x = [make_input(rng) for make_input in row.inputs]
    for w in model.trainable_weights:
        w.assign(w.numpy().astype("float32") + 0.1 * rng.normal(size=w.shape).astype("float32"))
    arrays = numbered("x", x)
    targets = []
    if row.train:
        shapes = [(ROWS, *o.shape[1:]) for o in tensors_of(model._outputs_struct if hasattr(model, "_outputs_struct") else model.outputs)]
        targets = [(rng.uniform(size=s) if row.loss != "categorical_crossentropy" else np.eye(s[-1])[rng.integers(0, s[-1], s[0])]).astype("float32") for s in shapes]
        model.compile(row.optimizer(), loss=row.loss, metrics=["mae"] if len(targets) == 1 else None)
        model.fit(given(model, x), shaped(model, targets), **FIT)
    model.save(f"{folder}/{name}.{FORMAT}")
    if not LEGACY:
        model.save_weights(f"{folder}/{name}.weights.h5")
        with open(f"{folder}/{name}.json", "w") as f:
            f.write(model.to_json())
    # What the file holds is what is compared: seeds and states of this model have moved on.
    saved = lambda: keras.models.load_model(f"{folder}/{name}.{FORMAT}")
    arrays.update(numbered("y", predicted(saved(), x)))
    if row.train:
        model = saved()
        arrays.update(numbered("target", targets))
        arrays["loss"] = np.asarray(model.fit(given(model, x), shaped(model, targets), **FIT).history["loss"])
    arrays.update(tolerance=np.asarray(row.tolerance), tensorflow=np.asarray(float(row.backend == "tensorflow")))
    if row.legacy and not LEGACY:
        # Saving so takes the optimizer away from the model.
        saved().save(f"{folder}/{name}.h5")
    np.savez(f"{folder}/{name}.npz", **arrays)


# ---- what the C++ side wrote
def close(a, b, what, errors, tolerance):
    a, b = np.asarray(a, "float32"), np.asarray(b, "float32")
    if a.shape != b.shape:
        errors.append(f"{what}: shape {a.shape} instead of {b.shape}")
        return
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    off = float(np.abs(a - b).max(initial=0)) / scale
    if not off <= tolerance:
        errors.append(f"{what}: differs by {off:.3g}, may by {tolerance:g}")


def without_ids(v):
    if isinstance(v, dict):
        # An array of NumPy comes back as one of the backend.
        return {k: "__tensor__" if e == "__numpy__" else without_ids(e) for k, e in v.items() if k != "shared_object_id"}
    return [without_ids(e) for e in v] if isinstance(v, list) else v


def difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in list(a) + [k for k in b if k not in a]:
            if k not in a or k not in b:
                return f"{path}.{k} is only in {'theirs' if k in a else 'ours'}"
            d = difference(a[k], b[k], f"{path}.{k}")
            if d:
                return d
        return f"{path}: the keys {list(a)} are in another order: {list(b)}" if list(a) != list(b) else None
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{path}: {len(a)} entries, ours {len(b)}"
        for i, (x, y) in enumerate(zip(a, b)):
            d = difference(x, y, f"{path}[{i}]")
            if d:
                return d
        return None
    return None if a == b and type(a) is type(b) else f"{path}: {a!r}, ours {b!r}"


def layout(data):
    out = {}

    def visit(name, node):
        # Layers inside of layers count their names anew when a file is read.
        inner = len(name.rsplit("layers/", 1)[-1].split("/")) > 2
        attrs = {} if "/_" in name else {k: re.sub(r"_\d+$", "", str(v)) if inner else str(v) for k, v in node.attrs.items()}
        if isinstance(node, h5py.Dataset):
            value = node[()].astype("int32") if node.dtype == "int64" else node[()]
            out[name] = (attrs, node.shape, str(value.dtype), value.tobytes())
        else:
            out[name] = (attrs,)

    with h5py.File(io.BytesIO(data)) as f:
        f.visititems(visit)
    return out


def check_again(folder, file, errors):
    """What was read and written again must be the same file, but for the date and TensorFlow's wide count of steps."""
    theirs, ours = zipfile.ZipFile(f"{folder}/theirs/{file}"), zipfile.ZipFile(f"{folder}/again/{file}")
    if theirs.namelist() != ours.namelist() or any(i.compress_type for i in ours.infolist()):
        errors.append(f"{file} written again: members {ours.namelist()}")
    a, b = (without_ids(json.loads(z.read("config.json"))) for z in (theirs, ours))
    d = difference(a, b)
    if d:
        errors.append(f"{file} written again: config.json {d}")
    a, b = (layout(z.read("model.weights.h5")) for z in (theirs, ours))
    for k in sorted(set(a) | set(b)):
        if a.get(k) != b.get(k):
            errors.append(f"{file} written again: model.weights.h5 {k}: {str(a.get(k))[:150]}, ours {str(b.get(k))[:150]}")
            break


def weights_of(model):
    return [w.numpy().astype("float32") for w in model.weights]


def check_ours(folder, name, errors):
    """A file made there opens here, predicts the same in each format, and is trained on alike."""
    at = f"{folder}/ours/{name}"
    data = np.load(f"{at}.npz")
    x, want, targets = collected("x", data), collected("y", data), collected("target", data)
    tolerance = float(data["tolerance"])

    def opened(suffix, how):
        if not os.path.exists(f"{at}.{suffix}"):
            return None
        try:
            return how(f"{at}.{suffix}")
        except Exception as e:
            errors.append(f"ours/{name}.{suffix}: {str(e)[:600]}")
            return None

    def from_json(path):
        with open(path) as f:
            model = keras.models.model_from_json(f.read())
        if not model.built:
            model.build(x[0].shape)
        model.load_weights(f"{at}.weights.h5")
        return model

    count = 0
    load = keras.models.load_model
    for suffix, how in (("h5", load),) if LEGACY else (("keras", load), ("json", from_json), ("h5", load)):
        model = opened(suffix, how)
        if model is None:
            continue
        count += 1
        # One compiled function is enough: the other formats only have to hold the same weights.
        if suffix == FORMAT:
            first = weights_of(model)
            got = predicted(model, x)
            if len(got) != len(want):
                errors.append(f"ours/{name}: {len(got)} outputs instead of {len(want)}")
            for i, (g, y) in enumerate(zip(got, want)):
                close(g, y, f"ours/{name} prediction {i}", errors, tolerance)
        else:
            now = weights_of(model)
            if len(now) != len(first) or any(a.shape != b.shape or not np.array_equal(a, b) for a, b in zip(now, first)):
                errors.append(f"ours/{name}.{suffix}: other weights than in the .keras file")
    if targets and (model := opened(FORMAT, load)) is not None:
        loss = model.fit(given(model, x), shaped(model, targets), **FIT).history["loss"]
        close(loss, data["loss"], f"ours/{name} trained on, loss {loss}, there {data['loss'].tolist()}", errors, max(1e-4, tolerance))
    return count


def check(folder, part, parts):
    errors = []
    count = 0
    if BACKEND == "jax":
        for i, file in enumerate(sorted(f for f in os.listdir(f"{folder}/again") if f.endswith(".keras"))):
            if i % parts == part:
                check_again(folder, file, errors)
    names = sorted(f[:-4] for f in os.listdir(f"{folder}/ours") if f.endswith(".npz"))
    for i, name in enumerate(names):
        backend = "tensorflow" if float(np.load(f"{folder}/ours/{name}.npz")["tensorflow"]) else "jax"
        if i % parts == part and (LEGACY or backend == BACKEND):
            before = len(errors)
            try:
                count += check_ours(folder, name, errors)
            except Exception as e:
                errors.append(f"ours/{name}: {type(e).__name__} {str(e)[:600]}")
            if len(errors) > before:
                print("FAILED", *errors[before:], sep="\n  ", flush=True)
    print(f"{count} files made in C++ opened in {'tf-keras' if LEGACY else 'Keras'} {keras.__version__}, {len(errors)} faults")
    for e in errors:
        if not e.startswith("ours/"):
            print("FAILED", e)
    sys.exit(1 if errors or not count else 0)


if __name__ == "__main__":
    what, folder, part, parts = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if BACKEND == "jax":
        # The check compiles what `make` compiled: the functions of JAX are kept between the two.
        import jax

        jax.config.update("jax_compilation_cache_dir", f"{folder}/compiled")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if what == "make":
        make(f"{folder}/theirs", part, parts)
    else:
        check(folder, part, parts)
