// What lives here: tests of feeds: order, ends, exceptions, threads that stop, memory that is used again.
#include "data/feed.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <keras/random.h>

namespace keras::data {
namespace {

Tensor numbers(int64_t rows, int64_t width = 3) {
  std::vector<float> v;
  for (int64_t i = 0; i < rows * width; ++i) v.push_back(static_cast<float>(i));
  return Tensor::from(v, Shape{rows, width});
}
Flat flat_of(const Batch& b) {
  Flat f;
  f.layout.inputs = b.x.size();
  f.layout.targets.assign(b.y.size(), 1);
  f.tensors = b.x.values;
  f.tensors.insert(f.tensors.end(), b.y.values.begin(), b.y.values.end());
  f.what.assign(f.tensors.size(), "array");
  return f;
}
/// The first numbers of all batches of a pass.
std::vector<float> firsts(Feed& feed, int64_t at_most = 1000) {
  std::vector<float> out;
  Ready batch;
  while (at_most-- && feed.next(batch)) out.push_back(*static_cast<const float*>(batch.pointers[0]));
  return out;
}

struct Numbers : utils::PyDataset {
  std::optional<int64_t> n;
  std::atomic<int> made{0}, working{0};
  int told_while_working = 0;
  Numbers(std::optional<int64_t> n, utils::PyDatasetOptions o) : PyDataset(o), n(n) {}
  std::optional<int64_t> num_batches() const override { return n; }
  Batch get_item(int64_t i) override {
    ++working;
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 3));
    ++made;
    --working;
    return {Tensor::full({2, 1}, static_cast<double>(i))};
  }
  void on_epoch_end() override { told_while_working += working; }
};

TEST(Feed, ArraysInOrderAndShuffled) {
  utils::set_random_seed(3);
  auto feed = array_feed(flat_of({numbers(10)}), 4, Batches::Order::InOrder);
  EXPECT_EQ(feed->num_batches(), 3);
  EXPECT_EQ(feed->num_rows(), 10);
  feed->start();
  EXPECT_EQ(firsts(*feed), (std::vector<float>{0, 12, 24}));
  EXPECT_TRUE(firsts(*feed).empty()) << "a pass that is over stays so";
  Ready batch;
  feed->start();
  feed->next(batch);
  const Signature* full = batch.signature;
  EXPECT_EQ(full->rows(), 4);
  feed->next(batch);
  EXPECT_EQ(batch.signature, full) << "one address for equal batches";
  feed->next(batch);
  EXPECT_EQ(batch.signature->rows(), 2);
  auto shuffled = array_feed(flat_of({numbers(10)}), 4, Batches::Order::Shuffled);
  std::vector<uint32_t> before = shuffled->generator();
  shuffled->start();
  EXPECT_EQ(shuffled->generator(), before) << "nothing is drawn before it is needed";
  std::vector<float> order = firsts(*shuffled);
  // The same pass again, from its second batch.
  shuffled->start_at(before, 1);
  EXPECT_EQ(firsts(*shuffled), (std::vector<float>{order[1], order[2]}));
  auto inside = array_feed(flat_of({numbers(10)}), 4, Batches::Order::ShuffledBatches);
  before = inside->generator();
  inside->start();
  order = firsts(*inside);
  inside->start_at(before, 2);
  EXPECT_EQ(firsts(*inside), (std::vector<float>{order[2]}));
}

TEST(Feed, WorkersKeepTheOrder) {
  for (int64_t workers : {1, 2, 7})
    for (int64_t queue : {1, 3, 10}) {
      Numbers data(20, {.workers = workers, .max_queue_size = queue});
      auto feed = source_feed(data, flat_of, false);
      std::vector<float> want;
      for (int i = 0; i < 20; ++i) want.push_back(static_cast<float>(i));
      for (int pass = 0; pass < 2; ++pass) {
        feed->start();
        feed->on_epoch_begin();
        EXPECT_EQ(firsts(*feed), want);
        feed->on_epoch_end();
      }
      EXPECT_EQ(data.made, 40);
      EXPECT_EQ(data.told_while_working, 0);
    }
}

