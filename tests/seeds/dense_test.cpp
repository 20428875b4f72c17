// What lives here: seeds S01 to S10: Dense acts on the last axis, and the library says so itself.
#include <unistd.h>

#include <cstring>

#include "seeds/seeds.h"

using namespace keras;
using namespace keras::layers;
using namespace keras::seeds;
using ::testing::HasSubstr;

TEST(Seeds, S01_DenseKeepsTheMiddleAxis) {
  Tensor x = Input({2, 3});
  Dense dense(4);
  Tensor y = dense(x);
  EXPECT_EQ(y.shape(), (Shape{None, 2, 4}));
  EXPECT_EQ(dense.kernel().shape(), (Shape{3, 4}));
  EXPECT_EQ(dense.bias().shape(), (Shape{4}));
  EXPECT_EQ(Model(x, y).predict(Tensor::full({5, 2, 3}, 1)).shape(), (Shape{5, 2, 4}));
}

TEST(Seeds, S02_FlattenBeforeDense) {
  Tensor x = Input({2, 3});
  Dense dense(4);
  Tensor y = dense(Flatten()(x));
  EXPECT_EQ(y.shape(), (Shape{None, 4}));
  EXPECT_EQ(dense.kernel().shape(), (Shape{6, 4}));
  EXPECT_EQ(Model(x, y).predict(Tensor::full({5, 2, 3}, 1)).shape(), (Shape{5, 4}));
}

namespace {
Sequential two_dense(const Shape& input_shape) {
  return Sequential({Dense(4, {.activation = "linear", .input_shape = input_shape}), Dense(10, {.activation = "softmax"})});
}
}  // namespace

TEST(Seeds, S03_FourInputShapesAndTheirSummary) {
  struct Case {
    Shape input, first, second;
    int64_t first_params, total;
    const char* total_text;
  };
  const std::vector<Case> cases = {
      {{784}, {None, 4}, {None, 10}, 3140, 3190, "3,190"},
      {{784, 1}, {None, 784, 4}, {None, 784, 10}, 8, 58, "58"},
      {{32, 28}, {None, 32, 4}, {None, 32, 10}, 116, 166, "166"},
      {{32, 28, 1}, {None, 32, 28, 4}, {None, 32, 28, 10}, 8, 58, "58"},
  };
  utils::clear_session();
  std::string last;
  for (const Case& c : cases) {
    Sequential m = two_dense(c.input);
    EXPECT_EQ(m.get_layer(0).output_shape(), c.first);
    EXPECT_EQ(m.get_layer(1).output_shape(), c.second);
    EXPECT_EQ(m.get_layer(0).count_params(), c.first_params);
    EXPECT_EQ(m.get_layer(1).count_params(), 50);
    EXPECT_EQ(m.count_params(), c.total);
    EXPECT_THAT(m.summary_text(), HasSubstr(std::string("Total params: ") + c.total_text + " ("));
    last = m.summary_text({.style = "plain"});
    Tensor y = m.predict(some(Shape{2} + c.input));
    EXPECT_EQ(y.shape().slice(1), c.second.slice(1));
    expect_near(ops::sum(y, -1), Numbers(static_cast<size_t>(y.numel() / 10), 1.0));
  }
  // Counters are Keras 3's: the fourth model and its layers 6 and 7.
  EXPECT_EQ(last,
            "Model: \"sequential_3\"\n"
            "_________________________________________________________________\n"
            " Layer (type)                Output Shape              Param #   \n"
            "=================================================================\n"
            " dense_6 (Dense)             (None, 32, 28, 4)         8         \n"
            "                                                                 \n"
            " dense_7 (Dense)             (None, 32, 28, 10)        50        \n"
            "                                                                 \n"
            "=================================================================\n"
            "Total params: 58 (232.00 Byte)\n"
            "Trainable params: 58 (232.00 Byte)\n"
            "Non-trainable params: 0 (0.00 Byte)\n"
            "_________________________________________________________________\n");
}

