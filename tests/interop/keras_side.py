# What lives here: the Python side of the exchange with Keras itself. `make DIR` writes models of Keras with inputs and what they predict;
# `check DIR` opens the files that the C++ side wrote and compares. Nothing of ours is imported.
import io
import json
import os
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import h5py
import keras
import numpy as np
from keras import layers, ops

RNG = np.random.default_rng(5)


def floats(*shape):
    return RNG.normal(size=shape).astype("float32")


def ints(high, *shape):
    return RNG.integers(0, high, size=shape).astype("int32")


def sequential(*stack, name=None):
    return keras.Sequential(list(stack), name=name)


# ---- the models: name -> (model, inputs)
def models():
    yield "mlp", sequential(keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax", name="head")), [floats(9, 6)]
    yield "regularised", sequential(
        keras.Input((6,)),
        layers.Dense(5, activation="gelu", kernel_regularizer="l2", bias_constraint="non_neg", kernel_initializer="he_normal"),
        layers.Dropout(0.3, seed=3),
        layers.ActivityRegularization(0.1),
        layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2), use_bias=False),
    ), [floats(9, 6)]
    yield "half", sequential(keras.Input((6,)), layers.Dense(4, dtype="bfloat16"), layers.Dense(2, dtype="mixed_bfloat16"), layers.Dense(2, dtype="float32")), [floats(9, 6)]
    yield "deferred", built_later(), [floats(9, 6)]

    x = keras.Input((6,), name="x")
    h = layers.Dense(4, activation="tanh", name="shared")
    y = layers.Add()([h(x), layers.Dense(4)(x)])
    yield "functional", keras.Model(x, [layers.Dense(2, name="a")(y), layers.Dense(3, name="b")(h(x[:, ::-1]))], name="net"), [floats(9, 6)]

    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    encoder = sequential(keras.Input((5,)), layers.Dense(6, activation="relu"), layers.Dense(4), name="encoder")
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, layers.Dense(3)(layers.Activation("swish")(inner_in)), name="inner")
    ea, eb = encoder(a), encoder(b)
    d = ops.abs(inner(ea) - inner(eb))
    yield "siamese", keras.Model([a, b], layers.Dense(1, activation="sigmoid")(d)), [floats(9, 5), floats(9, 5)]
    yield "by_name", keras.Model({"b": b, "a": a}, {"sum": layers.Add(name="s")([ea, eb]), "half": layers.Dense(2, name="h")(ea)}), [floats(9, 5), floats(9, 5)]

    x = keras.Input((5, 4), name="x")
    s = ops.split(x, 2, axis=-1)
    outs = [
        ops.clip(x, 0.0, 1.0) * 2 + ops.sum(x, axis=-1, keepdims=True) + np.ones((4,), "float32"),
        x[:, 1:3, 0],
        ops.where(x > 0, x, 0.0) + ops.einsum("bij,bkj->bik", x, x)[..., :4],
        ops.concatenate([s[1], s[0]], axis=-1),
        keras.activations.relu(ops.cast(x, "float16"), max_value=3.0),
        ops.stack([x, x], axis=1),
        ops.pad(x, ((0, 0), (1, 1), (0, 0))),
        1 / (abs(x) + 5.0) - x**2,
        ops.softmax(ops.reshape(x, (-1, 20))),
        ops.one_hot(ops.argmax(x, axis=-1), 4),
        ops.transpose(ops.expand_dims(x, 1), (0, 2, 1, 3)),
    ]
    yield "ops", keras.Model(x, outs), [floats(3, 5, 4)]

    yield "conv", sequential(
        keras.Input((9, 9, 2)),
        layers.Rescaling(0.5, offset=0.1),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(3, (3, 2), strides=(1, 2), dilation_rate=1, use_bias=False),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ), [floats(5, 9, 9, 2)]
    yield "conv1d", sequential(keras.Input((12, 3)), layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.AveragePooling1D(2), layers.LayerNormalization(), layers.Flatten(), layers.Dense(2)), [floats(5, 12, 3)]
    yield "separable", sequential(keras.Input((8, 8, 3)), layers.SeparableConv2D(4, 3), layers.DepthwiseConv2D(3, depth_multiplier=2), layers.Conv2DTranspose(2, 3, strides=2), layers.ZeroPadding2D(1), layers.Cropping2D(1), layers.UpSampling2D(2), layers.GlobalMaxPooling2D()), [floats(3, 8, 8, 3)]
    yield "reshaping", sequential(keras.Input((4, 6)), layers.Permute((2, 1)), layers.Reshape((3, 8)), layers.Flatten(), layers.RepeatVector(3), layers.Dense(2)), [floats(5, 4, 6)]
    yield "lstm", sequential(keras.Input((7,), dtype="int32"), layers.Embedding(11, 5, mask_zero=True), layers.LSTM(4, return_sequences=True), layers.GRU(3), layers.Dense(2)), [ints(11, 6, 7)]
    yield "bidirectional", sequential(
        keras.Input((7, 3)),
        layers.Masking(0.0),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="concat"),
        layers.Bidirectional(layers.SimpleRNN(3), backward_layer=layers.GRU(3, go_backwards=True), merge_mode="sum"),
        layers.Dense(2),
    ), [floats(6, 7, 3)]
    yield "stacked", sequential(keras.Input((7, 3)), layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True), layers.TimeDistributed(layers.Dense(2, activation="tanh"))), [floats(6, 7, 3)]
    yield "distributed_model", sequential(keras.Input((5, 4)), layers.TimeDistributed(sequential(keras.Input((4,)), layers.Dense(3), layers.Dense(2)))), [floats(6, 5, 4)]
    q, v = keras.Input((5, 8)), keras.Input((6, 8))
    yield "attention", keras.Model([q, v], layers.Attention(use_scale=True)([q, v])), [floats(4, 5, 8), floats(4, 6, 8)]
    yield "additive_attention", keras.Model([q, v], layers.AdditiveAttention()([q, v])), [floats(4, 5, 8), floats(4, 6, 8)]
    yield "mha", keras.Model([q, v], layers.MultiHeadAttention(2, 4, dropout=0.1)(q, v, use_causal_mask=True)), [floats(4, 5, 8), floats(4, 6, 8)]
    a, b = keras.Input((4,)), keras.Input((4,))
    yield "merging", keras.Model([a, b], [layers.Add()([a, b]), layers.Subtract()([a, b]), layers.Multiply()([a, b]), layers.Average()([a, b]), layers.Maximum()([a, b]), layers.Minimum()([a, b]), layers.Concatenate()([a, b]), layers.Dot(axes=1, normalize=True)([a, b])]), [floats(5, 4), floats(5, 4)]
    yield "activations", sequential(keras.Input((6,)), layers.LeakyReLU(0.1), layers.PReLU(), layers.ELU(0.5), layers.ReLU(max_value=2.0), layers.Softmax(), layers.Activation("mish")), [floats(5, 6)]
    yield "norms", sequential(keras.Input((6,)), layers.GroupNormalization(2), layers.UnitNormalization(), layers.RMSNormalization(), layers.LayerNormalization(axis=-1, epsilon=1e-4)), [floats(5, 6)]
    e = keras.Input((6,), dtype="int32")
    h = layers.Embedding(12, 8, mask_zero=True)(e)
    h = layers.Add()([h, layers.MultiHeadAttention(2, 4)(h, h)])
    yield "masked_graph", keras.Model(e, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h)))), [ints(12, 4, 6)]


