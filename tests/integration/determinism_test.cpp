// What lives here: after enable_op_determinism bits do not depend on the number of threads: whole training steps of networks of every family, by one thread and by several.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

#include <keras/keras.h>

namespace keras {
namespace {

using namespace layers;

Model images() {
  Tensor in = Input({24, 24, 8});
  Tensor x = Conv2D(48, {3, 3}, {.padding = "same", .use_bias = false})(in);
  x = Activation("relu")(BatchNormalization()(x));
  x = SeparableConv2D(64, {3, 3}, {.padding = "same"})(x);
  x = MaxPooling2D({2, 2})(x);
  Tensor y = Conv2D(64, {3, 3}, {.strides = {2, 2}, .padding = "same", .activation = "relu"})(x);
  x = Add()({y, Conv2D(64, {1, 1}, {.strides = {2, 2}})(x)});
  x = Dropout(0.3)(GlobalAveragePooling2D()(x));
  return Model(in, Dense(10, {.activation = "softmax"})(x));
}

Model words() {
  Tensor in = Input({40}, {.dtype = "int32"});
  Tensor x = Embedding(300, 64, {.mask_zero = true})(in);
  x = Bidirectional(LSTM(48, {.return_sequences = true}))(x);
  return Model(in, Dense(10, {.activation = "softmax"})(GRU(64)(x)));
}

Model attention() {
  Tensor in = Input({48}, {.dtype = "int32"});
  Tensor x = Embedding(300, 128)(in);
  x = LayerNormalization()(Add()({x, MultiHeadAttention(4, 32, {.dropout = 0.1})(x, x)}));
  x = LayerNormalization()(Add()({x, Dense(128)(Dense(512, {.activation = "gelu"})(x))}));
  return Model(in, Dense(10, {.activation = "softmax"})(GlobalAveragePooling1D()(x)));
}

Model wide() {
  Tensor in = Input({1024});
  return Model(in, Dense(10, {.activation = "softmax"})(Dense(512, {.activation = "relu"})(in)));
}

// Weights and predictions after three steps, as bytes.
std::vector<std::vector<std::byte>> trained(const std::function<Model()>& make, int threads) {
  set_num_threads(threads);
  utils::set_random_seed(7);
  Model model = make();
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy"});
  Shape in = model.inputs()[0].shape(), out{64};
  in[0] = 64;
  Tensor x = model.inputs()[0].dtype() == DType::Float32 ? random::normal(in, {.seed = 1}) : random::randint(in, 0, 300, {.seed = 1});
  Tensor y = random::randint(out, 0, 10, {.seed = 2});
  for (int i = 0; i < 3; ++i) model.train_on_batch(x, y);
  Tensors all = model.get_weights();
  all.push_back(model.predict(x, {.batch_size = 64, .verbose = 0}));
  std::vector<std::vector<std::byte>> bytes;
  for (const Tensor& t : all) {
    const auto* raw = static_cast<const std::byte*>(t.raw());
    bytes.emplace_back(raw, raw + t.nbytes());
  }
  return bytes;
}

class Determinism : public ::testing::Test {
 protected:
  Determinism() { config::enable_op_determinism(); }
  ~Determinism() override { set_num_threads(before_); }
  void same_bits(const std::function<Model()>& make) {
    const auto one = trained(make, 1);
    for (int threads : {2, 3, 5}) {
      const auto several = trained(make, threads);
      ASSERT_EQ(one.size(), several.size());
      for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i] == several[i]) << "weight " << i << " with " << threads << " threads";
    }
  }

 private:
  int before_ = num_threads();
};

TEST_F(Determinism, ConvolutionsDoNotDependOnThreads) { same_bits(images); }
TEST_F(Determinism, RecurrenceDoesNotDependOnThreads) { same_bits(words); }
TEST_F(Determinism, AttentionDoesNotDependOnThreads) { same_bits(attention); }
TEST_F(Determinism, WideProductsDoNotDependOnThreads) { same_bits(wide); }

}  // namespace
}  // namespace keras