TEST(Seeds, S04_EachVectorAlongTheLastAxisGoesThroughTheSameWeights) {
  for (const Shape& outer : {Shape{3}, Shape{2, 5}, Shape{2, 3, 4}, Shape{2, 1, 3, 2}}) {
    for (auto [d, m] : {std::pair<int64_t, int64_t>{4, 3}, {1, 6}}) {
      Dense dense(m, {.bias_initializer = "ones", .dtype = "float64"});
      Tensor x = some(outer + Shape{d}, DType::Float64), cotangent = some(outer + Shape{m}, DType::Float64, 8);
      dense.build_for(x.shape());
      EXPECT_EQ(dense.count_params(), d * m + m);
      Tensor y;
      Tensors grads;
      {
        GradientTape tape;
        tape.watch(x);
        y = dense(x);
        Tensor target = ops::sum(y * cotangent);
        grads = tape.gradient(target, Tensors{x, dense.kernel().value(), dense.bias().value()});
      }
      ASSERT_EQ(y.shape(), outer + Shape{m});
      Numbers in = numbers(x), g = numbers(cotangent), k = numbers(dense.kernel()), b = numbers(dense.bias());
      Numbers want(g.size()), gx(in.size()), gk(k.size()), gb(b.size());
      size_t D = static_cast<size_t>(d), M = static_cast<size_t>(m);
      for (size_t p = 0; p < in.size() / D; ++p)
        for (size_t j = 0; j < M; ++j) {
          want[p * M + j] = b[j];
          gb[j] += g[p * M + j];
          for (size_t i = 0; i < D; ++i) {
            want[p * M + j] += in[p * D + i] * k[i * M + j];
            gx[p * D + i] += g[p * M + j] * k[i * M + j];
            gk[i * M + j] += g[p * M + j] * in[p * D + i];
          }
        }
      expect_near(y, want, 1e-12);
      expect_near(grads[0], gx, 1e-12);
      GradientTape tape;
      Tensors by_variable = tape.gradient(ops::sum(dense(x) * cotangent), dense.trainable_variables());
      expect_near(by_variable[0], gk, 1e-12);
      expect_near(by_variable[1], gb, 1e-12);
    }
  }
}

TEST(Seeds, S05_SixtyParameters) {
  Sequential m({Dense(10, {.input_shape = Shape{20, 5}})});
  EXPECT_EQ(m.get_layer(0).output_shape(), (Shape{None, 20, 10}));
  EXPECT_EQ(m.get_layer(0).count_params(), 60);
  EXPECT_EQ(m.count_params(), 10 * 5 + 10);
}

TEST(Seeds, S06_TimeDistributedDenseIsDense) {
  for (const Shape& shape : {Shape{4, 6, 5}, Shape{2, 3, 4, 5}}) {
    Dense plain(7, {.activation = "tanh"});
    TimeDistributed timed(Dense(7, {.activation = "tanh"}));
    Tensor x = some(shape);
    plain.build_for(shape);
    timed.build_for(shape);
    timed.set_weights(plain.get_weights());
    Tensor cotangent = some(shape.slice(0, -1) + Shape{7}, DType::Float32, 9);
    auto run = [&](const Layer& layer) {
      GradientTape tape;
      tape.watch(x);
      Tensor y = layer(x);
      Tensor target = ops::sum(y * cotangent);
      std::vector<Variable> weights = layer.trainable_variables();
      Tensors out = tape.gradient(target, weights);
      out.push_back(y);
      return out;
    };
    auto input_gradient = [&](const Layer& layer) {
      GradientTape tape;
      tape.watch(x);
      return tape.gradient(ops::sum(layer(x) * cotangent), x);
    };
    Tensors a = run(plain), b = run(timed);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) expect_same_bits(a[i], b[i]);
    expect_same_bits(input_gradient(plain), input_gradient(timed));
    // As a compiled model too.
    Tensor in = Input(shape.slice(1));
    Model m(in, Tensors{plain(in), timed(in)});
    Tensors both = m.predict_all(x);
    expect_same_bits(both[0], both[1]);
  }
}

