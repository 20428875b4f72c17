# What lives here: whole runs of Python's Keras from a seed, recorded as repro.json for repro_test.cpp, which does the same in C++: initial
# weights, every number of every epoch, final weights. One table; a run is a model, how it is compiled, its data and how it is fitted.
# Usage: KERAS_BACKEND=jax python repro.py [NAME ...] > new.json, then the same with KERAS_BACKEND=tensorflow. Only the runs of that backend
# (and of these names) are made, the others are taken from repro.json as it stands here.
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402
from keras import optimizers as O  # noqa: E402

RUNS = {}
SEED = 17


# ---- data: a recipe that both sides follow, so that no array is stored
def sines(*shape, k=1.0, scale=1.0, offset=0.0):
    return {"kind": "sines", "shape": list(shape), "k": k, "scale": scale, "offset": offset}


def integers(high, *shape):
    return {"kind": "integers", "shape": list(shape), "high": high}


def made(recipe):
    shape = recipe["shape"]
    n = int(np.prod(shape))
    if recipe["kind"] == "integers":
        return ((np.arange(n) * 7 % 101) % recipe["high"]).astype("int32").reshape(shape)
    return (np.sin(0.7 * recipe["k"] * np.arange(1, n + 1)) * recipe["scale"] + recipe["offset"]).astype("float32").reshape(shape)


def run(name, model, x, y=None, optimizer="adam", loss="mse", metrics=None, backend="jax", **fit):
    rows = x[0]["shape"][0] if isinstance(x, list) else x["shape"][0]
    options = dict(batch_size=16, epochs=3)
    options.update(fit)
    RUNS[name] = dict(model=model, x=x if isinstance(x, list) else [x], y=y or sines(rows, 1, k=0.3), optimizer=optimizer, loss=loss, metrics=metrics, backend=backend, fit=options)


def chain(*stack):
    return lambda: keras.Sequential(list(make() if callable(make) and not isinstance(make, L.Layer) else make for make in stack))


# ---- optimizers
def mlp():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="tanh"), L.Dense(3, activation="softmax")])


def optimizer_run(name, optimizer, model=mlp, **fit):
    run(f"optimizer_{name}", model, sines(48, 6), integers(3, 48), optimizer, "sparse_categorical_crossentropy", ["accuracy"], **fit)


S = O.schedules
for name, optimizer in {
    "sgd": lambda: O.SGD(0.1),
    "sgd_momentum": lambda: O.SGD(0.05, momentum=0.9),
    "sgd_nesterov": lambda: O.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: O.RMSprop(0.01),
    "rmsprop_centered": lambda: O.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda: O.Adam(0.02),
    "adam_amsgrad": lambda: O.Adam(0.02, amsgrad=True),
    "adamw": lambda: O.AdamW(0.02, weight_decay=0.05),
    "adamax": lambda: O.Adamax(0.02),
    "nadam": lambda: O.Nadam(0.02),
    "adagrad": lambda: O.Adagrad(0.1),
    "adadelta": lambda: O.Adadelta(1.0),
    "adafactor": lambda: O.Adafactor(0.05),
    "ftrl": lambda: O.Ftrl(0.1, l1_regularization_strength=0.001, l2_regularization_strength=0.01),
    "lion": lambda: O.Lion(0.01),
    "lamb": lambda: O.Lamb(0.02),
    "muon": lambda: O.Muon(0.02),
    "schedule_free": lambda: O.ScheduleFreeAdamW(0.02, warmup_steps=3),
    "loss_scale": lambda: O.LossScaleOptimizer(O.Adam(0.02), initial_scale=64.0, dynamic_growth_steps=4),
    "clipnorm": lambda: O.SGD(0.5, clipnorm=0.1),
    "global_clipnorm": lambda: O.SGD(0.5, global_clipnorm=0.1),
    "clipvalue": lambda: O.Adam(0.02, clipvalue=0.01),
    "ema": lambda: O.Adam(0.02, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=4),
    "ema_at_end": lambda: O.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "accumulation": lambda: O.Adam(0.02, gradient_accumulation_steps=2),
    "weight_decay": lambda: O.RMSprop(0.01, weight_decay=0.02),
    "exponential_decay": lambda: O.SGD(S.ExponentialDecay(0.2, 3, 0.7, staircase=True)),
    "piecewise": lambda: O.Adam(S.PiecewiseConstantDecay([3, 6], [0.05, 0.02, 0.005])),
    "polynomial": lambda: O.SGD(S.PolynomialDecay(0.2, 5, 0.01, power=2.0, cycle=True)),
    "inverse_time": lambda: O.SGD(S.InverseTimeDecay(0.2, 2, 0.5)),
    "cosine_warmup": lambda: O.Adam(S.CosineDecay(0.0, 6, alpha=0.1, warmup_target=0.05, warmup_steps=3)),
    "cosine_restarts": lambda: O.Adam(S.CosineDecayRestarts(0.05, 2, t_mul=2.0, m_mul=0.8)),
}.items():
    optimizer_run(name, optimizer)


