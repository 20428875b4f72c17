// What lives here: tests of the attention layers. Numbers are those of Keras 3.15.1.
#include <gtest/gtest.h>

#include <keras/core/function.h>
#include <keras/layers/attention/attention.h>
#include <keras/layers/attention/multi_head_attention.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/input_layer.h>
#include <keras/random.h>

#include "core/impl.h"
#include "layers/layer_impl.h"
#include "support/check_layer.h"
#include "support/layer_cases.h"
#include "support/recorded.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;
using Numbers = std::vector<float>;

void expect_numbers(const Tensor& got, const Numbers& want, double tolerance = 2e-5) {
  test::expect_close(got, Tensor::from(want, got.shape()), tolerance, tolerance);
}
Tensor filled(const Shape& shape, int step, int modulus, int less, float divisor) {
  Numbers v;
  for (int i = 0; i < shape.numel(); ++i) v.push_back(static_cast<float>(i * step % modulus - less) / divisor);
  return Tensor::from(v, shape);
}
Tensor query() { return filled({2, 4, 3}, 7, 11, 5, 4); }
Tensor value() { return filled({2, 5, 3}, 5, 13, 6, 5); }
Tensor value_mask() { return Tensor{{true, true, false, false, true}, {false, true, true, true, true}}; }
const Dict kCausal{{"use_causal_mask", true}}, kScores{{"return_attention_scores", true}};
Output call_all(const Layer& l, const Tensors& in, const CallOptions& o) {
  return in.size() == 3 ? l(in[0], in[1], in[2], o) : l(in[0], in.at(1), o);
}
Output call_causal(const Layer& l, const Tensors& in, CallOptions o) {
  o.values = kCausal;
  return l(in[0], in.at(1), o);
}
Output call_self(const Layer& l, const Tensors& in, const CallOptions& o) { return l(in[0], in[0], o); }
Output call_scores(const Layer& l, const Tensors& in, CallOptions o) {
  o.values = kScores;
  return l(in[0], in[0], o);
}