TEST(Seeds, S07_ConvolutionAndPoolingChangeTheMiddleAxes) {
  utils::clear_session();
  Sequential m({
      Input({28, 27, 3}),
      Conv2D(8, 3),
      Conv2D(8, {3, 5}, {.padding = "same"}),
      Conv2D(4, 3, {.strides = 2}),
      Conv2D(4, 3, {.strides = 2, .padding = "same"}),
      Conv2D(2, 2, {.dilation_rate = 2}),
      MaxPooling2D(2),
      AveragePooling2D(2, {.padding = "same"}),
  });
  // (28 - 3)/1 + 1 = 26, kept, (26 - 3)/2 + 1 = 12, 12/2 = 6, 6 - 2 = 4, 4/2 = 2, 2/2 = 1.
  EXPECT_EQ(m.summary_text({.style = "plain"}),
            "Model: \"sequential\"\n"
            "_________________________________________________________________\n"
            " Layer (type)                Output Shape              Param #   \n"
            "=================================================================\n"
            " conv2d (Conv2D)             (None, 26, 25, 8)         224       \n"
            "                                                                 \n"
            " conv2d_1 (Conv2D)           (None, 26, 25, 8)         968       \n"
            "                                                                 \n"
            " conv2d_2 (Conv2D)           (None, 12, 12, 4)         292       \n"
            "                                                                 \n"
            " conv2d_3 (Conv2D)           (None, 6, 6, 4)           148       \n"
            "                                                                 \n"
            " conv2d_4 (Conv2D)           (None, 4, 4, 2)           34        \n"
            "                                                                 \n"
            " max_pooling2d (MaxPooling2  (None, 2, 2, 2)           0         \n"
            " D)                                                              \n"
            "                                                                 \n"
            " average_pooling2d (Average  (None, 1, 1, 2)           0         \n"
            " Pooling2D)                                                      \n"
            "                                                                 \n"
            "=================================================================\n"
            "Total params: 1666 (6.51 KB)\n"
            "Trainable params: 1666 (6.51 KB)\n"
            "Non-trainable params: 0 (0.00 Byte)\n"
            "_________________________________________________________________\n");
  // What the table says is what comes out.
  Tensor y = m.predict(some({2, 28, 27, 3}));
  EXPECT_EQ(y.shape(), (Shape{2, 1, 1, 2}));
  // Symbolic shapes are real shapes, for every way of stepping.
  for (const char* padding : {"valid", "same"})
    for (int64_t stride : {1, 2, 3})
      for (int64_t dilation : {1, 2, 3}) {
        if (stride > 1 && dilation > 1) continue;
        for (int64_t size : {7, 8, 9, 10}) {
          Conv2D conv(3, 3, {.strides = stride, .padding = padding, .dilation_rate = dilation});
          Tensor in = Input({size, size + 1, 2});
          Shape symbolic = conv(in).shape();
          int64_t reach = 2 * dilation + 1;
          auto want = [&](int64_t n) { return std::string(padding) == "same" ? (n + stride - 1) / stride : (n - reach) / stride + 1; };
          EXPECT_EQ(symbolic, (Shape{None, want(size), want(size + 1), 3}));
          EXPECT_EQ(conv.count_params(), 3 * 3 * 2 * 3 + 3);
          EXPECT_EQ(conv(some({1, size, size + 1, 2})).shape().slice(1), symbolic.slice(1));
        }
      }
}