# ---- recurrent layers
def rnn(name, *stack, rows=48, **more):
    run(f"rnn_{name}", chain(lambda: keras.Input((7, 4)), *stack, lambda: L.Dense(1)), sines(rows, 7, 4), **more)


rnn("simple", lambda: L.SimpleRNN(5, dropout=0.2, recurrent_dropout=0.1), optimizer="rmsprop")
rnn("lstm", lambda: L.LSTM(5))
rnn("lstm_dropout", lambda: L.LSTM(5, dropout=0.2, recurrent_dropout=0.3), validation_split=0.25)
rnn("lstm_options", lambda: L.LSTM(5, unit_forget_bias=False, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid"))
rnn("gru", lambda: L.GRU(5))
rnn("gru_reset_before", lambda: L.GRU(5, reset_after=False))
rnn("gru_dropout", lambda: L.GRU(5, dropout=0.2, recurrent_dropout=0.3))
rnn("gru_reset_before_dropout", lambda: L.GRU(5, reset_after=False, dropout=0.2, recurrent_dropout=0.3))
rnn("backwards", lambda: L.LSTM(5, go_backwards=True, return_sequences=True), lambda: L.GRU(4, go_backwards=True))
rnn("bidirectional", lambda: L.Bidirectional(L.LSTM(4, return_sequences=True, dropout=0.2)), lambda: L.Bidirectional(L.GRU(3), merge_mode="ave"))
rnn("bidirectional_two", lambda: L.Bidirectional(L.SimpleRNN(3), backward_layer=L.LSTM(3, go_backwards=True), merge_mode="mul"))
rnn("stacked_cells", lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3, dropout=0.2), L.SimpleRNNCell(3)]))
rnn("unrolled", lambda: L.GRU(4, unroll=True, dropout=0.1))
rnn("time_distributed", lambda: L.TimeDistributed(L.Dense(3, activation="tanh")), lambda: L.TimeDistributed(L.Dropout(0.3)), lambda: L.LSTM(3))
rnn("masked", lambda: L.Masking(0.0), lambda: L.LSTM(4, return_sequences=True), lambda: L.GRU(3))
# States between batches: Keras on JAX forgets them in compiled steps, so these are recorded on TensorFlow, from weights that are the same anywhere.
for stateful in (L.LSTM, L.GRU, L.SimpleRNN):
    run(f"rnn_stateful_{stateful.__name__.lower()}",
        chain(lambda: keras.Input(batch_shape=(8, 5, 3)), lambda s=stateful: s(4, stateful=True, kernel_initializer=keras.initializers.Constant(0.3), recurrent_initializer=keras.initializers.Identity(0.5)),
              lambda: L.Dense(1, kernel_initializer="ones")),
        sines(64, 5, 3), backend="tensorflow", batch_size=8, shuffle=False, validation_split=0.25)
run("rnn_conv_lstm1d", chain(lambda: keras.Input((4, 8, 2)), lambda: L.ConvLSTM1D(3, 3, padding="same"), lambda: L.Flatten(), lambda: L.Dense(1)), sines(32, 4, 8, 2))
run("rnn_conv_lstm2d", chain(lambda: keras.Input((4, 6, 5, 2)), lambda: L.ConvLSTM2D(3, 3, dropout=0.2, recurrent_dropout=0.1), lambda: L.Flatten(), lambda: L.Dense(1)), sines(32, 4, 6, 5, 2))
run("rnn_conv_lstm3d", chain(lambda: keras.Input((3, 4, 4, 4, 1)), lambda: L.ConvLSTM3D(2, 2, return_sequences=True), lambda: L.Flatten(), lambda: L.Dense(1)), sines(16, 3, 4, 4, 4, 1))
run("rnn_encoder_decoder", lambda: encoder_decoder(), [integers(13, 48, 6), sines(48, 5, 3)])


