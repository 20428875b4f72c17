// What lives here: tests of the hash functions against values of their authors' programs and of TensorFlow.
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
TEST(Hashing, FingerprintsOfAllLengthsAsFarmHash) {
  std::string text;
  for (int i = 0; i < 300; ++i) text.push_back(static_cast<char>('a' + i % 26));
  const std::pair<size_t, uint64_t> known[] = {{0, 11160318154034397263u},   {3, 2640714258260161385u},    {5, 13992479962126222548u},
                                               {9, 3687479239766293058u},    {16, 6080716761534418621u},   {17, 11394395984755135400u},
                                               {25, 7043737513482161259u},   {32, 18417110746069939610u},  {33, 2004761416539416594u},
                                               {50, 6969223974270876682u},   {64, 11261912070464707578u},  {65, 2608948203458330154u},
                                               {100, 15335908545242240226u}, {128, 14061449006046005066u}, {129, 11176984671211548628u},
                                               {200, 2725806534515858166u},  {299, 17711170505790857419u}};
  for (auto [n, want] : known) EXPECT_EQ(fingerprint64(text.substr(0, n)), want) << n;
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