TEST(Seeds, S08_TheLibraryExplainsShapesAndParameters) {
  utils::clear_session();
  // A layer, from a shape alone.
  std::string dense = Dense(4).explain({None, 784, 1});
  EXPECT_THAT(dense, HasSubstr("(None, 784, 1) -> (None, 784, 4)"));
  EXPECT_THAT(dense, HasSubstr("axis 0 = None: batch"));
  EXPECT_THAT(dense, HasSubstr("axis 1 = 784: kept from the input"));
  EXPECT_THAT(dense, HasSubstr("axis 2 = 4: units=4"));
  EXPECT_THAT(dense, HasSubstr("kernel (1, 4)"));
  EXPECT_THAT(dense, HasSubstr("8 parameters"));
  EXPECT_THAT(dense, HasSubstr("nothing is flattened"));
  EXPECT_THAT(Dense(4).explain({None, 784}), ::testing::Not(HasSubstr("flattened")));
  EXPECT_THAT(Flatten().explain({None, 2, 3}), ::testing::ContainsRegex("axis 1 = 6: .*2 x 3"));

  // A whole model: every layer, and the sum.
  Sequential m = two_dense({32, 28, 1});
  std::string all = m.explain();
  EXPECT_THAT(all, HasSubstr(m.name() + " (Sequential): (None, 32, 28, 1) -> (None, 32, 28, 10)"));
  EXPECT_THAT(all, HasSubstr("axis 3 = 4: units=4"));
  EXPECT_THAT(all, HasSubstr("axis 3 = 10: units=10"));
  EXPECT_THAT(all, HasSubstr("58 parameters = 8 (" + m.get_layer(0).name() + ") + 50 (" + m.get_layer(1).name() + ")"));
  // Rank without the batch axis (S10).
  EXPECT_THAT(two_dense({784}).explain(), HasSubstr("one sample has the shape (784,), of rank 1"));
  EXPECT_THAT(two_dense({784, 1}).explain(), HasSubstr("one sample has the shape (784, 1), of rank 2"));

  // Layers of all kinds: a sentence for each axis, the parameters they have, no two sums.
  struct Case {
    Layer layer;
    Shape input;
    std::vector<const char*> words;
  };
  const std::vector<Case> cases = {
      {Conv2D(32, 3), {None, 28, 28, 3}, {"(28 - 3) / 1 + 1 = 26", "filters=32", "896 parameters"}},
      {Conv2D(4, 3, {.strides = 2, .padding = "same"}), {None, 7, 7, 2}, {"7 / 2 rounded up = 4", "same padding"}},
      {Conv2D(4, 3, {.dilation_rate = 2}), {None, 9, 9, 2}, {"dilation 2 reaches over 5"}},
      {MaxPooling2D(2), {None, 9, 9, 2}, {"axis 1 = 4", "no parameters"}},
      {AveragePooling2D(2), {None, 9, 9, 2}, {"axis 3 = 2", "no parameters"}},
      {LSTM(32), {None, 280, 128}, {"axis 1 = 32", "20608 parameters"}},
      {GRU(8, {.return_sequences = true}), {None, 5, 3}, {"axis 1 = 5", "axis 2 = 8", "312 parameters"}},
      {Bidirectional(LSTM(4)), {None, 6, 3}, {"axis 1 = 8", "256 parameters"}},
      {TimeDistributed(Dense(6)), {None, 5, 3}, {"axis 1 = 5", "axis 2 = 6", "24 parameters"}},
      {Embedding(4, 5), {None, 7}, {"axis 2 = 5: output_dim=5", "20 parameters"}},
      {BatchNormalization(), {None, 5, 3}, {"axis 2 = 3", "12 parameters, 6 of them not trained"}},
      {LayerNormalization(), {None, 5, 3}, {"6 parameters"}},
      {Reshape({4, 3}), {None, 12}, {"axis 1 = 4", "axis 2 = 3"}},
      {Permute({2, 1}), {None, 4, 3}, {"axis 1 = 3", "axis 2 = 4"}},
      {RepeatVector(5), {None, 4}, {"axis 1 = 5", "axis 2 = 4"}},
      {Dropout(0.5), {None, 4}, {"kept from the input"}},
      {Activation("relu"), {None, 4}, {"kept from the input", "no parameters"}},
  };
  for (const Case& c : cases) {
    std::string text = c.layer.explain(c.input);
    Shape out = c.layer.compute_output_shape(c.input);
    EXPECT_THAT(text, HasSubstr(c.input.str() + " -> " + out.str()));
    for (int i = 0; i < out.rank(); ++i) EXPECT_THAT(text, HasSubstr("axis " + std::to_string(i) + " = " + (out[i] < 0 ? "None" : std::to_string(out[i])) + ": "));
    for (const char* w : c.words) EXPECT_THAT(text, HasSubstr(w)) << text;
  }

  // Graphs: several inputs, functions of keras::ops, a shared layer, a model inside a model.
  Tensor a = Input({3}, {.name = "a"}), b = Input({3}, {.name = "b"});
  Dense shared(2, {.name = "shared"});
  Model inner(a, shared(a), {.name = "inner"});
  Tensor joined = Concatenate()({inner(a), shared(b)});
  Model outer({a, b}, ops::exp(joined), {.name = "outer"});
  std::string graph = outer.explain();
  EXPECT_THAT(graph, HasSubstr("outer (Functional): (None, 3), (None, 3) -> (None, 4)"));
  EXPECT_THAT(graph, HasSubstr("inner (Functional): (None, 3) -> (None, 2)"));
  EXPECT_THAT(graph, HasSubstr("fed by inner, shared"));
  EXPECT_THAT(graph, HasSubstr("a function of keras::ops: no parameters"));
  EXPECT_THAT(graph, HasSubstr("8 parameters = "));

  // With other sizes than those it was made for.
  Tensor t = Input({None, 5});
  Model any_length(t, Dense(2)(Conv1D(4, 3)(t)));
  EXPECT_THAT(any_length.explain({8, 10, 5}), HasSubstr("(8, 10, 5) -> (8, 8, 2)"));
  EXPECT_THAT(any_length.explain({8, 10, 5}), HasSubstr("(10 - 3) / 1 + 1 = 8"));

  // A layer of the user's own is explained too; one that was never called has nothing to explain.
  struct Own : Layer {
    Own() : Layer("Own") {}
    void build(const Shape& in) override { w = add_weight({.name = "w", .shape = {in.back(), 3}}); }
    Tensor call(const Tensor& x) override { return ops::matmul(x, w); }
    Variable w;
  };
  std::string own = make<Own>().explain({None, 5});
  EXPECT_THAT(own, HasSubstr("(None, 5) -> (None, 3)"));
  EXPECT_THAT(own, HasSubstr("w (5, 3): 5 x 3 = 15"));
  EXPECT_THAT(error_of<ValueError>([] { Dense(4).explain(); }), HasSubstr("explain({None, 784})"));
}

