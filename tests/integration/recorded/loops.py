# What lives here: trainings in Python's Keras from generators and datasets, through callbacks, steps of one's own and all forms of losses and
# metrics, recorded as loops.json for loops_test.cpp, which does the same in C++.
# Usage: KERAS_BACKEND=jax python loops.py > loops.json
import json
import os
import tempfile
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402

warnings.simplefilter("ignore")
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
    return [[round(float(x), 7) for x in np.asarray(v.value).ravel()[:4]] for v in model.weights]


def record(name, model, history=None, **more):
    entry = {"weights": weights(model), **more}
    if history is not None:
        entry["history"] = history.history
        entry["epoch"] = history.epoch
    recorded[name] = entry


def mlp():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="tanh"), L.Dense(3, activation="softmax")])


SPARSE = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = some(48, 5), classes(48, 3)
w = (np.arange(48) % 4 + 1).astype("float32") / 2


class Events(keras.callbacks.Callback):
    """Every hook with its number and the names of its logs."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def _note(self, hook, at, logs):
        self.seen.append(f"{hook} {'' if at is None else at}[{','.join(logs or {})}]")

    def set_model(self, model):
        super().set_model(model)
        self.seen.append("set_model")

    def set_params(self, params):
        super().set_params(params)
        self.seen.append(f"set_params {params['epochs']} {params['steps'] or 0} {params['verbose']}")


for hook in ["on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"]:
    setattr(Events, hook, lambda self, logs=None, hook=hook: self._note(hook, None, logs))
for hook in ["on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end",
             "on_predict_batch_begin", "on_predict_batch_end"]:
    setattr(Events, hook, lambda self, at, logs=None, hook=hook: self._note(hook, at, logs))


def batches_of(size, n=48, forever=False):
    while True:
        for i in range(0, n, size):
            yield x[i:min(i + size, n)], y[i:min(i + size, n)]
        if not forever:
            return


class Rows(keras.utils.PyDataset):
    def __init__(self, size=12, n=48, endless=False, weighted=False, **options):
        super().__init__(**options)
        self.size, self.n, self.endless, self.weighted = size, n, endless, weighted
        self.seen = []

    @property
    def num_batches(self):
        return None if self.endless else -(-self.n // self.size)

    def __getitem__(self, i):
        self.seen.append(str(i))
        i = i % -(-self.n // self.size)
        at = slice(i * self.size, min(i * self.size + self.size, self.n))
        return (x[at], y[at], w[at]) if self.weighted else (x[at], y[at])

    def on_epoch_begin(self):
        self.seen.append("begin")

    def on_epoch_end(self):
        self.seen.append("end")


def run(name, data, model=None, more=None, **options):
    start()
    model = model() if model else mlp()
    if not model.compiled:
        model.compile(optimizer="adam", **SPARSE)
    data = data() if callable(data) else data
    events = Events()
    h = model.fit(data, verbose=0, callbacks=[events], **options)
    record(name, model, h, events=events.seen, seen=getattr(data, "seen", None), **(more(model, data) if more else {}))


# ---- sources of batches
run("generator_steps", lambda: batches_of(12, forever=True), epochs=2, steps_per_epoch=3, validation_data=(x[:20], y[:20]), validation_batch_size=8)
run("generator_runs_out", lambda: batches_of(11), epochs=2)
run("generator_too_short", lambda: batches_of(16), epochs=2, steps_per_epoch=2)
run("dataset", Rows, epochs=2)
run("dataset_in_order", lambda: Rows(weighted=True), epochs=2, shuffle=False)
run("dataset_class_weight", Rows, epochs=2, class_weight={0: 0.5, 1: 2.0, 2: 1.5})
run("dataset_steps", Rows, epochs=3, steps_per_epoch=3)
run("dataset_endless", lambda: Rows(endless=True), epochs=2, steps_per_epoch=3)


start()
model = mlp()
model.compile(optimizer="adam", **SPARSE)
data, val, events = Rows(), Rows(size=10, n=30), Events()
h = model.fit(data, validation_data=val, epochs=2, verbose=0, callbacks=[events])
again = Rows(size=20, weighted=True)
evaluated = model.evaluate(again, verbose=0, return_dict=True)
predicted = model.predict(Rows(size=20), verbose=0)
first = model.predict(batches_of(20), steps=2, verbose=0)
record("dataset_validation", model, h, events=events.seen, seen=data.seen, val_seen=val.seen, evaluate=evaluated, predicted=list(predicted.shape),
       sum=float(predicted.sum()), first=list(first.shape))

# ---- arrays and steps


def arrays(name, fit=None, compile=None, more=None, model=mlp, target=y):
    start()
    m = model()
    m.compile(**{"optimizer": "adam", **SPARSE, **(compile or {})})
    events = Events()
    h = m.fit(x, target, verbose=0, callbacks=[events], **(fit or {}))
    record(name, m, h, events=events.seen, **(more(m) if more else {}))


arrays("steps_run_out", dict(batch_size=10, steps_per_epoch=2, epochs=4))
arrays("steps_without_batch_size", dict(steps_per_epoch=4, epochs=2))
arrays("steps_per_execution", dict(batch_size=10, epochs=2, validation_split=0.25), dict(steps_per_execution=2))
arrays("steps_per_execution_of_steps", dict(batch_size=10, epochs=3, steps_per_epoch=3), dict(steps_per_execution=2))
arrays("validation_freq_list", dict(batch_size=16, epochs=4, validation_split=0.25, validation_freq=[1, 4], validation_steps=2))
arrays("one_hot_class_weight", dict(batch_size=16, epochs=2, class_weight={0: 0.5, 2: 3.0}), dict(loss="categorical_crossentropy"), target=np.eye(3, dtype="float32")[y])
arrays("column_class_weight", dict(batch_size=16, epochs=2, class_weight={0: 0.5, 2: 3.0}), target=y.reshape(48, 1))
arrays("class_weight_and_validation", dict(batch_size=16, epochs=2, class_weight={0: 0.5, 2: 3.0}, validation_split=0.25))


def all_events(m):
    events = Events()
    m.evaluate(x, y, batch_size=20, verbose=0, callbacks=[events])
    m.predict(x, batch_size=20, verbose=0, callbacks=[events])
    return {"later": events.seen, "two": m.evaluate(x, y, steps=2, verbose=0, return_dict=True), "rows": len(m.predict(x, steps=2, verbose=0)),
            "rows_of_10": len(m.predict(x, steps=2, batch_size=10, verbose=0))}


arrays("events", dict(batch_size=20, epochs=2, validation_split=0.25), more=all_events)


class StopAt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.model.stop_training = True


start()
model, data, events = mlp(), Rows(), Events()
model.compile(optimizer="adam", **SPARSE)
h = model.fit(data, epochs=3, verbose=0, callbacks=[StopAt(), events], validation_data=(x, y))
record("stopped", model, h, events=events.seen, seen=data.seen)

# ---- callbacks
arrays("early_stopping_from_epoch", dict(batch_size=16, epochs=9, validation_split=0.25), dict(optimizer=keras.optimizers.Adam(0.3)))
for name, options in {"start_from_epoch": dict(patience=1, start_from_epoch=3), "baseline": dict(patience=2, baseline=0.5, restore_best_weights=True)}.items():
    start()
    model = mlp()
    model.compile(optimizer=keras.optimizers.Adam(0.3), **SPARSE)
    stop = keras.callbacks.EarlyStopping(**options)
    h = model.fit(x, y, epochs=20, batch_size=16, validation_split=0.25, callbacks=[stop], verbose=0)
    record("early_stopping_" + name, model, h, stopped=stop.stopped_epoch)
for on_epoch in [False, True]:
    start()
    model = mlp()
    model.compile(optimizer=keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.8), **SPARSE)
    seen = []
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(round(float(np.asarray(model.weights[0].value)[0, 0]), 7)))
    h = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.25, callbacks=[swap, look], verbose=0)
    record("swap_ema_on_epoch" if on_epoch else "swap_ema", model, h, seen=seen)
with tempfile.TemporaryDirectory() as folder:
    for name, options, compile in [("save_freq", dict(save_freq=4), {}), ("save_freq_executions", dict(save_freq=4), dict(steps_per_execution=3)),
                                   ("threshold", dict(save_best_only=True, monitor="loss", initial_value_threshold=1.08), {})]:
        start()
        model = mlp()
        model.compile(optimizer="adam", **{**SPARSE, **compile})
        place = os.path.join(folder, name)
        pattern = "{epoch:02d}-{batch}.keras" if "save" in name else "{epoch:02d}.keras"
        h = model.fit(x, y, epochs=3, batch_size=10, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(os.path.join(place, pattern), **options)])
        record("checkpoint_" + name, model, h, files=sorted(os.listdir(place)))

# ---- several outputs


def two():
    a = keras.Input((5,), name="a")
    h = L.Dense(6, activation="relu", name="hidden")(a)
    return keras.Model(a, [L.Dense(1, activation="sigmoid", name="main")(h), L.Dense(2, name="aux")(h)])


ys = [(y == 1).astype("float32").reshape(48, 1), some(48, 2, k=0.4)]
FORMS = {
    "lists": dict(loss=["binary_crossentropy", "mse"], loss_weights=[1.0, 0.5], metrics=[["accuracy"], ["mae", "mse"]]),
    "one_per_output": dict(loss="mse", metrics=["accuracy", "mae"]),
    "dictionaries": dict(loss={"main": "binary_crossentropy", "aux": "mse"}, loss_weights={"main": 2.0, "aux": 0.1},
                         metrics={"aux": ["mae"]}, weighted_metrics={"main": ["accuracy"], "aux": "mae"}),
    "one_loss": dict(loss={"main": None, "aux": "mae"}, metrics={"main": ["accuracy"], "aux": ["mse", "mse"]}, weighted_metrics=[["accuracy"], ["mse"]]),
}
for name, form in FORMS.items():
    start()
    model = two()
    model.compile(optimizer="adam", **form)
    h = model.fit(x, ys, sample_weight=w, epochs=2, batch_size=16, verbose=0, validation_split=0.25)
    record("outputs_" + name, model, h, evaluate=model.evaluate(x, ys, verbose=0), test=model.test_on_batch(x, ys, sample_weight=w, return_dict=True))


class Pair(keras.Model):
    def __init__(self):
        super().__init__()
        self.one, self.other = L.Dense(1, activation="sigmoid"), L.Dense(2)

    def call(self, inputs):
        return [self.one(inputs), self.other(inputs)]


start()
model = Pair()
model.compile(optimizer="adam", loss=["binary_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]])
h = model.fit(x, ys, epochs=1, batch_size=16, verbose=0)
record("outputs_subclassed", model, h)

# ---- steps of one's own


def graph(cls):
    inputs = keras.Input((5,))
    return cls(inputs, L.Dense(1)(L.Dropout(0.2)(L.Dense(8, activation="tanh")(inputs))))


t = some(48, 1, k=0.3)


class OwnLoss(keras.Model):
    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight) + 0.1 * keras.ops.mean(keras.ops.abs(y_pred))


class OwnMetrics(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight):
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**results, "largest": keras.ops.max(y_pred)}


class OwnStep(keras.Model):
    """Keras' guide to JAX, "a first simple example"."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        x, y = data

        def of(trainable, non_trainable, metrics):
            y_pred, non_trainable, losses = self.stateless_call(trainable, non_trainable, x, training=True, return_losses=True)
            loss = keras.ops.mean(keras.ops.square(y_pred - y)) * 2
            return loss, (y_pred, non_trainable)

        import jax
        (loss, (y_pred, non_trainable)), grads = jax.value_and_grad(of, has_aux=True)(trainable, non_trainable, metrics)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        return {"doubled": loss, "mean": keras.ops.mean(y_pred)}, (trainable, non_trainable, optimizer, metrics)

    def test_step(self, state, data):
        trainable, non_trainable, metrics = state
        x, y = data
        y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=False)
        return {"worst": keras.ops.max(keras.ops.abs(y - y_pred))}, (trainable, non_trainable, metrics)


for cls in [keras.Model, OwnLoss, OwnMetrics, OwnStep]:
    start()
    model = graph(cls)
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    events = Events()
    h = model.fit(x, t, epochs=2, batch_size=16, verbose=0, validation_split=0.25, callbacks=[events])
    record("own_" + cls.__name__, model, h, events=events.seen, evaluate=model.evaluate(x, t, verbose=0, return_dict=True))

# ---- states: by calls, as Keras' compiled steps on JAX lose them
start()
model = keras.Sequential([keras.Input(batch_shape=(4, 6, 2)), L.LSTM(5, stateful=True), L.Dense(1)])
s = some(4, 6, 2)
one, two_ = [np.asarray(model(s)).ravel().tolist() for _ in range(2)]
model.layers[0].reset_state()
record("stateful", model, one=one, two=two_, three=np.asarray(model(s)).ravel().tolist())

print(json.dumps(recorded, indent=1))
