# What lives here: the models of the exchange with Keras itself: one table, a row for each layer family, each optimizer, each form of model.
# A row is a name, a builder, its inputs, and how it is trained; keras_side.py walks the rows, and the C++ side walks the files that they leave.
# `legacy`: also as .h5. `tf`: also with tf-keras (then `keras` is tf-keras; no row that draws random numbers, or that Keras 2 has no words for).
# `tolerance`: of predictions, relative to the largest. `backend`: of Keras, where JAX does something else than what is meant.
import keras
import numpy as np
from keras import layers as L
from keras import optimizers as O

ROWS, BATCH = 8, 4
TABLE = {}


class Row:
    def __init__(self, build, inputs, optimizer=None, loss="mse", train=True, tolerance=1e-5, legacy=False, tf=None, backend="jax"):
        self.build, self.inputs, self.loss, self.train, self.tolerance, self.legacy, self.backend = build, inputs, loss, train, tolerance, legacy, backend
        self.tf = legacy if tf is None else tf
        self.optimizer = optimizer or (lambda: O.Adam(0.01))


def row(name, build, *inputs, **how):
    TABLE[name] = Row(build, inputs, **how)


def floats(*shape, scale=1.0, offset=0.0):
    return lambda rng: (rng.normal(size=(ROWS, *shape)) * scale + offset).astype("float32")


def integers(high, *shape):
    return lambda rng: rng.integers(0, high, size=(ROWS, *shape)).astype("int32")


def chain(name, stack, *inputs, dtype="float32", **how):
    """A Sequential; `stack` makes its layers, so that each call makes new ones."""
    shape = inputs[0](np.random.default_rng(0)).shape[1:]
    row(name, lambda: keras.Sequential([keras.Input(shape, dtype=dtype), *stack()]), *inputs, **how)


# ---- cores, forms of models
chain("mlp", lambda: [L.Dense(5, activation="relu"), L.Dense(3, activation="softmax", name="head")], floats(6), legacy=True)
chain("regularised", lambda: [
    L.Dense(5, activation="gelu", kernel_regularizer="l2", bias_constraint="non_neg", kernel_initializer="he_normal"),
    L.Dropout(0.3, seed=3),
    L.ActivityRegularization(0.1),
    L.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2), use_bias=False, kernel_constraint=keras.constraints.MaxNorm(1.5)),
], floats(6), legacy=True, tf=False)
chain("half", lambda: [L.Dense(4, dtype="bfloat16"), L.Dense(2, dtype="mixed_bfloat16"), L.Dense(2, dtype="float32")], floats(6), tolerance=2e-2)
chain("float16", lambda: [L.Dense(4, dtype="mixed_float16"), L.Dense(2, dtype="float32")], floats(6), tolerance=5e-3)
chain("einsum_dense", lambda: [L.EinsumDense("abc,cd->abd", output_shape=(5, 4), bias_axes="d", activation="relu"), L.EinsumDense("...x,xy->...y", output_shape=2)], floats(5, 6), legacy=True)
chain("frozen", lambda: [L.Dense(5, trainable=False), L.BatchNormalization(trainable=False), L.Dense(3)], floats(6), legacy=True)
chain("core", lambda: [L.Identity(), L.Masking(0.5), L.Activation("tanh"), L.Dense(3)], floats(4, 6), legacy=True)


def deferred():
    m = keras.Sequential([L.Dense(4, activation="selu"), L.Dense(2)])
    m.build((None, 6))
    return m


def functional():
    x = keras.Input((6,), name="x")
    h = L.Dense(4, activation="tanh", name="shared")
    y = L.Add()([h(x), L.Dense(4)(x)])
    return keras.Model(x, [L.Dense(2, name="a")(y), L.Dense(3, name="b")(h(x[:, ::-1]))], name="net")


def towers():
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    encoder = keras.Sequential([keras.Input((5,)), L.Dense(6, activation="relu"), L.Dense(4)], name="encoder")
    return a, b, encoder