TEST(Seeds, S09_PrintingASymbolicTensor) {
  utils::clear_session();
  Tensor x = Input({2, 4});
  EXPECT_EQ(x.str(), "<KerasTensor shape=(None, 2, 4), dtype=float32, sparse=False, ragged=False, name=keras_tensor>");
  std::ostringstream out;
  out << x;
  EXPECT_EQ(out.str(), x.str());
  EXPECT_EQ(Tensor(Dense(3)(x)).str(), "<KerasTensor shape=(None, 2, 3), dtype=float32, sparse=False, ragged=False, name=keras_tensor_1>");
  EXPECT_EQ(Input({}, {.dtype = "int32", .name = "ids"}).str(), "<KerasTensor shape=(None,), dtype=int32, sparse=False, ragged=False, name=ids>");
}

TEST(Seeds, S10_RanksWithoutTheBatchAxis) {
  EXPECT_EQ((Shape{784}).rank(), 1);
  EXPECT_EQ((Shape{784, 1}).rank(), 2);
  EXPECT_EQ((Shape{784}).str(), "(784,)");
  EXPECT_EQ((Shape{784, 1}).str(), "(784, 1)");
  EXPECT_EQ(Input({784}).rank(), 2);
  EXPECT_EQ(Input({784, 1}).rank(), 3);
  EXPECT_EQ(K::ndim(Input({784, 1})), 3);
}