def encoder_decoder():
    words, steps = keras.Input((6,), dtype="int32"), keras.Input((5, 3))
    _, h, c = L.LSTM(4, return_state=True)(L.Embedding(13, 5, mask_zero=True)(words))
    return keras.Model([words, steps], L.Dense(1)(L.LSTM(4)(steps, initial_state=[h, c])))


# ---- attention
def attention(layer, value_too=True, **call):
    def model():
        q, v = keras.Input((5, 8)), keras.Input((6, 8))
        made_layer = layer()
        out = made_layer([q, v], **call) if isinstance(made_layer, (L.Attention, L.AdditiveAttention)) else made_layer(q, v, **call)
        return keras.Model([q, v], L.Dense(1)(L.GlobalAveragePooling1D()(L.LayerNormalization()(out))))
    return model


PAIR = [sines(48, 5, 8), sines(48, 6, 8, k=1.3)]
run("attention_mha", attention(lambda: L.MultiHeadAttention(2, 4)), PAIR)
run("attention_mha_dropout", attention(lambda: L.MultiHeadAttention(2, 4, dropout=0.2)), PAIR, validation_split=0.25)
run("attention_mha_causal", attention(lambda: L.MultiHeadAttention(2, 3, use_bias=False, output_shape=5), use_causal_mask=True), PAIR)
run("attention_mha_flash_off", attention(lambda: L.MultiHeadAttention(2, 4, value_dim=4, flash_attention=False)), PAIR)
run("attention_gqa", attention(lambda: L.GroupQueryAttention(4, 4, 2)), PAIR, optimizer="sgd")
run("attention_gqa_dropout", attention(lambda: L.GroupQueryAttention(4, 4, 2, dropout=0.2)), PAIR, optimizer="sgd")
run("attention_dot", attention(lambda: L.Attention(use_scale=True, dropout=0.2)), PAIR)
run("attention_concat", attention(lambda: L.Attention(use_scale=True, score_mode="concat")), PAIR)
run("attention_additive", attention(lambda: L.AdditiveAttention(dropout=0.2)), PAIR)


def transformer():
    words = keras.Input((9,), dtype="int32")
    x = L.Embedding(20, 8, mask_zero=True)(words)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 4, dropout=0.1)(x, x))
    x = L.LayerNormalization()(x + L.Dropout(0.1)(L.Dense(8)(L.Dense(16, activation="gelu")(x))))
    return keras.Model(words, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(x)))


run("attention_transformer", transformer, integers(20, 48, 9), integers(3, 48), loss="sparse_categorical_crossentropy", validation_split=0.25)


# ---- random layers
def noisy(name, shape, *stack, rows=48, **more):
    run(f"random_{name}", chain(lambda: keras.Input(shape), *stack, lambda: L.Flatten(), lambda: L.Dense(1)), sines(rows, *shape), **more)


noisy("dropout", (6,), lambda: L.Dense(8), lambda: L.Dropout(0.4), validation_split=0.25)
noisy("dropout_noise_shape", (5, 6), lambda: L.Dropout(0.4, noise_shape=(None, 1, None)))
noisy("dropout_seeded", (6,), lambda: L.Dropout(0.4, seed=3), lambda: L.Dense(8), lambda: L.Dropout(0.4, seed=3))
noisy("spatial_dropout1d", (6, 4), lambda: L.Conv1D(4, 3), lambda: L.SpatialDropout1D(0.4))
noisy("spatial_dropout2d", (6, 5, 3), lambda: L.SpatialDropout2D(0.4))
noisy("spatial_dropout3d", (3, 4, 3, 4), lambda: L.SpatialDropout3D(0.4))
noisy("gaussian_noise", (6,), lambda: L.GaussianNoise(0.5), lambda: L.Dense(4))
noisy("gaussian_dropout", (6,), lambda: L.GaussianDropout(0.3), lambda: L.Dense(4))
noisy("alpha_dropout", (6,), lambda: L.Dense(8, activation="selu", kernel_initializer="lecun_normal"), lambda: L.AlphaDropout(0.3))
noisy("all_together", (6,), lambda: L.GaussianNoise(0.1), lambda: L.Dense(8), lambda: L.Dropout(0.2), lambda: L.Dense(8), lambda: L.GaussianDropout(0.2), lambda: L.AlphaDropout(0.1), validation_split=0.25)

