// What lives here: tests of recurrent layers: numbers, seeds and states recorded from Keras, masks, directions, stacks, cells of one's own.
#include <gtest/gtest.h>

#include <map>

#include <keras/core/function.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/layers/rnn/bidirectional.h>
#include <keras/layers/rnn/conv_lstm.h>
#include <keras/layers/rnn/gru.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/layers/rnn/simple_rnn.h>
#include <keras/layers/rnn/time_distributed.h>
#include <keras/ops.h>
#include <keras/random.h>

#include "core/impl.h"
#include "io/hdf5.h"
#include "io/zip.h"
#include "layers/layer_impl.h"
#include "prims/build.h"
#include "support/check_layer.h"
#include "support/recorded.h"

namespace keras {
namespace {

using namespace keras::layers;

Tensor sequence() {
  std::vector<float> v;
  for (int i = 0; i < 24; ++i) v.push_back(static_cast<float>(std::sin(i * 0.7)));
  return Tensor::from(v, {2, 3, 4});
}
Tensor sequence_mask() { return Tensor::from(std::vector<bool>{true, true, false, false, true, true}, {2, 3}); }
void expect_numbers(const Tensor& got, const std::vector<double>& want, const char* what = "", double tolerance = 2e-6) {
  std::vector<double> g = got.to_vector<double>();
  ASSERT_EQ(g.size(), want.size()) << what;
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], tolerance) << what << " element " << i;
}
std::vector<uint32_t> seed_state(const Layer& l, size_t which = 0) {
  for (const Variable& v : l.variables())
    if (v.dtype() == DType::UInt32 && which-- == 0) return v.value().to_vector<uint32_t>();
  return {};
}
Layer make_layer(const std::string& cls, const std::map<std::string, double>& rates = {}, const std::vector<std::string>& flags = {}) {
  Dict c{{"units", 2}};
  for (const auto& [k, v] : rates) c.set(k, v);
  for (const std::string& f : flags) c.set(f, true);
  return deserialize(Dict{{"class_name", cls}, {"config", c}});
}

struct Numbers {
  std::string cls;
  uint32_t seed;
  std::vector<double> inference, train, train_inputs_only, bidirectional, backwards, unrolled;
  uint32_t draws;  // per call
};
const std::vector<Numbers> kRecorded = {
    {"SimpleRNN", 686579304,
     {0.59959209, -0.10443989, -0.53339815, -0.60455281},
     {0.21858864, -0.73477846, -0.52087831, -0.83571583},
     {0.66922402, -0.35195589, -0.52830827, -0.52722186},
     {0.58453912, 0.43280357, 0.24372859, -0.44263193, -0.67363632, 0.42662707, 0.41396827, 0.41639441, 0, 0, 0, 0,
      0, 0, 0, 0, 0.76256257, -0.39066741, -0.28462613, -0.9714554, 0.031299315, 0.68376601, 0.72402132, 0.8417843},
     {0, 0, 0.40586868, 0.43045262, -0.27010986, -0.66085231, -0.76264125, -0.043495689, 0.48954481, 0.55097216, 0.48954481, 0.55097216},
     {-0.65193027, -0.44681734, -0.13447574, 0.76664561, -0.13447574, 0.76664561, 0, 0, 0.62160701, -0.11897408, -0.76045996, -0.58916891}, 2},
    {"LSTM", 26855093,
     {-0.0053168861, -0.19855846, 0.0046814019, 0.136352},
     {0.0067592836, -0.19804381, 0.00070565974, 0.25411189},
     {-0.032392822, -0.32352668, 0.022185722, 0.13452226},
     {0.038594361, -0.060516402, 0.024204504, -0.048718214, -0.067977108, -0.033237357, -0.28941402, 0.1213242, 0, 0, 0, 0,
      0, 0, 0, 0, 0.24150331, 0.0076231635, 0.021954972, -0.0022111845, -0.025387645, -0.051734447, 0.19062324, 0.025278291},
     {0, 0, -0.048952445, 0.080231257, 0.047440812, 0.010719233, 0.05032162, 0.1961965, -0.089989312, -0.056101285, -0.089989312, -0.056101285},
     {0.069848098, -0.12575407, 0.0018047999, 0.028861413, 0.0018047999, 0.028861413, 0, 0, -0.17833489, -0.19380514, -0.020067932, 0.0076987226}, 8},
    {"GRU", 26855093,
     {0.097183555, -0.030707432, -0.14243439, 0.25863543},
     {-0.061854631, 0.0078061968, -0.57151806, 0.22840399},
     {0.31921571, -0.094231434, -0.10709914, 0.17975476},
     {-0.10262951, -0.44844139, 0.21331793, -0.19212639, -0.035471585, 0.12113799, 0.35256743, 0.15645772, 0, 0, 0, 0,
      0, 0, 0, 0, -0.014590931, 0.03475311, -0.012016276, 0.033882815, -0.017090669, -0.088004068, 0.39758709, 0.013981204},
     {0, 0, 0.38736221, -0.12284232, 0.022310732, 0.13278708, -0.18110745, 0.31996378, -0.091079362, -0.033097111, -0.091079362, -0.033097111},
     {-0.18958655, 0.17627533, 0.31314701, -0.018890724, 0.31314701, -0.018890724, 0, 0, 0.022800038, -0.25535548, -0.19223735, 0.16348131}, 6}};