TEST(AttentionTest, Everything) {
  check_layer([] { return Attention(); },
              {.input_shapes = {{2, 3, 4}, {2, 5, 4}},
               .unknown_axes = {1},
               .output_shapes = {{2, 3, 4}},
               .count_params = 0,
               .supports_masking = true,
               .keras_config = keras_config_text("attention", R"("use_scale": false, "score_mode": "dot", "dropout": 0.0, "seed": null)")});
  check_layer(
      [] { return Attention({.use_scale = true, .score_mode = "concat"}); },
      {.input_shapes = {{2, 3, 4}, {2, 5, 4}, {2, 5, 4}}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 2, .count_params = 2});
  check_layer([] { return Attention({.use_scale = true, .dropout = 0.5, .seed = 3}); },
              {.input_shapes = {{2, 3, 4}, {2, 5, 4}}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 1, .num_seeds = 1});
  check_layer([] { return AdditiveAttention(); },
              {.input_shapes = {{2, 3, 4}, {2, 5, 4}},
               .output_shapes = {{2, 3, 4}},
               .num_trainable_weights = 1,
               .count_params = 4,
               .keras_config = keras_config_text("additive_attention", R"("use_scale": true, "dropout": 0.0, "seed": null)")});
}
TEST(AttentionTest, NumbersOfKeras) {
  expect_numbers(AdditiveAttention({.use_scale = false})({query(), value()}, {.values = kCausal}),
                 {-1.20000005,  -0.200000003, 0.800000012, -0.89871484,   0.10128516,  1.1012851,    -0.735213935, 0.264786154,
                  0.430086583,  -0.40611577,  0.59388423,  -0.0932095051, 0.800000012, -0.800000012, 0.200000003,  1.02957475,
                  -0.570425272, 0.429574758,  0.778330922, -0.492473543,  0.507526517, 0.724435568,  -0.446899325, 0.45350033});
  Attention concat({.use_scale = true, .score_mode = "concat"});
  core::CallArgs args;
  args.args = {core::Arg(Tensors{query(), value()})};
  args.set("mask", core::Arg(Tensors{Tensor{{true, true, false, true}, {true, false, true, true}}, value_mask()}));
  expect_numbers((*concat.impl())(std::move(args))[0],
                 {-0.842042565, -0.0280438084, 0.971956253, -0.757005572, -0.0407045819, 0.959295452,   0, 0, 0,
                  -0.576114118, -0.221954063,  0.778046012, 0.222510517,  0.157406196,   -0.0289461743, 0, 0, 0,
                  0.516119301,  -0.0832276717, 0.308872581, 0.585114658,  -0.154363587,  0.412846565});
  utils::set_random_seed(3);
  expect_numbers(Attention({.dropout = 0.5})({query(), value()}, {.training = true}), {-0.220480919,
                                                                                       -0.0210186318,
                                                                                       0.358408272,
                                                                                       -0.0595927872,
                                                                                       -0.29868567,
                                                                                       -0.61055851,
                                                                                       0,
                                                                                       0,
                                                                                       0,
                                                                                       -0.0146570755,
                                                                                       0.0615837239,
                                                                                       -1.09220827,
                                                                                       1.13435388,
                                                                                       -0.784117997,
                                                                                       1.03030741,
                                                                                       1.42433882,
                                                                                       -0.772549152,
                                                                                       0.547206938,
                                                                                       -0.603193462,
                                                                                       0.028833678,
                                                                                       0.473441929,
                                                                                       0.55763334,
                                                                                       -0.512359798,
                                                                                       0.0828164145});
}
TEST(AttentionTest, ScoresAndMistakes) {
  Output y = Attention()({query(), value()}, {.values = kScores});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(y[1].shape(), (Shape{2, 4, 5}));
  EXPECT_THROW(Attention({.score_mode = "scale"}), ValueError);
  EXPECT_THROW(Attention({.dropout = 2}), ValueError);
  EXPECT_THROW(Attention()(query()), ValueError);
  EXPECT_THROW(Attention()(Tensors{query()}), ValueError);
  EXPECT_THROW(Attention()({query(), value()}, {.mask = value_mask()}), ValueError);
}

const std::string kInitializers =
    R"("kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
    R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null}, )"
    R"("kernel_regularizer": null, "bias_regularizer": null, "activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null, "seed": null)";