def siamese():
    from keras import ops

    a, b, encoder = towers()
    x = keras.Input((4,))
    inner = keras.Model(x, L.Dense(3)(L.Activation("swish")(x)), name="inner")
    d = ops.abs(inner(encoder(a)) - inner(encoder(b)))
    return keras.Model([a, b], L.Dense(1, activation="sigmoid")(d))


def by_name():
    a, b, encoder = towers()
    ea, eb = encoder(a), encoder(b)
    return keras.Model({"b": b, "a": a}, {"sum": L.Add(name="sum")([ea, eb]), "half": L.Dense(2, name="half")(ea)})


def operations():
    from keras import ops

    x = keras.Input((5, 4), name="x")
    s = ops.split(x, 2, axis=-1)
    return keras.Model(x, [
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
    ])


row("deferred", deferred, floats(6), legacy=True)
row("functional", functional, floats(6))
row("siamese", siamese, floats(5), floats(5))
row("by_name", by_name, floats(5), floats(5))
row("ops", operations, floats(5, 4), train=False, tolerance=1e-3)

# ---- convolutions
chain("conv1d", lambda: [L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"), L.Conv1D(6, 2, strides=2, padding="same", groups=2), L.Conv1DTranspose(3, 3, strides=2), L.Flatten(), L.Dense(2)], floats(12, 3), legacy=True)
chain("conv2d", lambda: [L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(6, (3, 2), strides=(1, 2), groups=2, use_bias=False), L.Conv2D(3, 2, dilation_rate=2), L.Conv2DTranspose(2, 3, strides=2, padding="same"), L.Flatten(), L.Dense(2)], floats(9, 9, 2), legacy=True)
chain("conv3d", lambda: [L.Conv3D(3, 2, padding="same"), L.Conv3D(2, (1, 2, 3), strides=(2, 1, 1)), L.Conv3DTranspose(2, 2, strides=2), L.Flatten(), L.Dense(2)], floats(4, 5, 6, 2), legacy=True)
chain("conv_channels_first", lambda: [L.Conv2D(4, 3, data_format="channels_first"), L.MaxPooling2D(2, data_format="channels_first"), L.Flatten(data_format="channels_first"), L.Dense(2)], floats(2, 9, 8), legacy=True)
chain("depthwise", lambda: [L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), L.SeparableConv2D(4, 3, depth_multiplier=2, strides=2), L.GlobalMaxPooling2D(), L.Dense(2)], floats(8, 8, 3), legacy=True)
chain("depthwise1d", lambda: [L.DepthwiseConv1D(3, depth_multiplier=2), L.SeparableConv1D(4, 3, padding="same", activation="relu"), L.GlobalAveragePooling1D(), L.Dense(2)], floats(9, 3), legacy=True)

# ---- pooling, reshaping
chain("pool1d", lambda: [L.MaxPooling1D(2, strides=1, padding="same"), L.AveragePooling1D(3, padding="same"), L.GlobalAveragePooling1D(keepdims=True), L.Dense(2)], floats(9, 3), legacy=True)
chain("pool2d", lambda: [L.MaxPooling2D((2, 3), strides=1), L.AveragePooling2D(2, padding="same"), L.GlobalMaxPooling2D(), L.Dense(2)], floats(9, 8, 3), legacy=True)
chain("pool3d", lambda: [L.MaxPooling3D(2, strides=1), L.AveragePooling3D((1, 2, 2)), L.GlobalAveragePooling3D(), L.Dense(2)], floats(4, 6, 5, 2), legacy=True)
chain("adaptive_pooling", lambda: [L.AdaptiveAveragePooling2D((5, 4)), L.AdaptiveMaxPooling2D((3, 2)), L.Flatten(), L.Dense(2)], floats(9, 8, 3))
chain("reshaping", lambda: [L.Permute((2, 1)), L.Reshape((3, 8)), L.Flatten(), L.RepeatVector(3), L.Dense(2)], floats(4, 6), legacy=True)
chain("space1d", lambda: [L.ZeroPadding1D((1, 2)), L.Cropping1D((0, 1)), L.UpSampling1D(2), L.Flatten(), L.Dense(2)], floats(6, 3), legacy=True)
chain("space2d", lambda: [L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D((1, 2)), L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear"), L.Flatten(), L.Dense(2)], floats(6, 7, 2), legacy=True)
chain("space3d", lambda: [L.ZeroPadding3D(1), L.Cropping3D(((1, 0), (0, 1), (1, 1))), L.UpSampling3D((2, 1, 2)), L.Flatten(), L.Dense(2)], floats(3, 4, 3, 2), legacy=True)

# ---- normalization, regularization, activations
chain("batch_norm", lambda: [L.BatchNormalization(momentum=0.8), L.Conv2D(3, 3), L.BatchNormalization(scale=False, epsilon=1e-4), L.Flatten(), L.Dense(4), L.BatchNormalization(center=False), L.Dense(2)], floats(6, 6, 2), legacy=True)
chain("norms", lambda: [L.Dense(6), L.GroupNormalization(2), L.Dense(6), L.RMSNormalization(), L.Dense(6), L.LayerNormalization(epsilon=1e-4), L.Dense(6), L.UnitNormalization(), L.SpectralNormalization(L.Dense(3), power_iterations=2)], floats(6))
chain("regularization", lambda: [L.Dense(6), L.Dropout(0.3, seed=1), L.GaussianNoise(0.2, seed=2), L.GaussianDropout(0.2, seed=3), L.AlphaDropout(0.2, seed=4), L.ActivityRegularization(0.01, 0.02), L.Dense(2)], floats(6), legacy=True, tf=False)
chain("spatial_dropout", lambda: [L.SpatialDropout1D(0.3, seed=1), L.Reshape((6, 2, 2)), L.SpatialDropout2D(0.3, seed=2), L.Reshape((3, 2, 2, 2)), L.SpatialDropout3D(0.3, seed=3), L.Flatten(), L.Dense(2)], floats(6, 4), legacy=True, tf=False)
chain("activation_layers", lambda: [L.Dense(6), L.LeakyReLU(0.1), L.PReLU(), L.ELU(0.5), L.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.05), L.Softmax(), L.Dense(2)], floats(6), legacy=True)


def every_activation():
    x = keras.Input((6,))
    names = ("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
             "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink")
    return keras.Model(x, L.Dense(2)(L.Concatenate()([L.Dense(4, activation=name)(x) for name in names])))


row("activations", every_activation, floats(6))

# ---- recurrent
chain("simple_rnn", lambda: [L.SimpleRNN(4, return_sequences=True, activation="relu"), L.SimpleRNN(3, go_backwards=True), L.Dense(2)], floats(7, 3), legacy=True)
chain("lstm", lambda: [L.LSTM(4, return_sequences=True), L.LSTM(3, use_bias=False, unit_forget_bias=False, recurrent_activation="softsign"), L.Dense(2)], floats(7, 3), legacy=True)
chain("gru", lambda: [L.GRU(4, return_sequences=True), L.GRU(3, reset_after=False), L.Dense(2)], floats(7, 3), legacy=True)
# (SimpleRNN does not save its seed.)
chain("recurrent_dropout", lambda: [L.LSTM(4, return_sequences=True, dropout=0.2, seed=1), L.GRU(4, return_sequences=True, recurrent_dropout=0.2, seed=2), L.Dense(2)], floats(5, 3), legacy=True, tf=False)
chain("bidirectional", lambda: [
    L.Masking(0.0),
    L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode="concat"),
    L.Bidirectional(L.SimpleRNN(3), backward_layer=L.GRU(3, go_backwards=True), merge_mode="sum"),
    L.Dense(2),
], floats(7, 3), legacy=True)
chain("stacked_cells", lambda: [L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True), L.RNN(L.SimpleRNNCell(3), return_sequences=True), L.TimeDistributed(L.Dense(2, activation="tanh"))], floats(7, 3))
chain("time_distributed_model", lambda: [L.TimeDistributed(keras.Sequential([keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.Dense(2)]))], floats(5, 4))
chain("conv_lstm1d", lambda: [L.ConvLSTM1D(3, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid"), L.ConvLSTM1D(2, 2, recurrent_activation="sigmoid"), L.Flatten(), L.Dense(2)], floats(4, 7, 2), legacy=True)
# (hard_sigmoid, which is the default here, was another function in Keras 2.)
chain("conv_lstm2d", lambda: [L.ConvLSTM2D(3, (3, 2)), L.Flatten(), L.Dense(2)], floats(4, 6, 5, 2), legacy=True, tf=False)
chain("conv_lstm3d", lambda: [L.ConvLSTM3D(2, 2), L.Flatten(), L.Dense(2)], floats(3, 4, 3, 4, 1))
# Keras on JAX forgets states in compiled steps.
row("stateful", lambda: keras.Sequential([keras.Input(batch_shape=(BATCH, 5, 3)), L.LSTM(4, stateful=True, return_sequences=True), L.GRU(3, stateful=True), L.Dense(2)]), floats(5, 3), backend="tensorflow")


def encoder_decoder():
    words, steps = keras.Input((6,), dtype="int32", name="words"), keras.Input((5, 3), name="steps")
    _, h, c = L.LSTM(4, return_state=True)(L.Embedding(13, 5, mask_zero=True)(words))
    return keras.Model([words, steps], L.Dense(1)(L.LSTM(4, return_sequences=True)(steps, initial_state=[h, c])))


row("encoder_decoder", encoder_decoder, integers(13, 6), floats(5, 3))
chain("embedding", lambda: [L.Embedding(11, 5, mask_zero=True), L.LSTM(4), L.Dense(2)], integers(11, 7), dtype="int32", legacy=True)
chain("reversible_embedding", lambda: [L.ReversibleEmbedding(11, 5), L.Dense(2)], integers(11, 7), dtype="int32")


# ---- attention
def attention(make):
    def build():
        q, v = keras.Input((5, 8), name="q"), keras.Input((6, 8), name="v")
        return keras.Model([q, v], L.Dense(2)(make(q, v)))

    return build


row("attention", attention(lambda q, v: L.Attention(use_scale=True, score_mode="concat")([q, v])), floats(5, 8), floats(6, 8))
row("attention_causal", attention(lambda q, v: L.Attention(dropout=0.1, seed=2)([q, v], use_causal_mask=True)), floats(5, 8), floats(6, 8))
row("additive_attention", attention(lambda q, v: L.AdditiveAttention()([q, v])), floats(5, 8), floats(6, 8))
row("mha", attention(lambda q, v: L.MultiHeadAttention(2, 4, dropout=0.1, seed=5)(q, v, use_causal_mask=True)), floats(5, 8), floats(6, 8))
row("mha_options", attention(lambda q, v: L.MultiHeadAttention(2, 3, value_dim=3, output_shape=5, use_bias=False)(q, v)), floats(5, 8), floats(6, 8))
row("gqa", attention(lambda q, v: L.GroupQueryAttention(4, 4, 2)(q, v)), floats(5, 8), floats(6, 8), optimizer=lambda: O.SGD(0.05))


def masked_graph():
    words = keras.Input((6,), dtype="int32", name="words")
    h = L.Embedding(12, 8, mask_zero=True)(words)
    h = L.Add()([h, L.MultiHeadAttention(2, 4)(h, h)])
    return keras.Model(words, L.Dense(2)(L.GlobalAveragePooling1D()(L.LayerNormalization()(h))))


row("masked_graph", masked_graph, integers(12, 6), optimizer=lambda: O.SGD(0.05))


# ---- merging
def merging():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x, y = L.Dense(4)(a), L.Dense(4)(b)
    return keras.Model([a, b], [L.Add()([x, y]), L.Subtract()([x, y]), L.Multiply()([x, y]), L.Average()([x, y]), L.Maximum()([x, y]), L.Minimum()([x, y]), L.Concatenate()([x, y]), L.Dot(axes=1, normalize=True)([x, y])])


row("merging", merging, floats(4), floats(4))


# ---- preprocessing
def adapted(layer, *shape, **how):
    layer.adapt(np.random.default_rng(9).normal(size=(20, *shape), **how).astype("float32"))
    return layer


chain("normalization", lambda: [adapted(L.Normalization(), 6), L.Dense(2)], floats(6))
chain("normalization_given", lambda: [L.Normalization(axis=None, mean=1.5, variance=4.0), L.Dense(2)], floats(6))
chain("rescaling", lambda: [L.Rescaling(0.5, offset=0.1), L.Resizing(5, 7), L.Flatten(), L.Dense(2)], floats(9, 9, 2))
chain("discretization", lambda: [L.Discretization(bin_boundaries=[-1.0, 0.0, 0.5]), L.CategoryEncoding(num_tokens=4, output_mode="multi_hot"), L.Dense(2)], floats(6))
chain("center_crop", lambda: [L.CenterCrop(5, 4), L.Flatten(), L.Dense(2)], floats(9, 8, 2))
chain("spectrograms", lambda: [L.STFTSpectrogram(mode="magnitude", frame_length=32, frame_step=16, fft_length=32), L.Flatten(), L.Dense(2)], floats(128, 1))
chain("mel_spectrogram", lambda: [L.MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8, sampling_rate=1000, max_freq=500.0), L.Flatten(), L.Dense(2)], floats(200))
# Keras looks words and numbers up with TensorFlow, which compiled steps of JAX can't.
chain("integer_lookup", lambda: [L.IntegerLookup(vocabulary=[3, 1, 7], output_mode="multi_hot"), L.Dense(2)], integers(10, 5), dtype="int32", backend="tensorflow")
chain("hashing", lambda: [L.Hashing(num_bins=6, mask_value=2), L.Embedding(6, 3), L.Flatten(), L.Dense(2)], integers(10, 5), dtype="int32", backend="tensorflow", optimizer=lambda: O.SGD(0.1))
# Images stay float numbers of 0 to 255. (RandomGrayscale does not save its seed.)
IMAGE = floats(8, 7, 3, scale=40.0, offset=128.0)
for name, stack in {
    "flip": lambda: [L.RandomFlip(seed=1)],
    "rotation": lambda: [L.RandomRotation(0.2, seed=2)],
    "translation": lambda: [L.RandomTranslation(0.2, 0.3, seed=3)],
    "zoom": lambda: [L.RandomZoom(0.3, seed=4)],
    "contrast": lambda: [L.RandomContrast(0.4, seed=5)],
    "brightness": lambda: [L.RandomBrightness(0.3, seed=6)],
    "hue": lambda: [L.RandomHue(0.3, seed=9)],
    "saturation": lambda: [L.RandomSaturation((0.2, 0.8), seed=10)],
    "posterization": lambda: [L.RandomPosterization(3, seed=12)],
    "erasing": lambda: [L.RandomErasing(0.8, seed=13)],
    "sharpness": lambda: [L.RandomSharpness(0.6, seed=14)],
    "solarization": lambda: [L.Solarization(0.2, 0.4, seed=15)],
    "auto_contrast": lambda: [L.AutoContrast()],
    "color_jitter": lambda: [L.RandomColorJitter(brightness_factor=0.2, contrast_factor=0.2, saturation_factor=(0.3, 0.6), hue_factor=0.2, seed=16)],
    "gaussian_blur": lambda: [L.RandomGaussianBlur(1.0, 3, 1.0, seed=17)],
    "perspective": lambda: [L.RandomPerspective(0.8, 0.4, seed=18)],
    "invert": lambda: [L.RandomInvert(0.5, seed=19)],
    "rand_augment": lambda: [L.RandAugment(num_ops=2, factor=0.4, seed=20)],
}.items():
    chain(f"image_{name}", lambda s=stack: [*s(), L.Rescaling(1 / 127.5, offset=-1.0), L.Flatten(), L.Dense(2)], IMAGE)

# ---- optimizers, with their state
S = O.schedules
OPTIMIZERS = {
    "sgd": lambda: O.SGD(0.1),
    "sgd_nesterov": lambda: O.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: O.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda: O.Adam(0.02, amsgrad=True),
    "adamw": lambda: O.AdamW(0.02, weight_decay=0.05, clipnorm=1.0),
    "adamax": lambda: O.Adamax(0.02),
    "nadam": lambda: O.Nadam(0.02),
    "adagrad": lambda: O.Adagrad(0.1),
    "adadelta": lambda: O.Adadelta(1.0),
    "adafactor": lambda: O.Adafactor(0.05),
    "ftrl": lambda: O.Ftrl(0.1, l1_regularization_strength=0.001),
    "lion": lambda: O.Lion(0.01),
    "lamb": lambda: O.Lamb(0.02),
    "muon": lambda: O.Muon(0.02),
    "schedule_free": lambda: O.ScheduleFreeAdamW(0.02, warmup_steps=3),
    "loss_scale": lambda: O.LossScaleOptimizer(O.Adam(0.02), initial_scale=64.0, dynamic_growth_steps=3),
    "global_clipnorm": lambda: O.SGD(0.5, momentum=0.5, global_clipnorm=0.1),
    "clipvalue": lambda: O.Adam(0.02, clipvalue=0.01),
    "ema": lambda: O.Adam(0.02, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "accumulation": lambda: O.Adam(0.02, gradient_accumulation_steps=2),
    "exponential_decay": lambda: O.SGD(S.ExponentialDecay(0.2, 3, 0.7), momentum=0.9),
    "piecewise": lambda: O.Adam(S.PiecewiseConstantDecay([2, 5], [0.05, 0.02, 0.005])),
    "polynomial": lambda: O.SGD(S.PolynomialDecay(0.2, 5, 0.01, power=2.0)),
    "inverse_time": lambda: O.RMSprop(S.InverseTimeDecay(0.02, 2, 0.5)),
    "cosine": lambda: O.Adam(S.CosineDecay(0.0, 6, warmup_target=0.05, warmup_steps=3)),
    "cosine_restarts": lambda: O.AdamW(S.CosineDecayRestarts(0.05, 3)),
}
# Those that tf.keras reads from .h5 with their state.
KERAS2_OPTIMIZERS = ("sgd", "sgd_nesterov", "rmsprop", "adam", "adamax", "adagrad", "adadelta", "ftrl", "global_clipnorm", "clipvalue", "exponential_decay", "piecewise", "polynomial", "inverse_time")
# (Keras can't write the state of Adafactor as .h5, and can't read Lamb from it.)
for name, optimizer in OPTIMIZERS.items():
    chain(f"optimizer_{name}", lambda: [L.Dense(5, activation="tanh"), L.Dense(3)], floats(6), optimizer=optimizer, legacy=name not in ("adafactor", "lamb"), tf=name in KERAS2_OPTIMIZERS)

# ---- losses and metrics travel in the compile state
for name, activation in {"binary_crossentropy": "sigmoid", "huber": None, "log_cosh": None, "poisson": "softplus", "kl_divergence": "softmax", "categorical_crossentropy": "softmax", "cosine_similarity": None, "tversky": "sigmoid"}.items():
    chain(f"loss_{name}", lambda a=activation: [L.Dense(4, activation=a)], floats(6), loss=name)