TEST(Recurrent, SeedsDropoutMasksAndDirectionsGiveKerasNumbers) {
  Tensor x = sequence();
  for (const Numbers& n : kRecorded) {
    SCOPED_TRACE(n.cls);
    utils::set_random_seed(42);
    Layer l = make_layer(n.cls, {{"dropout", 0.4}, {"recurrent_dropout", 0.3}});
    expect_numbers(l(x), n.inference, "inference");
    EXPECT_EQ(seed_state(l), (std::vector<uint32_t>{n.seed, n.draws})) << "masks are drawn at inference too";
    expect_numbers(l(x, {.training = true}), n.train, "training");
    EXPECT_EQ(seed_state(l), (std::vector<uint32_t>{n.seed, 2 * n.draws}));

    utils::set_random_seed(42);
    l = make_layer(n.cls, {{"dropout", 0.4}});
    expect_numbers(l(x, {.training = true}), n.train_inputs_only, "dropout of inputs");
    EXPECT_EQ(seed_state(l), (std::vector<uint32_t>{n.seed, 1}));

    utils::set_random_seed(42);
    l = Bidirectional(make_layer(n.cls, {}, {"return_sequences"}));
    expect_numbers(l(x, {.mask = sequence_mask()}), n.bidirectional, "bidirectional");

    utils::set_random_seed(42);
    l = make_layer(n.cls, {}, {"return_sequences", "return_state", "go_backwards"});
    Output y = l(x, {.mask = sequence_mask()});
    expect_numbers(y[0], n.backwards, "backwards, masked");
    EXPECT_EQ(y.size(), n.cls == "LSTM" ? 3u : 2u);

    utils::set_random_seed(42);
    l = make_layer(n.cls, {}, {"return_sequences", "return_state", "unroll"});
    expect_numbers(l(x, {.mask = sequence_mask()})[0], n.unrolled, "unrolled, masked");
  }
}

TEST(Recurrent, AStackOfCellsGivesKerasNumbers) {
  utils::set_random_seed(42);
  RNN l(std::vector<Layer>{LSTMCell(2, {.dropout = 0.3}), GRUCell(3, {.recurrent_dropout = 0.2})}, {.return_sequences = true, .return_state = true});
  Output y = l(sequence(), {.training = true, .mask = sequence_mask()});
  ASSERT_EQ(y.size(), 4u);
  expect_numbers(y[0], {0.045588307, -0.032131609, 0.032873482, 0.025109677, -0.0054654018, 0.024574235, 0.025109677, -0.0054654018, 0.024574235,
                        0, 0, 0, 0.068086229, -0.072581135, 0.073501125, 0.049247365, -0.024376746, 0.062447749});
  expect_numbers(y[1], {-0.0097644674, 0.018891029, 0.01514605, -0.030823855});
  expect_numbers(y[2], {-0.017024007, 0.070248708, 0.042179961, -0.046046384});
  expect_numbers(y[3], {0.025109677, -0.0054654018, 0.024574235, 0.049247365, -0.024376746, 0.062447749});
  EXPECT_EQ(seed_state(l, 0), (std::vector<uint32_t>{26855093, 1}));
  EXPECT_EQ(seed_state(l, 1), (std::vector<uint32_t>{262950629, 3}));
}

// ---- everything that must hold of any layer
testing::LayerCheck check(const std::string& config, int trainable, int64_t params) {
  return {.input_shapes = {{3, 4, 2}}, .unknown_axes = {1}, .num_trainable_weights = trainable, .num_non_trainable_weights = 0, .num_seeds = 1, .count_params = params, .supports_masking = true,
          .keras_config = config};
}
#include "layers/rnn/configs_test.inc"

