// What lives here: tests of the thread pool: coverage of the range, nesting, several callers, exceptions.
#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace keras::cpu {
namespace {

class ThreadPool : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { before_ = num_threads(), set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(before_); }
  int before_ = 1;
};

TEST_P(ThreadPool, CoversTheRangeOnceInMultiplesOfTheGrain) {
  for (int64_t n : {0, 1, 7, 64, 1000, 12345})
    for (int64_t grain : {1, 3, 64, 5000}) {
      std::vector<int> hits(static_cast<size_t>(n), 0);
      parallel_for(n, grain, [&](int64_t b, int64_t e) {
        EXPECT_EQ(b % grain, 0);
        EXPECT_TRUE(e == n || e % grain == 0);
        for (int64_t i = b; i < e; ++i) ++hits[static_cast<size_t>(i)];
      });
      EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), n);
      for (int h : hits) EXPECT_EQ(h, 1);
    }
}

TEST_P(ThreadPool, SlotsAreNotShared) {
  for (int max_slots : {1, 2, 3}) {
    std::vector<std::atomic<int>> busy(static_cast<size_t>(max_slots));
    parallel_for_slots(2000, 1, max_slots, [&](int64_t, int64_t, int slot) {
      ASSERT_LT(slot, max_slots);
      EXPECT_EQ(busy[static_cast<size_t>(slot)].fetch_add(1), 0);
      busy[static_cast<size_t>(slot)].fetch_sub(1);
    });
  }
}

TEST_P(ThreadPool, NestedCallsRunInline) {
  std::atomic<int64_t> sum{0};
  parallel_for(64, 1, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i)
      parallel_for(100, 1, [&](int64_t b2, int64_t e2) { sum += e2 - b2; });
  });
  EXPECT_EQ(sum, 6400);
  EXPECT_FALSE(in_parallel_region());
}

TEST_P(ThreadPool, SeveralUserThreads) {
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> users;
  for (int t = 0; t < 4; ++t)
    users.emplace_back([&] {
      for (int r = 0; r < 500; ++r) parallel_for(100, 7, [&](int64_t b, int64_t e) { sum += e - b; });
    });
  for (auto& t : users) t.join();
  EXPECT_EQ(sum, 4 * 500 * 100);
}

TEST_P(ThreadPool, ExceptionsReachTheCaller) {
  for (int r = 0; r < 50; ++r) {
    EXPECT_THROW(parallel_for(1000, 1, [](int64_t b, int64_t e) { if (b <= 500 && 500 < e) throw std::out_of_range("x"); }), std::out_of_range);
    std::atomic<int> n{0};
    parallel_for(10, 1, [&](int64_t b, int64_t e) { n += static_cast<int>(e - b); });
    EXPECT_EQ(n, 10);
  }
}

TEST_P(ThreadPool, ManyShortJobs) {
  int64_t sum = 0;
  for (int r = 0; r < 20000; ++r) {
    std::atomic<int64_t> s{0};
    parallel_for(8, 1, [&](int64_t b, int64_t e) { s += e - b; });
    sum += s;
  }
  EXPECT_EQ(sum, 160000);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPool, ::testing::Values(1, 2, 5));

}  // namespace
}  // namespace keras::cpu
