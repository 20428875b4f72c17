// What lives here: the models, built with the library itself.
#include "fuzz/saving/models_for_seeds.h"

#include <cstring>

#include "engine/memory.h"

namespace keras::fuzz {

using namespace layers;

Quiet::Quiet() : before_(set_warning_handler([](const std::string&) {})), limit_(engine::set_memory_limit(size_t{8} << 20)) { utils::clear_session(); }
Quiet::~Quiet() {
  set_warning_handler(before_);
  engine::set_memory_limit(limit_);
}

static Model compiled(Model m) {
  m.compile({.optimizer = optimizers::Adam({.learning_rate = optimizers::schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 10, .decay_rate = 0.9})}), .loss = "mse", .metrics = {"mae", metrics::AUC({.num_thresholds = 5})}});
  return m;
}

static Model mlp() {
  return compiled(Sequential({Input({4}), Dense(3, {.activation = "relu", .kernel_initializer = initializers::HeNormal({.seed = 3}), .kernel_regularizer = regularizers::L2(0.01)}),
                              BatchNormalization(), Dropout(0.5), Dense(2, {.activation = "softmax", .kernel_constraint = constraints::MaxNorm({.max_value = 2.0})})}));
}
static Model images() {
  return Sequential({Input({6, 6, 2}), Conv2D(3, {2, 2}, {.strides = {1, 2}, .padding = "same"}), MaxPooling2D(), Flatten(), Reshape({-1, 3}), GlobalAveragePooling1D(), Rescaling(0.5)});
}
static Model sequences() {
  return Sequential({Input({5}, {.dtype = "int32"}), Embedding(7, 3, {.mask_zero = true}), Bidirectional(LSTM(2, {.return_sequences = true})), TimeDistributed(Dense(2)), GRU(2), Dense(1)});
}
static Model graph() {
  Tensor a = Input({3}, {.name = "a"}), b = Input({3}, {.name = "b"});
  Dense shared(4, {.name = "shared"});
  Tensor x = Concatenate()({shared(a), shared(b)}), y = ops::add(ops::multiply(x, 2), 1.5);
  Sequential inner({Input({8}), Dense(2)}, {.name = "inner"});
  return compiled(Model({a, b}, {inner(y), Add()({a, b})}));
}
static Model attention() {
  Tensor q = Input({4, 6}), v = Input({3, 6});
  Tensor x = MultiHeadAttention(2, 3)({q, v});
  return Model({q, v}, LayerNormalization()(x));
}

std::vector<std::pair<std::string, Model>> seed_models() {
  return {{"mlp", mlp()}, {"images", images()}, {"sequences", sequences()}, {"graph", graph()}, {"attention", attention()}};
}

Model trained_model() {
  Model m = mlp();
  m.fit(Tensor::full({4, 4}, 0.5), Tensor::full({4, 2}, 0.5), {.verbose = 0});
  return m;
}

void load_into_trained(const std::string& path, const std::string& place) {
  static Model model = trained_model();
  struct State {
    Tensors weights, optimizer;
    static Tensors copies(const std::vector<Variable>& variables) {
      Tensors all;
      for (const Variable& v : variables) all.push_back(Tensor::from_bytes(v.value().raw(), static_cast<size_t>(v.shape().numel()), v.value().dtype(), v.shape()));
      return all;
    }
    static bool same(const Tensors& a, const Tensors& b) {
      for (size_t i = 0; i < a.size(); ++i)
        if (a[i].nbytes() != b[i].nbytes() || std::memcmp(a[i].raw(), b[i].raw(), a[i].nbytes()) != 0) return false;
      return a.size() == b.size();
    }
    State() : weights(copies(model.weights())), optimizer(copies(model.optimizer().variables())) {}
    bool holds() const { return same(weights, copies(model.weights())) && same(optimizer, copies(model.optimizer().variables())); }
    void restore() const {
      model.set_weights(weights);
      model.optimizer().set_weights(optimizer);
    }
  };
  static const State before;
  if (!attempt(place, [&] { model.load_weights(path); }) && !before.holds()) throw Finding("loading failed and changed the model");
  before.restore();
  if (!attempt(place, [&] { saving::load_weights(model, path, {.skip_mismatch = true}); }) && !before.holds())
    throw Finding("loading with skip_mismatch failed and changed the model");
  before.restore();
}

}  // namespace keras::fuzz
