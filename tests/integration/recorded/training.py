# What lives here: small trainings in Python's Keras, recorded as training.json for training_test.cpp, which does the same in C++.
# Usage: KERAS_BACKEND=jax python training.py > training.json
import json
import os

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402

recorded = {}


def some(*shape, k=1.0):
    n = int(np.prod(shape))
    return np.sin(0.7 * k * np.arange(1, n + 1)).astype("float32").reshape(shape)


def classes(n, k):
    return (np.arange(n) * 7 % 11 % k).astype("int32")


def start():
    keras.utils.clear_session()
    keras.utils.set_random_seed(5)


def weights(model):
    return {v.path: [round(float(x), 7) for x in np.asarray(v.value).ravel()[:4]] for v in model.weights}


def record(name, model, history=None, **more):
    entry = {"weights": weights(model), **more}
    if history is not None:
        entry["history"] = history.history
        entry["epoch"] = history.epoch
    recorded[name] = entry


def mlp(**options):
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="tanh", **options), L.Dense(3, activation="softmax")])


SPARSE = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = some(48, 5), classes(48, 3)
w = (np.arange(48) % 4 + 1).astype("float32") / 2


def two_by_two():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    ha = L.Dense(6, activation="relu", name="left")(a)
    hb = L.Dense(6, activation="relu", name="right")(b)
    both = L.Concatenate(name="both")([ha, hb])
    return keras.Model([a, b], [L.Dense(1, activation="sigmoid", name="main")(both), L.Dense(2, name="aux")(L.Add(name="sum")([ha, hb]))])


start()
model = two_by_two()
model.compile(optimizer="adam", loss={"main": "binary_crossentropy", "aux": "mse"}, loss_weights={"main": 1.0, "aux": 0.3},
              metrics={"main": ["accuracy"], "aux": ["mae"]})
xs = {"a": some(40, 4), "b": some(40, 3, k=1.3)}
ys = {"main": classes(40, 2).reshape(40, 1).astype("float32"), "aux": some(40, 2, k=0.4)}
h = model.fit(xs, ys, epochs=3, batch_size=8, validation_split=0.25, verbose=0)
record("several_by_name", model, h, evaluate=model.evaluate(xs, ys, verbose=0, return_dict=True))

start()
model = two_by_two()
model.compile(optimizer="sgd", loss=["mse", "mae"], loss_weights=[0.5, 2.0])
h = model.fit([xs["a"], xs["b"]], [ys["main"], ys["aux"]], epochs=2, batch_size=16, verbose=0)
record("several_by_order", model, h)

start()
model = mlp()
model.compile(optimizer="rmsprop", loss=SPARSE["loss"], metrics=["accuracy"], weighted_metrics=["accuracy"])
h = model.fit(x, y, sample_weight=w, epochs=3, batch_size=16, validation_split=0.25, verbose=0)
record("sample_weight", model, h)

start()
model = mlp()
model.compile(optimizer="sgd", **SPARSE)
h = model.fit(x, y, class_weight={0: 0.5, 1: 2.0, 2: 1.5}, epochs=3, batch_size=16, verbose=0)
record("class_weight", model, h)

start()
model = mlp()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x[:32], y[:32], validation_data=(x[32:], y[32:], w[32:]), validation_freq=2, epochs=4, batch_size=16, verbose=0)
record("validation_data", model, h)

start()
model = mlp(kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02), bias_regularizer="l2", activity_regularizer=keras.regularizers.L2(0.05),
            kernel_constraint=keras.constraints.MaxNorm(0.8), bias_constraint="non_neg")
model.compile(optimizer=keras.optimizers.SGD(0.5), **SPARSE)
h = model.fit(x, y, epochs=3, batch_size=16, verbose=0)
record("regularizers_constraints", model, h)

start()
model = mlp()
model.layers[0].trainable = False
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=2, batch_size=16, verbose=0)
record("frozen", model, h)
model.layers[0].trainable = True
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=2, batch_size=16, verbose=0)
record("unfrozen", model, h)

start()
model = mlp()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=5, initial_epoch=3, batch_size=16, shuffle=False, verbose=0)
record("initial_epoch", model, h)

start()
model = mlp()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=2, steps_per_epoch=2, batch_size=10, verbose=0)
record("steps_per_epoch", model, h)

start()
model = mlp()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=2, shuffle="batch", batch_size=16, verbose=0)
record("shuffle_batch", model, h)

start()
model = mlp()
model.compile(optimizer=keras.optimizers.Adam(0.3), **SPARSE)
stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
h = model.fit(x, y, epochs=20, batch_size=16, validation_split=0.25, callbacks=[stop], verbose=0)
record("early_stopping", model, h, stopped=stop.stopped_epoch)

start()
model = mlp()
model.compile(optimizer=keras.optimizers.SGD(0.4), **SPARSE)
h = model.fit(x, y, epochs=8, batch_size=16, validation_split=0.25, verbose=0,
              callbacks=[keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_lr=0.03)])
record("reduce_lr", model, h)

start()
model = mlp()
model.compile(optimizer=keras.optimizers.SGD(0.4), **SPARSE)
h = model.fit(x, y, epochs=4, batch_size=16, verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)])
record("lr_scheduler", model, h)

start()
model = mlp()
model.compile(optimizer=keras.optimizers.AdamW(keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5), weight_decay=0.02, clipnorm=0.5), **SPARSE)
batches = []
for i in range(4):
    batches.append(model.train_on_batch(x[i * 12:i * 12 + 12], y[i * 12:i * 12 + 12], class_weight={0: 2.0, 1: 1.0, 2: 0.5} if i == 2 else None, return_dict=True))
test = model.test_on_batch(x, y, sample_weight=w, return_dict=True)
record("on_batch", model, batches=batches, test=test)


class Scale(L.Layer):
    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(inputs)))
        return inputs * self.scale


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = L.Dense(8, activation="tanh")
        self.scale = Scale()
        self.drop = L.Dropout(0.25)
        self.last = L.Dense(3, activation="softmax")

    def call(self, inputs, training=False):
        return self.last(self.drop(self.scale(self.first(inputs)), training=training))


start()
model = Net()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.25, verbose=0)
record("subclassed", model, h)

start()
tower = keras.Sequential([keras.Input((5,)), L.Dense(6, activation="relu"), L.BatchNormalization()], name="tower")
left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
distance = L.Subtract(name="distance")([tower(left), tower(right)])
model = keras.Model([left, right], L.Dense(1, activation="sigmoid", name="same")(distance))
model.compile(optimizer=keras.optimizers.SGD(0.2, momentum=0.9), loss="binary_crossentropy")
h = model.fit([x, some(48, 5, k=0.9)], (y == 1).astype("float32").reshape(48, 1), epochs=3, batch_size=16, verbose=0)
record("nested_shared", model, h)

print(json.dumps(recorded, indent=1))