TEST(Recurrent, SimpleRNN) {
  testing::check_layer([] { return SimpleRNN(3); }, check(kSimpleRNNConfig, 3, 2 * 3 + 3 * 3 + 3));
  testing::check_layer([] { return SimpleRNN(3, {.use_bias = false, .return_sequences = true, .return_state = true, .unroll = true}); }, {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 4, 3}, {3, 3}}});
}
TEST(Recurrent, LSTM) {
  testing::check_layer([] { return LSTM(3); }, check(kLSTMConfig, 3, 4 * (2 * 3 + 3 * 3 + 3)));
  testing::check_layer([] { return LSTM(3, {.kernel_regularizer = "l2", .activity_regularizer = "l2", .return_sequences = true, .return_state = true, .go_backwards = true}); },
                       {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 4, 3}, {3, 3}, {3, 3}}});
}
TEST(Recurrent, GRU) {
  testing::check_layer([] { return GRU(3); }, check(kGRUConfig, 3, 3 * (2 * 3 + 3 * 3 + 2 * 3)));
  testing::check_layer([] { return GRU(3, {.return_sequences = true, .reset_after = false, .zero_output_for_mask = true}); }, {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 4, 3}}});
}
TEST(Recurrent, RNNOverCells) {
  testing::check_layer([] { return RNN(std::vector<Layer>{LSTMCell(3), SimpleRNNCell(2)}, {.return_state = true}); },
                       {.input_shapes = {{3, 4, 2}}, .unknown_axes = {1}, .output_shapes = {{3, 2}, {3, 3}, {3, 3}, {3, 2}}, .num_trainable_weights = 6, .num_seeds = 2, .keras_config = kStackConfig});
}
TEST(Recurrent, Cells) {
  auto call = [](const Layer& l, const Tensors& in, const CallOptions& o) { return l(in[0], {.training = o.training, .more = Tensors(in.begin() + 1, in.end())}); };
  testing::check_layer([] { return LSTMCell(3); }, {.input_shapes = {{2, 4}, {2, 3}, {2, 3}}, .call = call, .output_shapes = {{2, 3}, {2, 3}, {2, 3}}, .keras_config = kLSTMCellConfig});
  testing::check_layer([] { return GRUCell(3); }, {.input_shapes = {{2, 4}, {2, 3}}, .call = call, .output_shapes = {{2, 3}, {2, 3}}, .keras_config = kGRUCellConfig});
  testing::check_layer([] { return SimpleRNNCell(3); }, {.input_shapes = {{2, 4}, {2, 3}}, .call = call, .output_shapes = {{2, 3}, {2, 3}}, .keras_config = kSimpleRNNCellConfig});
}
TEST(Recurrent, Bidirectional) {
  testing::check_layer([] { return Bidirectional(LSTM(3)); }, {.input_shapes = {{3, 4, 2}}, .unknown_axes = {1}, .output_shapes = {{3, 6}}, .num_trainable_weights = 6, .num_seeds = 2, .keras_config = kBidirectionalConfig});
  for (const char* mode : {"sum", "mul", "ave"})
    testing::check_layer([&] { return Bidirectional(GRU(3, {.return_sequences = true}), {.merge_mode = mode}); }, {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 4, 3}}});
  testing::check_layer([] { return Bidirectional(SimpleRNN(3, {.return_state = true}), {.merge_mode = std::nullopt}); }, {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 3}, {3, 3}, {3, 3}, {3, 3}}});
}
TEST(Recurrent, TimeDistributed) {
  testing::check_layer([] { return TimeDistributed(Dense(3)); }, {.input_shapes = {{3, 4, 2}}, .unknown_axes = {1}, .output_shapes = {{3, 4, 3}}, .num_trainable_weights = 2, .num_seeds = 0, .keras_config = kTimeDistributedConfig});
  testing::check_layer([] { return TimeDistributed(Dropout(0.5)); }, {.input_shapes = {{3, 4, 2}}, .output_shapes = {{3, 4, 2}}, .num_seeds = 1});
  testing::check_layer([] { return TimeDistributed(LSTM(3)); }, {.input_shapes = {{3, 4, 5, 2}}, .masks = {Tensor::full({3, 4, 5}, 1, DType::Bool)}, .output_shapes = {{3, 4, 3}}});
}