# Images in 0..255; the layer, then a small head. AugMix is not here: it draws from Python's generator while it is traced, and how often that is
# is the backend's. RandomShear, RandomCrop and RandomElasticTransform are not here: Keras on JAX can't read
# back the first, refuses the second in a step, and can't run the third.
for name, make in {
    "flip": lambda: L.RandomFlip(),
    "flip_horizontal": lambda: L.RandomFlip("horizontal"),
    "rotation": lambda: L.RandomRotation(0.2),
    "rotation_constant": lambda: L.RandomRotation((-0.1, 0.3), fill_mode="constant", fill_value=5.0, interpolation="nearest"),
    "translation": lambda: L.RandomTranslation(0.2, 0.3),
    "zoom": lambda: L.RandomZoom((-0.3, 0.2), (-0.2, 0.3)),
    "contrast": lambda: L.RandomContrast(0.4),
    "brightness": lambda: L.RandomBrightness(0.3),
    "hue": lambda: L.RandomHue(0.3),
    "saturation": lambda: L.RandomSaturation((0.2, 0.8)),
    "grayscale": lambda: L.RandomGrayscale(0.5),
    "posterization": lambda: L.RandomPosterization(3),
    "sharpness": lambda: L.RandomSharpness(0.6),
    "color_jitter": lambda: L.RandomColorJitter(brightness_factor=0.2, contrast_factor=0.2, saturation_factor=(0.3, 0.6), hue_factor=0.2),
    "color_degeneration": lambda: L.RandomColorDegeneration(0.5),
    "invert": lambda: L.RandomInvert(0.5),
    "erasing": lambda: L.RandomErasing(0.8),
    "gaussian_blur": lambda: L.RandomGaussianBlur(1.0, 3, 1.0),
    "perspective": lambda: L.RandomPerspective(0.8, 0.4),
    "solarization": lambda: L.Solarization(0.2, 0.4),
    "rand_augment": lambda: L.RandAugment(num_ops=2, factor=0.4),
}.items():
    run(f"image_{name}", chain(lambda: keras.Input((8, 7, 3)), make, lambda: L.Rescaling(1 / 127.5, offset=-1.0), lambda: L.Flatten(), lambda: L.Dense(1)),
        sines(16, 8, 7, 3, k=0.37, scale=120.0, offset=128.0), batch_size=8, epochs=2, optimizer=lambda: O.SGD(0.01))

# ---- convolution with batch normalization, embedding, other layers with weights
run("conv_batch_norm", chain(lambda: keras.Input((8, 8, 1)), lambda: L.Conv2D(4, 3, padding="same", activation="relu"), lambda: L.BatchNormalization(), lambda: L.MaxPooling2D(), lambda: L.Conv2D(6, 3), lambda: L.Dropout(0.25), lambda: L.Flatten(), lambda: L.Dense(3, activation="softmax")),
    sines(48, 8, 8, 1), integers(3, 48), "rmsprop", "sparse_categorical_crossentropy", ["accuracy"], validation_split=0.25)
