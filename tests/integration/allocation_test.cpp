// What lives here: that a steady training step and a steady prediction allocate nothing. All of this program's allocation goes through the
// counters below, those of the thread pool's threads and of oneDNN included.
#include <gtest/gtest.h>

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>

#include <keras/layers/attention/multi_head_attention.h>
#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/normalization/layer_normalization.h>
#include <keras/layers/pooling/pooling.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/layers/reshaping/reshape.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/models/model.h>
#include <keras/random.h>
#include <keras/threads.h>

#include "cpu/thread_pool.h"
#include "data/batches.h"
#include "models/functional.h"
#include "models/trainer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define KERAS_COUNTS_ALLOCATIONS 0
#else
#define KERAS_COUNTS_ALLOCATIONS 1
#endif

namespace {
// Constant-initialised: malloc is called before any constructor runs.
constexpr size_t kKept = 1 << 14;
std::atomic<bool> counting{false};
std::atomic<size_t> allocations{0};
void* callers[kKept];
inline void count(void* caller) {
  if (!counting.load(std::memory_order_relaxed)) return;
  size_t i = allocations.fetch_add(1, std::memory_order_relaxed);
  if (i < kKept) callers[i] = caller;
}
}  // namespace

#if KERAS_COUNTS_ALLOCATIONS
// The operators below do go together; inlined one by one they look as if they didn't.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) {
  count(__builtin_return_address(0));
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  count(__builtin_return_address(0));
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t size) {
  count(__builtin_return_address(0));
  return __libc_realloc(p, size);
}
void* memalign(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** p, size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  *p = __libc_memalign(alignment, size);
  return *p || !size ? 0 : ENOMEM;
}
}
// These would call malloc from within libstdc++, which says nothing about who asked. The other forms of new call them.
void* operator new(size_t size) {
  count(__builtin_return_address(0));
  if (void* p = __libc_malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t alignment) {
  count(__builtin_return_address(0));
  if (void* p = __libc_memalign(static_cast<size_t>(alignment), size ? size : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace keras {
namespace {

using namespace layers;

struct Counted {
  size_t all = 0;
  std::string who;  // libraries and functions, one line each
};

/// Allocations of all threads while it runs.
template <class F> Counted allocations_of(F&& f) {
  allocations = 0;
  counting = true;
  f();
  counting = false;
  Counted c;
  for (size_t i = 0; i < std::min(allocations.load(), kKept); ++i) {
    Dl_info info{};
    dladdr(callers[i], &info);
    if (++c.all <= 8)
      c.who += std::string("\n  ") + (info.dli_fname ? info.dli_fname : "?") + " " + (info.dli_sname ? info.dli_sname : "?");
  }
  return c;
}

Tensor numbers(const Shape& shape) {
  Tensor t = Tensor::empty(DType::Float32, shape);
  float* p = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>((i * 37 % 101) / 101.0);
  return t;
}
Tensor classes(int64_t n, int k) {
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<int32_t>(i % k));
  return Tensor::from(v, Shape{n});
}

std::vector<int> kept_vector;

/// Fits for an epoch, which compiles and warms up, then counts over steps on shuffled batches, and over predictions.
void expect_no_allocations(Model model, const Tensor& x, const Tensor& y) {
#if !KERAS_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "allocations can't be counted under a sanitizer, or without glibc";
#endif
  ASSERT_EQ(allocations_of([] { void* volatile p = std::malloc(7); std::free(p); }).all, 1u) << "the counter does not count";
  ASSERT_EQ(allocations_of([] { std::vector<int>(3).swap(kept_vector); }).all, 1u) << "the counter does not count new";
  constexpr int64_t kBatch = 32;
  model.fit(x, y, {.batch_size = kBatch, .epochs = 2, .verbose = 0});

  models::Trainer& trainer = model.trainer();
  ASSERT_EQ(trainer.train_steps.size(), 1u) << "one fit step is one executable";
  const core::Compiled& step = *trainer.train_steps[0].compiled;
  data::Batches batches({x, y}, kBatch);
  batches.start(data::Batches::Order::Shuffled);
  for (int64_t b = 0; b < batches.num_batches(); ++b) step.run(batches.gather(b), nullptr);
  Counted train = allocations_of([&] {
    for (int64_t b = 0; b < batches.num_batches(); ++b) step.run(batches.gather(b), nullptr);
  });
  EXPECT_EQ(train.all, 0u) << "in " << batches.num_batches() << " training steps, by" << train.who;

  Shape one = x.shape();
  one[0] = kBatch;
  const core::Compiled& predict = model.model_impl().predict_step({{x.dtype(), one}});
  Tensor out = Tensor::empty(predict.outputs[0].dtype, predict.outputs[0].shape);
  void* pointer = out.mutable_raw();
  data::Batches rows({x}, kBatch);
  for (int64_t b = 0; b < rows.num_batches(); ++b) predict.run(rows.gather(b), &pointer);
  Counted inference = allocations_of([&] {
    for (int64_t b = 0; b < rows.num_batches(); ++b) predict.run(rows.gather(b), &pointer);
  });
  EXPECT_EQ(inference.all, 0u) << "in " << rows.num_batches() << " predictions, by" << inference.who;
}

struct Allocations : ::testing::Test {
  void SetUp() override { utils::set_random_seed(1); }
};

TEST_F(Allocations, NoneInAnMlpWithAdamAndDropout) {
  Sequential model({Input({20}), Dense(64, {.activation = "gelu"}), Dropout(0.3), Dense(10, {.activation = "softmax"})});
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  expect_no_allocations(model, numbers({128, 20}), classes(128, 10));
}

/// A thread that is slow to start has allocated what it needs before the first job.
TEST_F(Allocations, NoneByThreadsThatStartLate) {
#if !KERAS_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "allocations can't be counted under a sanitizer, or without glibc";
#endif
  const int before = num_threads();
  std::atomic<int64_t> sum{0};
  const auto job = [&] {
    cpu::parallel_for(64, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  };
  for (int64_t round = 0; round < 30; ++round) {
    set_num_threads(16 + static_cast<int>(round % 2));  // another number: new threads
    job();
    const Counted late = allocations_of([&] {
      for (int i = 0; i < 20; ++i) job();
    });
    EXPECT_EQ(late.all, 0u) << "in round " << round << ", by" << late.who;
  }
  set_num_threads(before);
  EXPECT_EQ(sum, 30 * 21 * 64);
}

/// The loop around the steps too: what an epoch allocates does not grow with its steps.
TEST_F(Allocations, NoneInTheStepsOfFit) {
#if !KERAS_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "allocations can't be counted under a sanitizer, or without glibc";
#endif
  Sequential model({Input({20}), Dense(64, {.activation = "relu"}), Dense(10, {.activation = "softmax"})});
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  Tensor few = numbers({64, 20}), many = numbers({6400, 20}), few_y = classes(64, 10), many_y = classes(6400, 10);
  auto fit = [&](const Tensor& x, const Tensor& y) { model.fit(x, y, {.verbose = 0}); };
  fit(few, few_y);
  fit(many, many_y);
  size_t two = allocations_of([&] { fit(few, few_y); }).all, two_hundred = allocations_of([&] { fit(many, many_y); }).all;
  EXPECT_LE(two_hundred, two) << "2 steps and 200 steps";
}

TEST_F(Allocations, NoneInAConvnetWithRMSprop) {
  Sequential model({Input({8, 8, 1}), Conv2D(8, 3, {.padding = "same", .activation = "relu"}), BatchNormalization(), MaxPooling2D(2), Conv2D(16, 3, {.activation = "relu"}),
                    Flatten(), Dense(4, {.activation = "softmax"})});
  model.compile({.optimizer = "rmsprop", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  expect_no_allocations(model, numbers({128, 8, 8, 1}), classes(128, 4));
}

TEST_F(Allocations, NoneInConvolutionsOfEveryKind) {
  // Strides, dilation, groups, kernels of other sizes, a product over few pixels, transposed ones.
  Sequential model({Input({20, 18, 3}), Conv2D(8, 7, {.strides = 2, .padding = "same", .activation = "relu"}), Conv2D(12, 3, {.padding = "same", .dilation_rate = 2, .groups = 2}),
                    Conv2D(16, 1, {.strides = 2, .activation = "gelu"}), Conv2DTranspose(6, 3, {.strides = 2, .padding = "same", .activation = "tanh"}), Conv2D(3, {1, 5}),
                    Flatten(), Dense(4, {.activation = "softmax"})});
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  expect_no_allocations(model, numbers({128, 20, 18, 3}), classes(128, 4));
}

TEST_F(Allocations, NoneInConvolutionsOfOneAxisAndOfThree) {
  Sequential line({Input({30, 4}), Conv1D(12, 5, {.padding = "causal", .activation = "relu"}), Conv1D(20, 3, {.strides = 2}), Conv1D(8, 3, {.padding = "same", .dilation_rate = 2}),
                   Conv1DTranspose(5, 4, {.strides = 2}), Flatten(), Dense(4, {.activation = "softmax"})});
  line.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy"});
  expect_no_allocations(line, numbers({128, 30, 4}), classes(128, 4));
  Sequential volume({Input({7, 8, 9, 2}), Conv3D(6, 3, {.padding = "same", .activation = "relu"}), Conv3D(8, 2, {.strides = 2}), Conv3DTranspose(3, 3, {.strides = 2}), Flatten(),
                     Dense(4, {.activation = "softmax"})});
  volume.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy"});
  expect_no_allocations(volume, numbers({128, 7, 8, 9, 2}), classes(128, 4));
}

TEST_F(Allocations, NoneInRecurrenceWithMomentum) {
  Sequential model({Input({7, 5}), LSTM(12, {.dropout = 0.1, .recurrent_dropout = 0.1}), Dense(3, {.activation = "softmax"})});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}), .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  expect_no_allocations(model, numbers({128, 7, 5}), classes(128, 3));
}

TEST_F(Allocations, NoneInEmbeddedTextWithMasks) {
  Sequential model({Input({9}, {.dtype = "int32"}), Embedding(30, 8, {.mask_zero = true}), LSTM(6), Dense(1, {.activation = "sigmoid"})});
  model.compile({.optimizer = "adamw", .loss = "binary_crossentropy", .metrics = {"accuracy"}});
  std::vector<int32_t> ids;
  for (int i = 0; i < 128 * 9; ++i) ids.push_back((i * 7) % 30);
  expect_no_allocations(model, Tensor::from(ids, Shape{128, 9}), classes(128, 2).astype(DType::Float32));
}

TEST_F(Allocations, NoneInATransformerWithDropout) {
  Tensor x = Input({9, 8}), y = LayerNormalization()(x);
  CallOptions causal;
  causal.values = {{"use_causal_mask", true}};
  Tensor attended = MultiHeadAttention(2, 4, {.dropout = 0.2})(y, y, causal);
  Model model(x, Tensor(Dense(3, {.activation = "softmax"})(Flatten()(Dense(16, {.activation = "gelu"})(attended)))));
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  expect_no_allocations(model, numbers({128, 9, 8}), classes(128, 3));
}

}  // namespace
}  // namespace keras