def built_later():
    m = keras.Sequential([layers.Dense(4, activation="selu"), layers.Dense(2)])
    m.build((None, 6))
    return m


OPTIMIZERS = {
    "mlp": lambda: keras.optimizers.Adam(0.01),
    "regularised": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), momentum=0.9, nesterov=True),
    "conv": lambda: keras.optimizers.AdamW(0.002, weight_decay=0.01, clipnorm=1.0),
    "lstm": lambda: keras.optimizers.RMSprop(0.01, centered=True),
    "siamese": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
    "reshaping": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=8.0),
}


def tensors_of(outputs):
    if isinstance(outputs, dict):
        return [outputs[k] for k in sorted(outputs)]
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def perturb(model):
    for w in model.trainable_weights:
        w.assign(np.asarray(w.value) + 0.1 * np.asarray(floats(*w.shape) if len(w.shape) else floats(1)[0]).astype(np.asarray(w.value).dtype))


def given(model, x):
    if isinstance(model.inputs, list) and isinstance(getattr(model, "_inputs_struct", None), dict):
        return dict(zip(sorted(model._inputs_struct), x))
    return x if len(x) > 1 else x[0]


def make(folder):
    os.makedirs(folder, exist_ok=True)
    for name, model, x in ((n, m, x) for n, m, x in models()):
        perturb(model)
        arrays = {f"x{i}": a for i, a in enumerate(x)}
        # bfloat16 outputs are compared as float32.
        for i, y in enumerate(tensors_of(model.predict(given(model, x), verbose=0))):
            arrays[f"y{i}"] = np.asarray(y, "float32") if np.asarray(y).dtype.name == "bfloat16" else np.asarray(y)
        model.save(f"{folder}/{name}.keras")
        model.save_weights(f"{folder}/{name}.weights.h5")
        with open(f"{folder}/{name}.json", "w") as f:
            f.write(model.to_json())
        if name in OPTIMIZERS:
            target = arrays["y0"] * 0.5 + 0.1
            model.compile(OPTIMIZERS[name](), loss="mse", metrics=["mae"])
            no_dropout(model)
            model.fit(given(model, x), target, epochs=2, batch_size=4, shuffle=False, verbose=0)
            model.save(f"{folder}/{name}_trained.keras")
            more = keras.models.load_model(f"{folder}/{name}_trained.keras").fit(given(model, x), target, epochs=2, batch_size=4, shuffle=False, verbose=0).history
            np.savez(f"{folder}/{name}_trained.npz", target=target, loss=np.asarray(more["loss"]), mae=np.asarray(more["mae"]), **{k: v for k, v in arrays.items() if k[0] == "x"})
        if name not in ("ops", "masked_graph", "siamese", "half", "functional", "lstm"):
            try:
                model.save(f"{folder}/{name}.h5")
                keras.models.load_model(f"{folder}/{name}.h5")
                arrays["h5"] = np.asarray(1)
                arrays["y0_h5"] = np.asarray(tensors_of(model.predict(given(model, x), verbose=0))[0], "float32")
            except Exception:
                if os.path.exists(f"{folder}/{name}.h5"):
                    os.remove(f"{folder}/{name}.h5")
        np.savez(f"{folder}/{name}.npz", **arrays)