run("conv1d", chain(lambda: keras.Input((12, 3)), lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"), lambda: L.BatchNormalization(momentum=0.8), lambda: L.AveragePooling1D(2), lambda: L.SeparableConv1D(4, 3), lambda: L.GlobalMaxPooling1D(), lambda: L.Dense(1)), sines(48, 12, 3), validation_split=0.25)
run("conv3d", chain(lambda: keras.Input((4, 5, 6, 2)), lambda: L.Conv3D(3, 2), lambda: L.BatchNormalization(), lambda: L.Conv3DTranspose(2, 2, strides=2), lambda: L.GlobalAveragePooling3D(), lambda: L.Dense(1)), sines(32, 4, 5, 6, 2))
run("conv_separable", chain(lambda: keras.Input((8, 8, 3)), lambda: L.SeparableConv2D(4, 3, depth_multiplier=2), lambda: L.DepthwiseConv2D(3, depth_multiplier=2), lambda: L.GroupNormalization(2), lambda: L.Conv2DTranspose(2, 3, strides=2), lambda: L.GlobalAveragePooling2D(), lambda: L.Dense(1)), sines(32, 8, 8, 3))
run("embedding", chain(lambda: keras.Input((7,), dtype="int32"), lambda: L.Embedding(11, 5, mask_zero=True), lambda: L.LSTM(4), lambda: L.Dense(1, activation="sigmoid")), integers(11, 48, 7), integers(2, 48, 1), loss="binary_crossentropy", metrics=["accuracy"], validation_split=0.25)
run("norms", chain(lambda: keras.Input((6,)), lambda: L.Dense(8), lambda: L.LayerNormalization(), lambda: L.Dense(8, activation="swish"), lambda: L.RMSNormalization(), lambda: L.Dense(8), lambda: L.UnitNormalization(), lambda: L.SpectralNormalization(L.Dense(4)), lambda: L.PReLU(), lambda: L.Dense(1)), sines(48, 6))
run("einsum_dense", chain(lambda: keras.Input((5, 6)), lambda: L.EinsumDense("abc,cd->abd", output_shape=(5, 4), bias_axes="d", activation="relu"), lambda: L.Flatten(), lambda: L.Dense(1)), sines(48, 5, 6))
run("initializers", lambda: initialized(), sines(48, 6), optimizer="sgd")


def initialized():
    x = h = keras.Input((6,))
    for name in ("glorot_normal", "he_normal", "he_uniform", "lecun_uniform", "random_normal", "random_uniform", "truncated_normal", "variance_scaling", "orthogonal", "identity"):
        h = L.Dense(6, activation="tanh", kernel_initializer=name)(h)
    return keras.Model(x, L.Dense(1)(h))


# ---- weights of classes and samples, splits
def classifier_run(name, **fit):
    run(f"fit_{name}", mlp, sines(50, 6), integers(3, 50), "adam", "sparse_categorical_crossentropy", ["accuracy"], **fit)


classifier_run("class_weight", class_weight={0: 0.5, 1: 2.0, 2: 1.5})
classifier_run("sample_weight", sample_weight=sines(50, scale=0.4, offset=0.6))
classifier_run("both_weights_and_split", class_weight={0: 0.5, 2: 1.5}, sample_weight=sines(50, scale=0.4, offset=0.6), validation_split=0.3)
classifier_run("validation_split", validation_split=0.23)
classifier_run("shuffle_batch", shuffle="batch")
run("fit_regularised", lambda: keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02), activity_regularizer="l2", kernel_constraint="max_norm"), L.Dropout(0.2), L.Dense(1, bias_regularizer="l2", kernel_constraint="unit_norm")]), sines(50, 6), validation_split=0.3)


# ---- recording
def number(v):
    return float(f"{float(v):.9g}")


def first_and_sum(variable):
    value = np.asarray(variable.value)
    return {"path": variable.path, "shape": list(value.shape), "first": [number(v) for v in value.ravel()[:4]], "sum": number(value.astype("float64").sum())}


def record(run):
    keras.utils.clear_session()
    architecture = run["model"]().to_json()
    optimizer = run["optimizer"]() if callable(run["optimizer"]) else run["optimizer"]
    keras.utils.clear_session()
    keras.utils.set_random_seed(SEED)
    model = keras.models.model_from_json(architecture)
    initial = [first_and_sum(v) for v in model.weights]
    model.compile(optimizer=optimizer, loss=run["loss"], metrics=run["metrics"])
    fit = dict(run["fit"])
    if "sample_weight" in fit:
        fit["sample_weight"] = made(fit["sample_weight"])
    x = [made(r) for r in run["x"]]
    history = model.fit(x if len(x) > 1 else x[0], made(run["y"]), verbose=0, **fit)
    return {"backend": run["backend"], "architecture": json.loads(architecture), "compile": model.get_compile_config(), "x": run["x"], "y": run["y"], "fit": run["fit"], "initial": initial,
            "history": {k: [number(v) for v in vs] for k, vs in history.history.items()}, "final": [first_and_sum(v) for v in model.weights]}


def main(names):
    recorded = {}
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "repro.json")
    if os.path.exists(beside):
        with open(beside) as f:
            file = json.load(f)
        recorded = {name: run | {"architecture": file["architectures"][run["architecture"]]} for name, run in file["runs"].items()}
    for name, run in RUNS.items():
        if run["backend"] == keras.backend.backend() and (not names or name in names):
            try:
                recorded[name] = record(run)
                print(name, recorded[name]["history"]["loss"], file=sys.stderr, flush=True)
            except Exception as e:
                print("REFUSED", name, str(e)[:300], file=sys.stderr, flush=True)
    # Many runs share a model: architectures stand once, runs hold their number.
    architectures, runs = [], []
    for name in RUNS:
        if name in recorded:
            architecture = recorded[name]["architecture"]
            if architecture not in architectures:
                architectures.append(architecture)
            runs.append(f"{json.dumps(name)}:{compact(recorded[name] | {'architecture': architectures.index(architecture)})}")
    head = compact({"keras": keras.__version__, "seed": SEED})
    print(head[:-1] + ',"architectures":[\n' + ",\n".join(map(compact, architectures)) + '\n],"runs":{\n' + ",\n".join(runs) + "\n}}")


def compact(v):
    return json.dumps(v, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1:])