TEST(Recurrent, ConvLSTM) {
  testing::check_layer([] { return ConvLSTM1D(2, 3); }, {.input_shapes = {{2, 3, 6, 2}}, .unknown_axes = {1}, .output_shapes = {{2, 4, 2}}, .num_trainable_weights = 3, .num_seeds = 1});
  testing::check_layer([] { return ConvLSTM2D(2, {2, 3}, {.strides = 2, .padding = "same", .return_sequences = true, .return_state = true}); },
                       {.input_shapes = {{2, 3, 4, 5, 2}}, .output_shapes = {{2, 3, 2, 3, 2}, {2, 2, 3, 2}, {2, 2, 3, 2}}});
  testing::check_layer([] { return ConvLSTM3D(2, 2, {.go_backwards = true}); }, {.input_shapes = {{1, 2, 3, 3, 3, 1}}, .output_shapes = {{1, 2, 2, 2, 2}}});
  testing::check_layer([] { return ConvLSTM2D(2, 2, {.data_format = "channels_first", .dilation_rate = 2}); }, {.input_shapes = {{2, 3, 2, 4, 4}}, .output_shapes = {{2, 2, 2, 2}}});
  core::clear_names();
  EXPECT_EQ(io::to_json(ConvLSTM2D(3, 3).config(), 1), io::to_json(io::parse_json(kConvLSTM2DConfig, "Keras"), 1));
  // Seeds, dropout and masks: Keras' numbers.
  std::vector<float> v;
  for (int i = 0; i < 40; ++i) v.push_back(static_cast<float>(std::sin(i * 0.7)));
  Tensor x = Tensor::from(v, {2, 2, 5, 2});
  utils::set_random_seed(42);
  ConvLSTM1D l(2, 2, {.padding = "same", .dropout = 0.3, .recurrent_dropout = 0.2});
  expect_numbers(l(x), kConvInference, "inference");
  expect_numbers(l(x, {.training = true}), kConvTraining, "training");
  EXPECT_EQ(seed_state(l), (std::vector<uint32_t>{686579304, 16}));
  Tensor masked = ConvLSTM1D(2, 2, {.return_sequences = true})(x, {.mask = Tensor::from(std::vector<bool>{true, false, true, true}, {2, 2})});
  auto m = masked.to_vector<float>();
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(m[i], m[8 + i]) << "a masked step repeats the output before it";
  EXPECT_NE(m[16], m[24]);
  EXPECT_THROW(ConvLSTM1D(2, 9)(x), ValueError);
  EXPECT_THROW(ConvLSTM2D(2, 2, {.padding = "causal"}), ValueError);
  EXPECT_THROW(ConvLSTM1D(2, 2)(Input({3, None, 2})), ValueError);
}

// ---- what the project promises
TEST(Recurrent, TimeDistributedDenseIsDenseBitForBit) {  // S06
  Tensor x = random::normal({3, 5, 4}, {.seed = 1});
  Dense dense(6, {.activation = "tanh"});
  TimeDistributed timed(dense);
  Tensor a = dense(x), b = timed(x);
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
  auto gradient = [&](const Layer& l) {
    Function f([&](const Tensors& in) -> Tensors {
      std::vector<Variable> vars = dense.trainable_weights();
      Tensor y = l(in[0]);
      Tensor loss = ops::sum(ops::square(y));
      Tensors g = gradients(loss, vars);
      g.push_back(gradients(loss, Tensors{in[0]})[0]);
      return g;
    });
    return f({x});
  };
  Tensors ga = gradient(dense), gb = gradient(timed);
  ASSERT_EQ(ga.size(), 3u);
  for (size_t i = 0; i < ga.size(); ++i) EXPECT_EQ(ga[i].to_vector<float>(), gb[i].to_vector<float>()) << i;
}

