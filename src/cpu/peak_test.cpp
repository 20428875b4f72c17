// What lives here: tests of the measured peak: it is a machine's.
#include "cpu/peak.h"

#include <gtest/gtest.h>

#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

TEST(PeakTest, IsWhatAMachineCanDo) {
  const Peak peak = measure_peak();
  EXPECT_EQ(peak.threads, num_threads());
  // A vector of four at 1 GHz at least, no thread beyond two vectors of sixteen at 8 GHz; memory slower than that.
  EXPECT_GT(peak.flops, 1e9);
  EXPECT_LT(peak.flops, peak.threads * 2 * 2 * 16 * 8e9);
  EXPECT_GT(peak.bytes, 1e8);
  EXPECT_LT(peak.bytes, 4e12);
}

}  // namespace
}  // namespace keras::cpu