TEST(Feed, WorkersAreNoFurtherAheadThanTheQueue) {
  Numbers data(std::nullopt, {.workers = 3, .max_queue_size = 4});
  auto feed = source_feed(data, flat_of, true);
  EXPECT_FALSE(feed->num_batches());
  feed->start();
  EXPECT_EQ(firsts(*feed, 5), (std::vector<float>{0, 1, 2, 3, 4}));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(data.made, 5 + 4);
  feed->on_epoch_end();
  EXPECT_EQ(data.told_while_working, 0);
  EXPECT_EQ(firsts(*feed, 2), (std::vector<float>{5, 6})) << "what was made ahead is not lost";
  int made = data.made;
  feed.reset();  // stops them
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LE(data.made - made, 4);
}

TEST(Feed, ExceptionsComeInTheirPlaceAndAgain) {
  for (int64_t ahead : {0, 3}) {
    int calls = 0;
    BatchGenerator generator([&]() -> std::optional<Batch> {
      if (++calls == 4) throw std::runtime_error("no more");
      return Batch{Tensor::full({1, 1}, calls)};
    });
    auto feed = source_feed(generator.set_prefetch(ahead), flat_of, false);
    feed->start();
    EXPECT_EQ(firsts(*feed, 3), (std::vector<float>{1, 2, 3}));
    Ready batch;
    EXPECT_THROW(feed->next(batch), std::runtime_error);
    if (ahead) {
      EXPECT_THROW(feed->next(batch), std::runtime_error);
    }
  }
}

// A function: GCC 12 can't make initializer lists inside of a co_yield.
Batch one(int number) { return {Tensor::full({1, 1}, number)}; }
BatchGenerator counted(int n) {
  for (int i = 0; i < n; ++i) co_yield one(i);
}
BatchGenerator failing() {
  co_yield one(1);
  throw std::domain_error("in a coroutine");
}

TEST(Feed, Coroutines) {
  for (int64_t ahead : {0, 2}) {
    auto feed = source_feed(counted(5).set_prefetch(ahead), flat_of, false);
    feed->start();
    EXPECT_EQ(firsts(*feed), (std::vector<float>{0, 1, 2, 3, 4}));
    EXPECT_TRUE(firsts(*feed).empty());
    feed->start();
    EXPECT_EQ(firsts(*feed), (std::vector<float>{0, 1})) << "as Keras: the two that it looked at come again";
  }
  BatchGenerator never_begun = counted(3);
  BatchGenerator half = counted(3);
  half();
  EXPECT_THROW(source_feed(failing(), flat_of, false), std::domain_error);
  EXPECT_THROW(source_feed(counted(0), flat_of, false), ValueError);
}

TEST(Feed, BatchesOfSeveralShapes) {
  BatchGenerator generator([n = 0]() mutable -> std::optional<Batch> {
    if (++n > 6) return std::nullopt;
    return Batch{numbers(n % 2 ? 4 : 2)};
  });
  auto feed = source_feed(generator, flat_of, false);
  feed->start();
  std::vector<const Signature*> seen;
  Ready batch;
  while (feed->next(batch)) {
    seen.push_back(batch.signature);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.pointers[0]) % 64, 0u);
    EXPECT_EQ(batch.tensors()[0].shape()[0], batch.signature->rows());
  }
  ASSERT_EQ(seen.size(), 6u);
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(seen[i], seen[i - 2]);
  EXPECT_NE(seen[0], seen[1]);
}

TEST(Feed, LayoutsPutBatchesTogetherAgain) {
  Layout layout{2, {0, 1}, {1, 0}, {"a", "b"}, {}};
  Batch b = layout.batch({numbers(1), numbers(2), numbers(3), numbers(4)});
  EXPECT_EQ(b.x["b"].shape()[0], 2);
  EXPECT_FALSE(b.y[0].defined());
  EXPECT_EQ(b.y[1].shape()[0], 3);
  EXPECT_EQ(b.sample_weight[0].shape()[0], 4);
  EXPECT_THROW(b.x["c"], ValueError);
}

}  // namespace
}  // namespace keras::data
