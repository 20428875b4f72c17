// What lives here: tests of the hash functions against values of their authors and of TensorFlow.
#include "cpu/hashing.h"

#include <gtest/gtest.h>

#include <keras/base/error.h>

namespace keras::cpu {
namespace {

TEST(Hashing, SipHashAsPublished) {
  // The key 00 01 … 0f and the text 00 01 … 0e of the paper's appendix.
  std::string text;
  for (char c = 0; c < 15; ++c) text.push_back(c);
  EXPECT_EQ(sip_hash(text, {0x0706050403020100, 0x0f0e0d0c0b0a0908}), 0xa129ca6149be45e5u);
}
TEST(Hashing, FingerprintsAsTensorFlow) {
  // tf.fingerprint's documentation and recorded calls of Hashing.
  EXPECT_EQ(fingerprint64(""), 0x9ae16a3b2f90404fu);
  EXPECT_EQ(fingerprint64("omar") % 2, 0u);
  EXPECT_EQ(fingerprint64("stringer") % 2, 0u);
  EXPECT_EQ(fingerprint64("marlo") % 2, 1u);
}
TEST(Hashing, AllLengthsDiffer) {
  std::string text;
  std::vector<uint64_t> seen;
  for (int n = 0; n < 300; ++n) {
    uint64_t h = fingerprint64(text);
    for (uint64_t s : seen) ASSERT_NE(s, h);
    seen.push_back(h);
    text.push_back(static_cast<char>('a' + n % 26));
  }
}
TEST(Hashing, KernelGoesThroughText) {
  int32_t in[3] = {-7, 0, 123456}, out[3];
  void *ins[] = {in}, *outs[] = {out};
  make_hash_bins(HashKind::Fingerprint, {DType::Int32}, DType::Int32, 3, 1000, {})->run(ins, outs, nullptr);
  EXPECT_EQ(out[0], static_cast<int32_t>(fingerprint64("-7") % 1000));
  EXPECT_EQ(out[1], static_cast<int32_t>(fingerprint64("0") % 1000));
  EXPECT_EQ(out[2], static_cast<int32_t>(fingerprint64("123456") % 1000));
  EXPECT_THROW(make_hash_bins(HashKind::Fingerprint, {DType::Float32}, DType::Int32, 3, 1000, {}), ValueError);
}

}  // namespace
}  // namespace keras::cpu