TEST(Recurrent, OneLayerOnTwoLengths) {  // S20, S21
  LSTM shared(32);
  Tensor a = Input({280, 128}), b = Input({250, 128});
  Tensor ya = shared(a), yb = shared(b);
  EXPECT_EQ(shared.get_input_shape_at(0), (Shape{None, 280, 128}));
  EXPECT_EQ(shared.get_input_shape_at(1), (Shape{None, 250, 128}));
  EXPECT_EQ(shared.get_output_shape_at(0), (Shape{None, 32}));
  EXPECT_EQ(shared.get_output_shape_at(1), (Shape{None, 32}));
  EXPECT_TRUE(shared.get_output_at(0).same(ya));
  EXPECT_TRUE(shared.get_output_at(1).same(yb));
  EXPECT_EQ(shared.weights().size(), 3u);
  EXPECT_EQ(shared.weights()[0].path(), shared.name() + "/lstm_cell/kernel");
  try {
    shared(Input({280, 64}));
    FAIL() << "another last axis was accepted";
  } catch (const ValueError& e) {
    std::string text = e.what();
    for (const std::string& part : {shared.name(), std::string("128"), std::string("(None, 280, 64)")}) EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_THROW(shared.output(), ValueError);
  // Gradients of both calls add up.
  Tensor x1 = random::normal({2, 7, 128}, {.seed = 1}), x2 = random::normal({2, 5, 128}, {.seed = 2});
  auto gradient = [&](bool first, bool second) {
    Function f([&](const Tensors& in) -> Tensors {
      Tensor loss = Tensor(0.0f);
      if (first) loss = ops::sum(shared(in[0]));
      if (second) loss = first ? loss + ops::sum(shared(in[1])) : ops::sum(shared(in[1]));
      return gradients(loss, shared.trainable_weights());
    });
    return f({x1, x2});
  };
  Tensors g1 = gradient(true, false), g2 = gradient(false, true), both = gradient(true, true);
  for (size_t i = 0; i < both.size(); ++i) {
    auto p = g1[i].to_vector<double>(), q = g2[i].to_vector<double>(), s = both[i].to_vector<double>();
    for (size_t k = 0; k < s.size(); ++k) ASSERT_NEAR(s[k], p[k] + q[k], 1e-4);
  }
}

TEST(Recurrent, MaskZeroReachesTheLSTM) {  // S26
  Embedding embedding(10, 4, {.mask_zero = true});
  LSTM lstm(3);
  Tensor whole = lstm(embedding(Tensor{{3, 4, 5}})), padded = lstm(embedding(Tensor{{3, 4, 5, 0, 0}}));
  auto a = whole.to_vector<double>(), b = padded.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-7);
}

TEST(Recurrent, EagerTapesAndCompiledFunctionsAgree) {
  Tensor x = sequence();
  for (const Layer& l : {Layer(LSTM(3, {.return_sequences = true})), Layer(GRU(3, {.reset_after = false})), Layer(LSTM(3, {.implementation = 1})), Layer(SimpleRNN(3, {.unroll = true})),
                         Layer(Bidirectional(GRU(2)))}) {
    l(x);
    GradientTape tape;
    Tensors eager = tape.gradient(ops::sum(ops::square(l(x))), l.trainable_weights());
    Function f([&](const Tensors& in) -> Tensors { return gradients(ops::sum(ops::square(l(in[0]))), l.trainable_weights()); });
    Tensors compiled = f({x});
    for (size_t i = 0; i < eager.size(); ++i) {
      auto a = eager[i].to_vector<double>(), b = compiled[i].to_vector<double>();
      double size = 0;
      for (size_t k = 0; k < a.size(); ++k) {
        EXPECT_NEAR(a[k], b[k], 1e-5) << l.name() << " " << i;
        size += std::abs(a[k]);
      }
      EXPECT_GT(size, 0) << l.name() << " " << i;
    }
  }
}

TEST(Recurrent, StatefulLayersGoOnWhereTheyStopped) {
  Tensor x = sequence();
  GRU whole(3, {.return_sequences = true});
  Tensor want = whole(x);
  GRU half(3, {.return_sequences = true, .stateful = true});
  half(ops::slice(x, {0, 0, 0}, {2, 1, 4}));
  half.reset_state();
  half.set_weights(whole.get_weights());
  Function step([&](const Tensors& in) -> Tensors { return {half(in[0])}; });
  Tensor a = half(ops::slice(x, {0, 0, 0}, {2, 1, 4})), b = step({ops::slice(x, {0, 1, 0}, {2, 2, 4})})[0];
  Tensor got = ops::concatenate({a, b}, 1);
  expect_numbers(got, want.to_vector<double>());
  ASSERT_EQ(half.states().size(), 1u);
  half.reset_states();
  expect_numbers(half(ops::slice(x, {0, 0, 0}, {2, 1, 4})), a.to_vector<double>());
  EXPECT_THROW(half(Tensor::full({3, 1, 4}, 1)), ValueError) << "another batch size";
  EXPECT_THROW(GRU(3, {.stateful = true})(Input({5, 4})), ValueError) << "no batch size";
  EXPECT_EQ(half.variables().size(), 4u) << "states are no variables of the layer, as in Keras";
}

