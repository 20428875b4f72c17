// What lives here: models whose steps are their own, in the order of Keras' guide "Customizing fit": a training step, metrics, a loss, weights of
// samples, evaluation. fit, evaluate, callbacks and the progress bar stay as they are, and so does the speed: a step is traced once, with
// whatever it does, and then only run.
#include <cmath>
#include <cstdio>

#include <keras/keras.h>
using namespace keras;

// A first simple example: what fit does, written out.
struct CustomModel : Model {
  using Model::Model;
  StepLogs train_step(const Batch& batch) override {
    const auto& [x, y, sample_weight] = batch;
    GradientTape tape;
    auto y_pred = (*this)(x, {.training = true});               // forward pass
    Tensor loss = compute_loss(x, y, y_pred, sample_weight);    // as compile() says
    auto weights = trainable_variables();
    optimizer().apply(tape.gradient(loss, weights), weights);
    metrics()[0]->update_state(loss, {});                       // the mean of the loss, first of all metrics
    return compute_metrics(x, y, y_pred, sample_weight);        // the metrics that compile() got
  }
};

// Going lower: a loss and metrics that compile() knows nothing of. Metrics given to track() are reset with each epoch.
struct LowerModel : Model {
  using Model::Model;
  metrics::Mean loss_tracker = track(metrics::Mean({.name = "loss"}));
  metrics::MeanAbsoluteError mae = track(metrics::MeanAbsoluteError({.name = "mae"}));

  StepLogs step(const Batch& batch, bool training) {
    Tensor x = batch.x.tensor(), y = batch.y.tensor();
    GradientTape tape;
    Tensor y_pred = (*this)(x, {.training = training});
    Tensor loss = ops::mean(ops::logaddexp(y_pred - y, y - y_pred));
    if (training) optimizer().apply(tape.gradient(loss, trainable_variables()), trainable_variables());
    loss_tracker.update_state(loss);
    mae.update_state(y, y_pred);
    return {{"loss", loss_tracker.result()}, {"mae", mae.result()}};
  }
  StepLogs train_step(const Batch& batch) override { return step(batch, true); }
  StepLogs test_step(const Batch& batch) override { return step(batch, false); }
};

// Often the loss alone is another.
struct Cautious : Model {
  using Model::Model;
  Tensor compute_loss(const Arrays& x, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight, bool training) override {
    return Model::compute_loss(x, y, y_pred, sample_weight, training) + 0.01 * ops::mean(ops::square(y_pred.tensor()));
  }
};

template <class M> double train(const char* name, const CompileOptions& options) {
  utils::set_random_seed(1);
  Tensor in = Input({8});
  M model(in, layers::Dense(1)(layers::Dense(16, {.activation = "tanh"})(in)));
  model.compile(options);
  Tensor x = random::normal({512, 8}, {.seed = 1});
  Tensor y = ops::sin(ops::sum(x, -1, true));
  auto history = model.fit(x, y, {.epochs = 10, .verbose = 0, .validation_split = 0.2});
  double first = (*history)["loss"].front(), last = (*history)["loss"].back();
  std::printf("%-12s loss %.4f -> %.4f, validation mae %.4f\n", name, first, last, (*history)["val_mae"].back());
  return last / first;
}

int main() {
  double worst = 0;
  worst = std::max(worst, train<CustomModel>("CustomModel", {.optimizer = "adam", .loss = "mse", .metrics = {"mae"}}));
  worst = std::max(worst, train<LowerModel>("LowerModel", {.optimizer = "adam"}));
  worst = std::max(worst, train<Cautious>("Cautious", {.optimizer = "adam", .loss = "mse", .metrics = {"mae"}}));
  return worst < 1 ? 0 : 1;
}