TEST(MultiHeadAttentionTest, Everything) {
  check_layer([] { return MultiHeadAttention(2, 3); }, {.input_shapes = {{2, 3, 5}, {2, 4, 6}},
                                                        .call = call_all,
                                                        .unknown_axes = {1},
                                                        .output_shapes = {{2, 3, 5}},
                                                        .num_trainable_weights = 8,
                                                        .count_params = 155,
                                                        .supports_masking = true});
  check_layer([] { return MultiHeadAttention(2, 3, {.value_dim = 4, .use_bias = false, .output_shape = 7}); },
              {.input_shapes = {{2, 3, 5}, {2, 4, 6}, {2, 4, 2}},
               .call = call_all,
               .output_shapes = {{2, 3, 7}},
               .num_trainable_weights = 4,
               .count_params = 146});
  check_layer([] { return MultiHeadAttention(2, 3, {.sliding_window = 2, .use_gate = true}); },
              {.input_shapes = {{2, 4, 5}, {2, 3, 5}}, .call = call_causal, .output_shapes = {{2, 4, 5}}, .num_trainable_weights = 10});
  check_layer([] { return MultiHeadAttention(2, 3, {.dropout = 0.3, .seed = 4}); },
              {.input_shapes = {{2, 4, 5}}, .call = call_self, .output_shapes = {{2, 4, 5}}, .num_seeds = 1});
  check_layer([] { return MultiHeadAttention(2, 3, {.kernel_regularizer = "l2"}); },
              {.input_shapes = {{2, 4, 5}}, .call = call_scores, .output_shapes = {{2, 4, 5}, {2, 2, 4, 4}}});
  check_layer(
      [] {
        return MultiHeadAttention(2, 2, {.attention_axes = {1, 2}});
      },
      {.input_shapes = {{2, 3, 2, 4}}, .draw_masks = false, .call = call_self, .output_shapes = {{2, 3, 2, 4}}});
  check_layer(
      [] {
        return MultiHeadAttention(2, 2, {.output_shape = {2, 3}, .attention_axes = -2});
      },
      {.input_shapes = {{2, 3, 2, 4}}, .draw_masks = false, .call = call_self, .output_shapes = {{2, 3, 2, 2, 3}}});
}
TEST(MultiHeadAttentionTest, ConfigurationAndPaths) {
  MultiHeadAttention m(2, 3, {.name = "m"});
  m(Input({4, 5}), Input({6, 5}));
  EXPECT_EQ(
      io::to_json(m.config()),
      io::to_json(io::parse_json(
          keras_config_text(
              "m",
              R"("num_heads": 2, "key_dim": 3, "value_dim": 3, "dropout": 0.0, "use_bias": true, "use_gate": false, "output_shape": null, "attention_axes": [1], "sliding_window": null, )" +
                  kInitializers),
          "")));
  EXPECT_EQ(m.impl()->build_config().str(), R"({"shapes_dict": {"query_shape": [null, 4, 5], "value_shape": [null, 6, 5]}})");
  std::vector<std::string> paths;
  for (const Variable& v : m.weights()) paths.push_back(v.path());
  EXPECT_EQ(paths, (std::vector<std::string>{"m/query/kernel", "m/query/bias", "m/key/kernel", "m/key/bias", "m/value/kernel",
                                             "m/value/bias", "m/attention_output/kernel", "m/attention_output/bias"}));
  GroupQueryAttention g(4, 4, 2, {.dropout = 0.1, .use_gate = true});
  g.build_for({None, 4, 5});
  EXPECT_EQ(g.class_name(), "GroupQueryAttention");
  EXPECT_TRUE(g.name().starts_with("grouped_query_attention"));
  EXPECT_EQ(g.variables().size(), 11u);
  EXPECT_EQ(g.weights().size(), 10u);
}
TEST(MultiHeadAttentionTest, NumbersOfKeras) {
  utils::set_random_seed(7);
  MultiHeadAttention m(2, 3, {.value_dim = 4, .dropout = 0.3});
  expect_numbers(m(query(), value()),
                 {-0.183176011, 0.643064082,   -0.135358378, -0.0795831829, 0.553778887,  -1.06214881,  -0.0853382498, 0.553964972,
                  -1.01304364,  -0.0904701203, 0.560788453,  -0.951449633,  0.0673593804, -0.345867246, 0.127137244,   0.077593267,
                  -0.32690981,  0.176599085,   0.091887109,  -0.2992284,    0.243186697,  0.110317692,  -0.264046103,  0.326072037});
  expect_numbers(m(query(), value(), {.training = true}),
                 {-0.232246429, 0.169771269,   -0.968628347, -0.159796208, 1.09516323,  -1.50242901, -0.336242199, 0.654856324,
                  -1.11844683,  0.00147259235, 0.791977286,  -1.02445388,  0.289858222, -0.349289,   0.471141428,  0.110541418,
                  -0.366986036, 0.0119929686,  0.163704708,  -0.113588877, 0.490036517, 0.206917003, -0.578881443, 0.514654696});
  expect_numbers(m(query(), value(), {.values = kCausal}),
                 {-0.349435896, 1.14066315,   -1.98067641, -0.383056998,  0.970914304, -2.18487024, -0.190672144, 0.737726212,
                  -1.50601792,  -0.130136311, 0.431050926, -1.25709522,   0.454779983, 0.227263302, 1.31433535,   0.43528533,
                  0.0506402254, 1.12431121,   0.151620612, -0.0547820628, 0.156447157, 0.141352683, -0.126167551, 0.380695403});
  utils::set_random_seed(7);
  expect_numbers(GroupQueryAttention(3, 4, 2, {.use_gate = true})(query(), value()),
                 {-0.00933680683, -0.0876830369, -0.113920748,  -0.11383348,   0.00368353166, -0.0618870519, -0.0976059139, -0.00803826749,
                  -0.0726338699,  -0.0795924962, -0.0235072225, -0.0843115449, -0.10099183,   0.0831416771,  0.0476435423,  -0.0807559341,
                  0.071049735,    0.0438634455,  -0.0574825443, 0.0555027053,  0.0407127328,  -0.0312907882, 0.0375339091,  0.0393206254});
  expect_numbers(
      MultiHeadAttention(1, 2, {.sliding_window = 2, .kernel_initializer = "ones"})(query(), query(), {.values = kCausal}),
      {-2.5, -2.5, -2.5, 1.07183266, 1.07183266, 1.07183266, 0.75,        0.75,        0.75,        -1.03351498, -1.03351498, -1.03351498,
       2.5,  2.5,  2.5,  1.94434011, 1.94434011, 1.94434011, 0.151141703, 0.151141703, 0.151141703, -1.61422503, -1.61422503, -1.61422503});
}
TEST(MultiHeadAttentionTest, MasksOfKeras) {
  MultiHeadAttention m(1, 2, {.kernel_initializer = "ones"});
  std::vector<bool> allowed(40, true);
  for (size_t i = 5; i < 10; ++i) allowed[i] = false;
  std::vector<std::pair<std::string, Tensor>> masks{{"value_mask", value_mask()}, {"attention_mask", Tensor::from(allowed, {2, 4, 5})}};
  // A step that may look nowhere sees everything alike when no scores are asked for, and nothing when they are.
  Numbers want{-1.62401593,  -1.62401593, -1.62401593,  -0.560000062, -0.560000062, -0.560000062, -0.666666806, -0.666666806,
               -0.666666806, -1.3960669,  -1.3960669,   -1.3960669,   2.39621377,   2.39621377,   2.39621377,   1.24672222,
               1.24672222,   1.24672222,  -0.766945541, -0.766945541, -0.766945541, -2.10381985,  -2.10381985,  -2.10381985};
  expect_numbers(m(query(), value(), {.tensors = masks}), want);
  Output y = m(query(), value(), {.values = kScores, .tensors = masks});
  want[3] = want[4] = want[5] = 0;
  expect_numbers(y, want);
  expect_numbers(y[1], {0.317663223,
                        0.0380793177,
                        0,
                        0,
                        0.644257545,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0.333333343,
                        0.333333343,
                        0,
                        0,
                        0.333333343,
                        0.356060207,
                        0.0997141525,
                        0,
                        0,
                        0.544225633,
                        0,
                        0.869289696,
                        0.0731712356,
                        0.00615908625,
                        0.0513800085,
                        0,
                        0.545771301,
                        0.20280613,
                        0.075361833,
                        0.176060751,
                        0,
                        0.140999779,
                        0.231304064,
                        0.379444331,
                        0.24825187,
                        0,
                        0.0142251262,
                        0.10301853,
                        0.746061444,
                        0.136694938});
  // Masks that come with the inputs are used, and the query's goes on.
  Embedding e(5, 3, {.mask_zero = true});
  Tensor x = e(Tensor{{1, 2, 0}, {3, 0, 0}});
  EXPECT_EQ(core::mask_of(m(x, x)).to_vector<double>(), (std::vector<double>{1, 1, 0, 1, 0, 0}));
  EXPECT_FALSE(core::mask_of(x).defined());  // taken off, as in Keras
  x = e(Tensor{{1, 2, 0}, {3, 0, 0}});
  Output s = m(x, x, {.values = kScores});
  EXPECT_EQ(s[1].to_vector<double>()[2], 0);
  EXPECT_FALSE(core::mask_of(s[1]).defined());
}
TEST(MultiHeadAttentionTest, MasksInCompiledFunctions) {
  Embedding e(5, 3, {.mask_zero = true});
  MultiHeadAttention m(2, 2);
  Attention a;
  Tensor ids{{1, 2, 0}, {3, 0, 0}}, others{{1, 0}, {4, 2}};
  auto body = [&](const Tensors& in) -> Tensors {
    Tensor x = e(in[0]), y = e(in[1]);
    Tensor plain = a({x, y});
    return {m(x, y), plain};
  };
  Tensors eager = body({ids, others}), compiled = Function(body)({ids, others});
  for (size_t i = 0; i < 2; ++i) test::expect_close(compiled[i], eager[i], 1e-5, 1e-6);
  EXPECT_EQ(eager[1].to_vector<double>()[6], 0);  // a masked step of the query
  // What a masked step of the value holds changes nothing.
  Tensor swapped{{1, 0}, {4, 2}};
  std::vector<Variable> w = e.weights();
  Numbers table = w[0].value().to_vector<float>();
  for (size_t i = 0; i < 3; ++i) table[i] += 10;
  w[0].assign(Tensor::from(table, {5, 3}));
  Tensors again = body({ids, swapped});
  Numbers before = eager[0].to_vector<float>(), after = again[0].to_vector<float>();
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(before[i], after[i], 1e-5);
}
TEST(MultiHeadAttentionTest, SeveralAxes) {
  Tensor h = filled({2, 2, 3, 4}, 7, 11, 5, 4);
  MultiHeadAttention m(2, 2, {.attention_axes = {2, 1}, .kernel_initializer = initializers::Constant(0.3)});
  Output y = m(h, h, {.values = kScores});
  EXPECT_EQ(y[1].shape(), (Shape{2, 2, 3, 2, 3, 2}));
  Numbers first = y.to_vector<float>(), scores = y[1].to_vector<float>();
  expect_numbers(Tensor(Numbers(first.begin(), first.begin() + 12)),
                 {-0.0449999906, -0.0449999906, -0.0449999906, -0.0449999906, -0.0217428766, -0.0217428766, -0.0217428766, -0.0217428766,
                  -0.125964224, -0.125964224, -0.125964224, -0.125964224});
  expect_numbers(Tensor(Numbers(scores.begin() + 6, scores.begin() + 12)),
                 {0.167568251, 0.223133191, 0.184352592, 0.145213008, 0.119974934, 0.159758136});
}
TEST(MultiHeadAttentionTest, Mistakes) {
  EXPECT_THROW(MultiHeadAttention(0, 2), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 0), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2, {.value_dim = 0}), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2, {.sliding_window = 0}), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2, {.dropout = 0.1, .flash_attention = true}), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2)(query()), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2)(query(), value(), query()), ValueError);  // value and key differ in length
  EXPECT_THROW(MultiHeadAttention(2, 2, {.flash_attention = true})(query(), value(), {.values = kScores}), ValueError);
  EXPECT_THROW(MultiHeadAttention(2, 2, {.attention_axes = 3})(query(), value()), ValueError);
  EXPECT_THROW(GroupQueryAttention(2, 4, 3), ValueError);
}
TEST(GroupQueryAttentionTest, Everything) {
  check_layer([] { return GroupQueryAttention(3, 4, 2); }, {.input_shapes = {{2, 3, 5}, {2, 4, 5}},
                                                            .call = call_all,
                                                            .unknown_axes = {1},
                                                            .output_shapes = {{2, 3, 5}},
                                                            .num_trainable_weights = 8,
                                                            .count_params = 209});
  check_layer([] { return GroupQueryAttention(2, 4, 1, {.dropout = 0.2, .use_gate = true, .seed = 1}); },
              {.input_shapes = {{2, 3, 5}}, .call = call_self, .output_shapes = {{2, 3, 5}}, .num_seeds = 1});
  check_layer([] { return GroupQueryAttention(2, 4, 2, {.use_bias = false, .sliding_window = 2}); },
              {.input_shapes = {{2, 4, 5}}, .call = call_scores, .output_shapes = {{2, 4, 5}, {2, 4, 4, 4}}, .num_trainable_weights = 4});
}

TEST(AttentionTest, RecordedCases) {
  int n = keras::testing::check_recorded_layers({"attention-", "additiveattention-", "multiheadattention-", "groupedqueryattention-"});
  if (n == 0) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(n, 40);
}

}  // namespace
}  // namespace keras::layers