TEST(Recurrent, InitialStates) {
  Tensor x = sequence();
  LSTM all(3, {.return_state = true});
  Output end = all(x), start = all(ops::slice(x, {0, 0, 0}, {2, 2, 4}));
  Output then = all(ops::slice(x, {0, 2, 0}, {2, 1, 4}), {.initial_state = {start[1], start[2]}});
  for (size_t i = 0; i < 3; ++i) expect_numbers(then[i], end[i].to_vector<double>());
  Output list = all(Tensors{ops::slice(x, {0, 2, 0}, {2, 1, 4}), start[1], start[2]});
  expect_numbers(list[0], end[0].to_vector<double>());
  EXPECT_THROW(all(x, {.initial_state = {start[1]}}), ValueError);
  EXPECT_THROW(all(x, {.initial_state = {start[1], Tensor::full({2, 5}, 0)}}), ValueError);
  // As in Keras, a mask that came with the sequences is not looked up when states are given; one that is given is used.
  Embedding embedding(5, 4, {.mask_zero = true});
  Tensor padded = embedding(Tensor{{1, 2, 0, 0}, {3, 4, 0, 0}}), short_ = embedding(Tensor{{1, 2}, {3, 4}}), zeros = Tensor::full({2, 3}, 0);
  Tensor want = all(short_), looked = all(padded, {.initial_state = {zeros, zeros}}), given = all(padded, {.mask = core::mask_of(padded), .initial_state = {zeros, zeros}});
  expect_numbers(all(padded), want.to_vector<double>());
  expect_numbers(given, want.to_vector<double>());
  EXPECT_GT(std::abs(looked.to_vector<double>()[0] - want.to_vector<double>()[0]), 1e-5);
  // As tensors of a model's graph: saved as Keras saves them.
  Tensor in = Input({3, 4}), h = Input({3}), c = Input({3});
  LSTM symbolic(3);
  symbolic(in, {.initial_state = {h, c}});
  const core::ArgDict& kwargs = symbolic.impl()->nodes()[0].args.kwargs;
  ASSERT_EQ(kwargs.size(), 1u);
  EXPECT_EQ(kwargs[0].first, "initial_state");
  EXPECT_EQ(symbolic.impl()->build_config().str(), (Value(Dict{{"shapes_dict", Dict{{"sequences_shape", Value(Shape{None, 3, 4})}, {"initial_state_shape", List{Value(Shape{None, 3}), Value(Shape{None, 3})}}}}})).str());
}

struct Minimal : RNNCell {
  int64_t units;
  bool two;
  Variable w, u, u2;
  explicit Minimal(int64_t units, bool two = false, const std::string& name = "") : RNNCell(two ? "TwoStatesRNNCell" : "OneStateRNNCell", name), units(units), two(two) {}
  std::vector<int64_t> state_size() const override { return std::vector<int64_t>(two ? 2 : 1, units); }
  int64_t output_size() const override { return units; }
  void build(const Shape& input) override {
    w = add_weight({.name = "kernel", .shape = {input.back(), units}, .initializer = "ones"});
    u = add_weight({.name = two ? "recurrent_kernel_1" : "recurrent_kernel", .shape = {units, units}, .initializer = "ones"});
    if (two) u2 = add_weight({.name = "recurrent_kernel_2", .shape = {units, units}, .initializer = "ones"});
  }
  std::pair<Tensor, Tensors> call(const Tensor& x, const Tensors& states, bool) override {
    Tensor h = ops::matmul(x, w);
    Tensor a = h + ops::matmul(states[0], u);
    if (!two) return {a, {a}};
    Tensor b = h + ops::matmul(states[0], u2);
    return {a + b, {a, b}};
  }
  Dict get_config() const override { return {{"units", units}}; }
};
void register_cells() {
  register_layer("OneStateRNNCell", [](const Dict& c) { return make<Minimal>(c.at("units").as_int(), false, c.at("name").as_string()); });
  register_layer("TwoStatesRNNCell", [](const Dict& c) { return make<Minimal>(c.at("units").as_int(), true, c.at("name").as_string()); });
}

TEST(Recurrent, CellsOfOnesOwn) {
  register_cells();
  RNN rnn(make<Minimal>(2), {.return_sequences = true});
  Tensor y = rnn(Tensor::full({1, 3, 2}, 1.0));
  expect_numbers(y, {2, 2, 6, 6, 14, 14});
  Tensor s = rnn(Input({None, 2}));
  EXPECT_EQ(s.shape(), (Shape{None, None, 2}));
  EXPECT_EQ(rnn.weights()[0].path(), rnn.name() + "/" + rnn.cell().name() + "/kernel");
  Layer again = deserialize(serialize(rnn));
  expect_numbers(again(Tensor::full({1, 3, 2}, 1.0)), {2, 2, 6, 6, 14, 14});
  // In two layers' stack, with gradients through a loop.
  RNN stack(std::vector<Layer>{make<Minimal>(2, true), GRUCell(3)});
  Tensor x = sequence();
  stack(x);
  Function f([&](const Tensors& in) -> Tensors { return gradients(ops::sum(stack(in[0])), stack.trainable_weights()); });
  EXPECT_EQ(f({x}).size(), 6u);
  // An object of one's own on the stack works as long as it lives.
  Minimal cell(2);
  EXPECT_EQ(RNN(cell)(Tensor::full({1, 3, 2}, 1.0)).shape(), (Shape{1, 2}));
  EXPECT_THROW(RNN(Dense(3)), ValueError);
}