# Training goes on from a seed that is not in the file.
def no_dropout(model):
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def close(a, b, what, errors, rtol=1e-4, atol=1e-5):
    a, b = np.asarray(a, "float32"), np.asarray(b, "float32")
    if a.shape != b.shape:
        errors.append(f"{what}: shape {a.shape} instead of {b.shape}")
    elif not np.allclose(a, b, rtol=rtol, atol=atol):
        errors.append(f"{what}: differs by {np.abs(a - b).max()}")


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
        attrs = {} if "/_" in name else {k: str(v) for k, v in node.attrs.items()}
        out[name] = (attrs, node.shape, str(node.dtype), node[()].tobytes()) if isinstance(node, h5py.Dataset) else (attrs,)

    with h5py.File(io.BytesIO(data)) as f:
        f.visititems(visit)
    return out


def check(folder):
    errors = []
    # 1. What the other side read and wrote again must be the same file, but for the date.
    again = f"{folder}/again"
    for file in sorted(os.listdir(again)):
        if not file.endswith(".keras"):
            continue
        theirs, ours = zipfile.ZipFile(f"{folder}/theirs/{file}"), zipfile.ZipFile(f"{again}/{file}")
        if theirs.namelist() != ours.namelist() or any(i.compress_type for i in ours.infolist()):
            errors.append(f"{file}: members {ours.namelist()}")
        a, b = (without_ids(json.loads(z.read("config.json"))) for z in (theirs, ours))
        d = difference(a, b)
        if d:
            errors.append(f"{file}: config.json {d}")
        a, b = (layout(z.read("model.weights.h5")) for z in (theirs, ours))
        for k in sorted(set(a) | set(b)):
            if a.get(k) != b.get(k):
                errors.append(f"{file}: model.weights.h5 {k}: {str(a.get(k))[:150]}, ours {str(b.get(k))[:150]}")
                break
    # 2. Models made there open here and predict the same, in each format.
    ours = f"{folder}/ours"
    count = 0
    for file in sorted(os.listdir(ours)):
        if not file.endswith(".npz"):
            continue
        name, data = file[:-4], np.load(f"{ours}/{file}")
        x = [data[f"x{i}"] for i in range(20) if f"x{i}" in data]
        y = [data[f"y{i}"] for i in range(20) if f"y{i}" in data]
        loaded = {}
        for suffix in ("keras", "h5"):
            if os.path.exists(f"{ours}/{name}.{suffix}"):
                try:
                    loaded[suffix] = keras.models.load_model(f"{ours}/{name}.{suffix}")
                except Exception as e:
                    errors.append(f"ours/{name}.{suffix}: {str(e)[:600]}")
        if os.path.exists(f"{ours}/{name}.json"):
            try:
                with open(f"{ours}/{name}.json") as f:
                    loaded["json"] = keras.models.model_from_json(f.read())
                loaded["json"].load_weights(f"{ours}/{name}.weights.h5")
            except Exception as e:
                errors.append(f"ours/{name}.json: {str(e)[:600]}")
        for suffix, model in loaded.items():
            count += 1
            loose = {"rtol": 2e-2, "atol": 2e-2} if name.startswith("bfloat") else {}
            try:
                for i, (got, want) in enumerate(zip(tensors_of(model.predict(given(model, x), verbose=0)), y)):
                    close(got, want, f"ours/{name}.{suffix} output {i}", errors, **loose)
            except Exception as e:
                errors.append(f"ours/{name}.{suffix}: {str(e)[:600]}")
        if "target" in data and "keras" in loaded:
            more = loaded["keras"].fit(given(loaded["keras"], x), data["target"], epochs=2, batch_size=4, shuffle=False, verbose=0).history
            close(more["loss"], data["loss"], f"ours/{name}.keras trained on, loss", errors, rtol=2e-2 if name.startswith("bfloat") else 1e-3)
    print(f"{count} files of ours opened in Keras {keras.__version__}")
    for e in errors:
        print("FAILED", e)
    sys.exit(1 if errors or not count else 0)


if __name__ == "__main__":
    {"make": lambda d: make(f"{d}/theirs"), "check": check}[sys.argv[1]](sys.argv[2])