struct Dropping : RNNCell {
  Dropout drop{0.5, {.seed = 1}};
  Dropping() : RNNCell("Dropping") { track("drop", drop); }
  std::vector<int64_t> state_size() const override { return {4}; }
  std::pair<Tensor, Tensors> call(const Tensor& x, const Tensors& s, bool) override {
    Tensor h = s[0] + Tensor(drop(x));
    return {h, {h}};
  }
};
TEST(Recurrent, ACellWithARandomLayerDrawsAtEachStep) {
  RNN rnn(make<Dropping>(), {.return_sequences = true});
  Tensor y = rnn(Tensor::full({1, 8, 4}, 1.0), {.training = true});
  auto v = y.to_vector<double>();
  bool differ = false;
  for (size_t t = 2; t < 8; ++t)
    for (size_t k = 0; k < 4; ++k) differ |= v[t * 4 + k] - v[(t - 1) * 4 + k] != v[4 + k] - v[k];
  EXPECT_TRUE(differ);
  expect_numbers(ops::max(rnn(Tensor::full({1, 8, 4}, 1.0))), {8});
}

TEST(Recurrent, WrongUseIsAnError) {
  EXPECT_THROW(LSTM(0), ValueError);
  EXPECT_THROW(LSTM(3, {.use_cudnn = "yes"}), ValueError);
  EXPECT_THROW(LSTM(3)(Tensor::full({2, 3}, 1)), ValueError);
  EXPECT_THROW(LSTM(3, {.unroll = true})(Input({None, 4})), ValueError);
  EXPECT_THROW(Bidirectional(LSTM(3), {.merge_mode = "max"}), ValueError);
  EXPECT_THROW(Bidirectional(LSTM(3), {.backward_layer = LSTM(3)}), ValueError);
  EXPECT_THROW(Bidirectional(LSTM(3), {.backward_layer = LSTM(3, {.return_sequences = true, .go_backwards = true})}), ValueError);
  EXPECT_THROW(Bidirectional(Dense(3)), ValueError);
  EXPECT_THROW(TimeDistributed(Dense(3))(Tensor::full({2, 3}, 1)), ValueError);
  EXPECT_THROW(TimeDistributed(Dense(3))(Tensor::full({2, 3, 4}, 1), {.mask = Tensor::full({2, 4}, 1, DType::Bool)}), ValueError);
}

TEST(Recurrent, Explanations) {
  LSTM l(32, {.return_sequences = true});
  l(Input({280, 128}));
  std::string text = l.explain();
  for (const char* part : {"kernel (128, 128)", "recurrent_kernel (32, 128)", "bias (128,)", "units=32", "return_sequences"}) EXPECT_NE(text.find(part), std::string::npos) << text;
}

// ---- recorded cases
Tensors weights_of(const io::H5Group& group, const LayerImpl& layer) {
  Tensors out;
  auto read = [&](const std::string& path) {
    io::Array a = group.read(path);
    out.push_back(Tensor::from_bytes(a.data.data(), static_cast<size_t>(a.numel()), a.dtype, a.shape));
  };
  size_t own = layer.own_trainable_.size() + layer.own_non_trainable_.size();
  for (size_t i = 0; i < own; ++i) read("vars/" + std::to_string(i));
  for (const auto& [name, part] : layer.parts()) {
    if (part.impl()->weights().empty()) continue;
    Tensors below = weights_of(group.group(name), *part.impl());
    out.insert(out.end(), below.begin(), below.end());
  }
  return out;
}
core::Arg argument(const Value& v, const Tensors& inputs) {
  if (v.is_dict() && v.as_dict().find("tensor")) return inputs.at(static_cast<size_t>(v.get("tensor").as_int()));
  if (v.is_dict() && v.as_dict().find("__tuple__")) return argument(v.get("__tuple__"), inputs);
  if (v.is_list()) {
    std::vector<core::Arg> list;
    for (const Value& e : v.as_list()) list.push_back(argument(e, inputs));
    return list;
  }
  return v;
}

TEST(Recurrent, RecordedCases) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  register_cells();
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::corpus() / "layers")) {
    std::string slug = entry.path().filename();
    bool ours = false;
    for (const char* family : {"lstm-", "gru-", "simplernn-", "rnn-", "bidirectional-", "timedistributed-", "convlstm1d-", "convlstm2d-", "convlstm3d-"}) ours |= slug.starts_with(family);
    if (!ours) continue;
    SCOPED_TRACE(slug);
    test::Case c;
    c.json = io::parse_json(io::read_text_file(entry.path() / "case.json"), slug);
    c.arrays = io::read_npz(entry.path() / "data.npz");
    ++count;
    try {
      io::ZipReader zip((entry.path() / "model.keras").string());
      Value model = io::parse_json(zip.read_text("config.json"), slug);
      Value saved = model.get("config").get("layers").as_list().back();
      Layer layer = deserialize(saved);
      io::H5File h5 = io::H5File::from_bytes(zip.read("model.weights.h5"), slug);
      ASSERT_TRUE(layer.built());
      layer.set_weights(weights_of(h5.root().group("layers").group(core::to_snake_case(layer.class_name())), *layer.impl()));
      std::string config = io::to_json(c.json.get("config"), 1);
      if (config.find("StateRNNCell") == std::string::npos && config.find("StatesRNNCell") == std::string::npos) {  // a C++ class is saved as one
        EXPECT_EQ(io::to_json(layer.config(), 1), config);
      }
      Tensors inputs;
      for (const Value& in : c.json.get("inputs").as_list()) inputs.push_back(c.tensor(in.get("key")));
      auto args = [&](const Tensors& in, bool training) {
        core::CallArgs a;
        for (const Value& v : c.json.get("call").get("args").as_list()) a.args.push_back(argument(v, in));
        for (const auto& [k, v] : c.json.get("call").get("kwargs").as_dict()) a.set(k, argument(v, in));
        a.set("training", Value(training));
        return a;
      };
      double rtol = c.tolerance("rtol", 1e-4), atol = c.tolerance("atol", 1e-5);
      Tensors out = (*layer.impl())(args(inputs, false));
      const List& outputs = c.json.get("outputs").as_list();
      ASSERT_EQ(out.size(), outputs.size());
      for (size_t i = 0; i < out.size(); ++i) test::expect_close(out[i], c.tensor(outputs[i].get("key")), rtol, atol);
      EXPECT_EQ(layer.count_params(), c.json.get("count_params").as_int());
      const List& variables = c.json.get("variables").as_list();
      std::vector<Variable> ours_variables = layer.variables();
      ASSERT_EQ(ours_variables.size(), variables.size());
      for (size_t i = 0; i < variables.size(); ++i)
        if (!variables[i].get("seed_state").as_bool()) {
          // Parts that were built before their wrapper lack its name in Keras.
          EXPECT_TRUE(ours_variables[i].path().ends_with(variables[i].get("path").as_string())) << ours_variables[i].path() << " instead of " << variables[i].get("path").as_string();
        }
      if (c.json.get("train_mode") == Value("recorded")) {
        Tensors train = (*layer.impl())(args(inputs, true));
        for (size_t i = 0; i < train.size(); ++i)
          if (c.arrays.contains("train_output_" + std::to_string(i))) test::expect_close(train[i], c.tensor(Value("train_output_" + std::to_string(i))), rtol, atol);
      }
      if (!c.json.get("grad_w").is_list()) continue;
      Function f([&](const Tensors& in) -> Tensors {
        Tensors y = (*layer.impl())(args(in, false));
        Tensor loss;
        for (size_t i = 0; i < y.size(); ++i) {
          std::string key = "cot_" + std::to_string(i);
          if (!c.arrays.contains(key)) continue;
          Tensor part = ops::sum(y[i] * c.tensor(Value(key)));
          loss = loss.defined() ? loss + part : part;
        }
        Tensors g = gradients(loss, layer.trainable_weights());
        for (size_t i = 0; i < in.size(); ++i)
          if (c.arrays.contains("grad_in_" + std::to_string(i))) g.push_back(gradients(loss, Tensors{in[i]})[0]);
        return g;
      });
      Tensors g = f(inputs);
      const Value& t = c.json.get("grad_tolerance");
      double grtol = t.get("rtol").is_number() ? t.get("rtol").as_float() : 1e-3, gatol = t.get("atol").is_number() ? t.get("atol").as_float() : 1e-4;
      size_t at = 0;
      for (const Value& w : c.json.get("grad_w").as_list()) test::expect_close(g.at(at++), c.tensor(w.get("key")), grtol, gatol);
      for (size_t i = 0; i < inputs.size(); ++i)
        if (c.arrays.contains("grad_in_" + std::to_string(i))) test::expect_close(g.at(at++), c.tensor(Value("grad_in_" + std::to_string(i))), grtol, gatol);
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
  EXPECT_GT(count, 40);
}

}  // namespace
}  // namespace keras
