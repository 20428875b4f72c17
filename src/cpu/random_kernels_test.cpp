// What lives here: tests of the random kernels against numbers that Keras 3.15 on JAX drew, and of their independence of ranges,
// threads and instruction sets. "wsum" is the sum of (n + 1) times the n-th output's bits, modulo 2^64.
#include "cpu/random_kernels.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <keras/base/error.h>

#include "cpu/random_scalar.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

constexpr uint32_t kSeven[2] = {7, 0}, kEleven[2] = {11, 0}, kKey[2] = {0x12345678u, 0x9abcdef0u};
constexpr int64_t kLarge = 1 << 18;

template <class T> uint64_t wsum(const std::vector<T>& v) {
  static_assert(sizeof(T) == 4);
  uint64_t sum = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &v[i], 4);
    sum += (i + 1) * uint64_t{bits};
  }
  return sum;
}

template <class T, class U> void expect_near(const std::vector<T>& got, const std::vector<U>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(static_cast<double>(got[i]), static_cast<double>(want[i]), tolerance * std::max(1.0, std::fabs(double{want[i]}))) << i;
}

/// Runs a kernel with inputs (key, more) and one output of n elements.
template <class T> std::vector<T> run(const engine::Kernel& kernel, const uint32_t* key, size_t n, std::vector<const void*> more = {}) {
  std::vector<void*> in{const_cast<uint32_t*>(key)};
  for (const void* p : more) in.push_back(const_cast<void*>(p));
  std::vector<T> result(n);
  void* out[] = {result.data()};
  std::vector<uint64_t> scratch(kernel.scratch_bytes() / 8 + 8);
  const uintptr_t at = (reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64;
  kernel.run(in.data(), out, reinterpret_cast<void*>(at));
  return result;
}
template <class T> std::vector<T> draw(RandomKind kind, const uint32_t* key, size_t n, double a = 0, double b = 1) {
  return run<T>(*make_random(kind, dtype_of_v<T>, static_cast<int64_t>(n), a, b), key, n);
}

TEST(Threefry, KnownAnswers) {
  EXPECT_EQ(threefry2x32({0, 0}, 0, 0), (RandomKey{0x6b200159u, 0x99ba4efeu}));
  EXPECT_EQ(threefry2x32({~0u, ~0u}, ~0u, ~0u), (RandomKey{0x1cb996fcu, 0xbb002be7u}));
  EXPECT_EQ(threefry2x32({0x13198a2eu, 0x03707344u}, 0x243f6a88u, 0x85a308d3u), (RandomKey{0xc4923a9cu, 0x483df7a0u}));
}

TEST(Threefry, BitsOfAllWidths) {
  EXPECT_EQ(draw<uint8_t>(RandomKind::Bits, kKey, 6), (std::vector<uint8_t>{0xba, 0x9e, 0xb8, 0xd1, 0xb4, 0x52}));
  EXPECT_EQ(draw<uint16_t>(RandomKind::Bits, kKey, 6), (std::vector<uint16_t>{0x70ba, 0xc99e, 0xecb8, 0x39d1, 0x82b4, 0x7e52}));
  EXPECT_EQ(draw<uint32_t>(RandomKind::Bits, kKey, 6),
            (std::vector<uint32_t>{0x4d9370bau, 0x2510c99eu, 0xc940ecb8u, 0x8bff39d1u, 0x1b5d82b4u, 0xc4597e52u}));
  EXPECT_EQ(draw<uint64_t>(RandomKind::Bits, kKey, 3),
            (std::vector<uint64_t>{0xed280379a0bb73c3u, 0x7c4d1fd5595dd64bu, 0x612ee2fda86e0e45u}));
}

TEST(Threefry, SplitGivesTheChildrenOfAKey) {
  const std::vector<uint32_t> want{0xed280379u, 0xa0bb73c3u, 0x7c4d1fd5u, 0x595dd64bu, 0x612ee2fdu, 0xa86e0e45u};
  EXPECT_EQ(run<uint32_t>(*make_random_split(3), kKey, 6), want);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(random_child({kKey[0], kKey[1]}, i), (RandomKey{want[2 * i], want[2 * i + 1]}));
}

TEST(Threefry, AnyRangeIsThatPartOfTheWhole) {
  std::vector<uint32_t> whole(300);
  random_bits(kKey, 0, 300, whole.data());
  for (int64_t begin : {0, 1, 3, 16, 63, 200}) {
    for (int64_t count : {0, 1, 7, 16, 31, 64, 65, 100}) {
      std::vector<uint32_t> part(static_cast<size_t>(count) + 1, 99);
      random_bits(kKey, begin, count, part.data());
      for (int64_t i = 0; i < count; ++i) ASSERT_EQ(part[static_cast<size_t>(i)], whole[static_cast<size_t>(begin + i)]);
      ASSERT_EQ(part.back(), 99u);
      std::vector<uint64_t> wide(static_cast<size_t>(count) + 1, 99);
      random_bits(kKey, begin, count, wide.data());
      for (int64_t i = 0; i < count; ++i)
        ASSERT_EQ(wide[static_cast<size_t>(i)], detail::word_at<double>({kKey[0], kKey[1]}, static_cast<uint64_t>(begin + i)));
      ASSERT_EQ(wide.back(), 99u);
    }
  }
}

TEST(Threefry, IndicesBeyond32Bits) {
  const int64_t begin = (int64_t{5} << 32) - 37;
  std::vector<uint32_t> words(100), pairs(200);
  std::vector<float> uniform(100);
  random_bits(kKey, begin, 100, words.data());
  random_split(kKey, begin, 100, pairs.data());
  random_uniform(kKey, begin, 100, 0, 1, uniform.data());
  for (uint64_t i = 0; i < 100; ++i) {
    const RandomKey child = random_child({kKey[0], kKey[1]}, static_cast<uint64_t>(begin) + i);
    EXPECT_EQ(words[i], child[0] ^ child[1]);
    EXPECT_EQ(pairs[2 * i], child[0]);
    EXPECT_EQ(pairs[2 * i + 1], child[1]);
    EXPECT_EQ(uniform[i], detail::Format<float>::unit(words[i]));
  }
}

TEST(RandomUniform, EqualsKerasBitForBit) {
  constexpr uint32_t key[2] = {1337, 0};
  EXPECT_EQ(draw<float>(RandomKind::Uniform, key, 4),
            (std::vector<float>{0.7493680715560913f, 0.5981882810592651f, 0.3089413642883301f, 0.7591080665588379f}));
  EXPECT_EQ(wsum(draw<float>(RandomKind::Uniform, kEleven, kLarge)), 17726665194774645714u);
  EXPECT_EQ(wsum(draw<float>(RandomKind::Uniform, kEleven, kLarge, -1.3, 2.7)), 5158950597027826616u);
}

TEST(RandomUniform, HalfTypesAndDouble) {
  expect_near(draw<half_t>(RandomKind::Uniform, kSeven, 6),
              std::vector<double>{0.4794921875, 0.9091796875, 0.236328125, 0.7666015625, 0.431640625, 0.14453125}, 0);
  expect_near(draw<half_t>(RandomKind::Uniform, kSeven, 6, -1.3, 2.7),
              std::vector<double>{0.6181640625, 2.3359375, -0.3544921875, 1.7666015625, 0.4267578125, -0.7216796875}, 0);
  expect_near(draw<bfloat16_t>(RandomKind::Uniform, kSeven, 6),
              std::vector<double>{0.8203125, 0.796875, 0.609375, 0.28125, 0.7265625, 0.1171875}, 0);
  expect_near(draw<bfloat16_t>(RandomKind::Uniform, kSeven, 6, -1.3, 2.7),
              std::vector<double>{1.984375, 1.890625, 1.140625, -0.171875, 1.609375, -0.828125}, 0);
  expect_near(draw<double>(RandomKind::Uniform, kEleven, 3),
              std::vector<double>{0.9244413197005532, 0.19110109708159784, 0.4342675483495382}, 0);
}

TEST(RandomNormal, WithinFiveTenMillionthsOfKeras) {
  constexpr uint32_t key[2] = {1337, 0};
  expect_near(draw<float>(RandomKind::Normal, key, 3),
              std::vector<double>{0.6725025773048401, 0.24866054952144623, -0.49885329604148865}, 5e-7);
  expect_near(draw<float>(RandomKind::Normal, kSeven, 6),
              std::vector<double>{-0.43795067071914673, -0.5895257592201233, 0.24555973708629608, 0.6017969250679016, -1.4327489137649536,
                                  -0.26914820075035095},
              5e-7);
  const auto z = draw<float>(RandomKind::Normal, kEleven, kLarge);
  expect_near(std::vector<float>{z[0], z[1], z[76418], z[11000], z[777], z[kLarge - 1]},  // two of them in the tails
              std::vector<double>{0.7237921357154846, -2.6253747940063477, 4.577361106872559, -4.631178855895996, 0.4594748318195343,
                                  -1.4086565971374512},
              5e-7);
  const auto t = draw<float>(RandomKind::TruncatedNormal, kEleven, kLarge);
  expect_near(std::vector<float>{t[0], t[1], t[76418], t[11000], t[777], t[kLarge - 1]},
              std::vector<double>{0.6849977970123291, -1.928750991821289, 1.999957799911499, -1.999968409538269, 0.43714630603790283,
                                  -1.2895545959472656},
              5e-7);
  double sum = 0, squares = 0;
  for (float v : z) sum += v, squares += double{v} * v;
  EXPECT_NEAR(sum / kLarge, 0.0, 0.01);
  EXPECT_NEAR(squares / kLarge, 1.0, 0.02);
  for (float v : t) ASSERT_LT(std::fabs(v), 2.0f);
  const auto shifted = draw<float>(RandomKind::Normal, kEleven, 100, 0.3, 1.7);
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(shifted[i], z[i] * 1.7f + 0.3f);
}

TEST(RandomNormal, HalfTypesRoundAtEveryStep) {
  expect_near(draw<half_t>(RandomKind::Normal, kSeven, 6),
              std::vector<double>{-0.05078125, 1.3369140625, -0.71728515625, 0.728515625, -0.171630859375, -1.0595703125}, 0);
  expect_near(draw<half_t>(RandomKind::Normal, kSeven, 6, 0.3, 1.7),
              std::vector<double>{0.213623046875, 2.57421875, -0.919921875, 1.5380859375, 0.00830078125, -1.501953125}, 0);
  expect_near(draw<half_t>(RandomKind::TruncatedNormal, kSeven, 6),
              std::vector<double>{-0.048980712890625, 1.228515625, -0.6796875, 0.68896484375, -0.1640625, -0.99169921875}, 0);
  expect_near(draw<half_t>(RandomKind::TruncatedNormal, kSeven, 6, 0.3, 1.7),
              std::vector<double>{0.216796875, 2.388671875, -0.85546875, 1.470703125, 0.02099609375, -1.38671875}, 0);
  expect_near(draw<bfloat16_t>(RandomKind::Normal, kSeven, 6),
              std::vector<double>{0.921875, 0.83984375, 0.283203125, -0.57421875, 0.609375, -1.1796875}, 0);
  expect_near(draw<bfloat16_t>(RandomKind::Normal, kSeven, 6, 0.3, 1.7),
              std::vector<double>{1.875, 1.734375, 0.78125, -0.67578125, 1.34375, -1.71875}, 0);
  expect_near(draw<bfloat16_t>(RandomKind::TruncatedNormal, kSeven, 6),
              std::vector<double>{0.85546875, 0.77734375, 0.267578125, -0.55078125, 0.56640625, -1.1015625}, 0);
  // The table of a long draw holds the same numbers as a short draw computes.
  std::vector<half_t> longer(3000), shorter(200);
  random_normal(kSeven, 0, 3000, 0.3, 1.7, longer.data());
  random_normal(kSeven, 2500, 200, 0.3, 1.7, shorter.data());
  for (size_t i = 0; i < 200; ++i) EXPECT_EQ(shorter[i].bits, longer[2500 + i].bits);
}

TEST(RandomNormal, DoubleIsDrawnFrom64Bits) {
  expect_near(draw<double>(RandomKind::Normal, kEleven, 3),
              std::vector<double>{1.4355959052136724, -0.8738458741559042, -0.16551950766907672}, 1e-14);
  expect_near(draw<double>(RandomKind::TruncatedNormal, kEleven, 3),
              std::vector<double>{1.3113434804308275, -0.8233444247012948, -0.1579238751449361}, 1e-14);
}

TEST(RandomNormal, InverseErrorFunctionInDoublePrecision) {
  for (double y = -5.8; y <= 5.8; y += 0.0137) {
    const double x = std::erf(y);
    const double back = detail::erfinv(x);
    if (std::fabs(x) < 0.5) EXPECT_NEAR(std::erf(back) / x, 1.0, 1e-15);
    else EXPECT_NEAR(std::erfc(std::fabs(back)) / (1.0 - std::fabs(x)), 1.0, 1e-13) << y;
  }
  EXPECT_EQ(detail::erfinv(0.0), 0.0);
  EXPECT_EQ(detail::erfinv(1.0), std::numeric_limits<double>::infinity());
}

TEST(RandomBernoulli, IsTheComparisonOfUniformNumbers) {
  const auto mask = draw<uint8_t>(RandomKind::Bernoulli, kSeven, 1000, 0.3f);
  EXPECT_EQ(std::accumulate(mask.begin(), mask.end(), 0), 323);
  int weighted = 0;
  for (size_t i = 0; i < 1000; ++i) weighted += static_cast<int>(i + 1) * mask[i];
  EXPECT_EQ(weighted, 152505);
  for (float p : {0.0f, 0.1f, 0.6f, 1.0f, 1.5f, -1.0f, std::nanf("")}) {
    std::vector<uint8_t> got(500);
    std::vector<float> u(500);
    random_bernoulli(kKey, 0, 500, p, got.data());
    random_uniform(kKey, 0, 500, 0, 1, u.data());
    const auto floats = draw<float>(RandomKind::Bernoulli, kKey, 500, p);
    for (size_t i = 0; i < 500; ++i) {
      ASSERT_EQ(got[i], u[i] < p ? 1 : 0);
      ASSERT_EQ(floats[i], u[i] < p ? 1.0f : 0.0f);
    }
  }
}

template <class T> void expect_randint(int64_t low, int64_t high, const std::vector<T>& want) {
  EXPECT_EQ(run<T>(*make_randint(dtype_of_v<T>, static_cast<int64_t>(want.size()), low, high), kSeven, want.size()), want)
      << dtype_name(dtype_of_v<T>) << " " << low << " " << high;
}

TEST(RandomRandint, EqualsKerasInAllDtypes) {
  const std::vector<int> percent{80, 14, 39, 58, 15, 36, 29, 53};
  expect_randint<int8_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<uint8_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<int16_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<uint16_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<int32_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<uint32_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<int64_t>(0, 100, {percent.begin(), percent.end()});
  expect_randint<uint64_t>(0, 100, {percent.begin(), percent.end()});
  // Bounds outside the dtype.
  expect_randint<int8_t>(-5, 300, {10, 95, 122, 99, 81, 119, 126, 90});
  expect_randint<int8_t>(0, 256, {64, 122, 95, 122, 51, 104, 69, 17});
  expect_randint<int8_t>(INT32_MIN, INT32_MAX, {-64, -6, 95, -6, 51, 104, -59, 17});
  expect_randint<uint8_t>(-5, 300, {64, 122, 223, 122, 179, 232, 69, 145});
  expect_randint<uint8_t>(0, 256, {64, 122, 223, 122, 179, 232, 69, 145});
  expect_randint<int16_t>(INT32_MIN, INT32_MAX, {-3776, 8826, -12577, -31622, 15027, -23576, 16453, -9327});
  expect_randint<uint16_t>(INT32_MIN, INT32_MAX, {28992, 41594, 20191, 1146, 47795, 9192, 49221, 23441});
  expect_randint<int32_t>(-5, 300, {170, 54, 244, 298, 275, 196, 69, 123});
  expect_randint<uint32_t>(-5, 300, {180, 214, 139, 258, 115, 236, 229, 253});
  const std::vector<int64_t> wide{-277253824, 1289396858, 205934303, -544996230, 1635695283, -2016664600, 1503379525, 507665297};
  expect_randint<int32_t>(INT32_MIN, INT32_MAX, {wide.begin(), wide.end()});
  expect_randint<int64_t>(INT32_MIN, INT32_MAX, wide);
  const std::vector<uint64_t> positive{1870229824, 1289396859, 205934304, 1602487418, 1635695284, 130819048, 1503379526, 507665298};
  expect_randint<uint32_t>(INT32_MIN, INT32_MAX, {positive.begin(), positive.end()});
  expect_randint<uint64_t>(INT32_MIN, INT32_MAX, positive);
  expect_randint<int32_t>(5, 5, {5, 5, 5});
  expect_randint<int64_t>(9, 2, {9, 9, 9});
  EXPECT_EQ(wsum(draw<int32_t>(RandomKind::RandInt, kEleven, kLarge, -5, 300)), 2422383482566706621u);
  EXPECT_EQ(wsum(draw<int32_t>(RandomKind::RandInt, kEleven, kLarge, -2000000000, 2000000001)), 760406760619098702u);
}

TEST(RandomRandint, RangesThatNeed64Bits) {
  EXPECT_EQ(draw<int64_t>(RandomKind::RandInt, kEleven, 3, -5, 3e12), (std::vector<int64_t>{1692460374826, 71630600440, 21411049168}));
  // The whole range of a type: the words of the second child.
  std::vector<int32_t> full(40);
  std::vector<uint32_t> words(40);
  random_randint(kKey, 0, 40, INT32_MIN, int64_t{1} << 31, DType::Int32, full.data());
  random_bits(random_child({kKey[0], kKey[1]}, 1).data(), 0, 40, words.data());
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(static_cast<uint32_t>(full[i]), words[i] + 0x80000000u);
}

TEST(RandomRandint, RemaindersByEveryKindOfDivisor) {
  const RandomKey a = random_child({kKey[0], kKey[1]}, 0), b = random_child({kKey[0], kKey[1]}, 1);
  for (uint32_t span : {1u, 2u, 3u, 7u, 64u, 100u, 641u, 65535u, 65536u, 65537u, 1000003u, 0x7fffffffu,
                        0x80000000u, 0x80000001u, 0xffffffffu}) {
    std::vector<uint32_t> got(123);
    random_randint(kKey, 5, 123, 0, span, DType::UInt32, got.data());
    for (uint32_t i = 0; i < 123; ++i) {
      const uint32_t h = detail::word_at<float>(a, 5 + i), l = detail::word_at<float>(b, 5 + i), m16 = 65536u % span, m = m16 * m16 % span;
      ASSERT_EQ(got[i], (h % span * m + l % span) % span) << span << " " << i;
    }
  }
}

TEST(RandomCategorical, EqualsKeras) {
  const std::vector<float> small{std::log(0.1f), std::log(0.2f), std::log(0.7f), std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  EXPECT_EQ(run<int32_t>(*make_random_categorical(2, 3, 8), kSeven, 16, {small.data()}),
            (std::vector<int32_t>{2, 2, 1, 2, 2, 2, 1, 0, 1, 2, 2, 1, 1, 1, 0, 0}));
  constexpr uint32_t three[2] = {3, 0};
  EXPECT_EQ(run<int32_t>(*make_random_categorical(2, 3, 1), three, 2, {small.data()}), (std::vector<int32_t>{2, 0}));
  EXPECT_EQ(wsum(run<int32_t>(*make_random_categorical(2, 3, 600), three, 1200, {small.data()})), 693280u);
  std::vector<float> logits(40);
  for (size_t i = 0; i < 40; ++i) logits[i] = std::log(static_cast<float>(i + 1));
  EXPECT_EQ(wsum(run<int32_t>(*make_random_categorical(4, 10, 1000), kEleven, 4000, {logits.data()})), 39110488u);
  EXPECT_THROW(make_random_categorical(2, 0, 1), ValueError);
}

TEST(RandomShuffle, EqualsKerasAlongAnyAxis) {
  std::vector<int64_t> ten(10);
  std::iota(ten.begin(), ten.end(), 0);
  EXPECT_EQ(run<int64_t>(*make_random_shuffle(DType::Int64, 1, 10, 1), kSeven, 10, {ten.data()}),
            (std::vector<int64_t>{5, 8, 3, 0, 2, 7, 9, 1, 6, 4}));
  std::vector<uint8_t> twelve(12);
  std::iota(twelve.begin(), twelve.end(), 0);
  EXPECT_EQ(run<uint8_t>(*make_random_shuffle(DType::UInt8, 1, 4, 3), kSeven, 12, {twelve.data()}),
            (std::vector<uint8_t>{3, 7, 5, 0, 1, 11, 9, 4, 8, 6, 10, 2}));
  EXPECT_EQ(run<uint8_t>(*make_random_shuffle(DType::UInt8, 4, 3, 1), kSeven, 12, {twelve.data()}),
            (std::vector<uint8_t>{0, 2, 1, 5, 3, 4, 8, 7, 6, 11, 9, 10}));
  std::vector<int32_t> many(30000);
  std::iota(many.begin(), many.end(), 0);
  EXPECT_EQ(wsum(run<int32_t>(*make_random_shuffle(DType::Int32, 100, 300, 1), kEleven, 30000, {many.data()})), 8999772578793u);
  EXPECT_EQ(wsum(run<int32_t>(*make_random_shuffle(DType::Int32, 1, 100, 300), kEleven, 30000, {many.data()})), 6752580740000u);
  many.resize(6000);  // long lines are sorted another way
  const auto rows = run<int32_t>(*make_random_shuffle(DType::Int32, 3, 2000, 1), kSeven, 6000, {many.data()});
  EXPECT_EQ(std::vector<int32_t>(rows.begin(), rows.begin() + 10),
            (std::vector<int32_t>{1862, 34, 18, 487, 1123, 1765, 82, 1953, 1033, 1657}));
  EXPECT_TRUE(run<int32_t>(*make_random_shuffle(DType::Int32, 3, 0, 5), kSeven, 0, {many.data()}).empty());
}

TEST(RandomRejection, GammaBetaBinomialFollowKeras) {
  constexpr uint32_t five[2] = {5, 0};
  const float scalar = 2.5f, small = 0.3f, b = 0.7f;
  const std::vector<float> alphas{0.1f, 1, 3, 50}, betas{2, 0.5f, 0.5f, 9};
  const auto gamma = [&](const uint32_t* key, size_t n, const float* a, bool is_scalar) {
    return run<float>(*make_random_gamma(DType::Float32, static_cast<int64_t>(n), is_scalar), key, n, {a});
  };
  expect_near(gamma(kSeven, 6, &scalar, true),
              std::vector<double>{0.4058528542518616, 2.6711275577545166, 0.7732336521148682, 1.1770213842391968, 3.834691286087036,
                                  1.670593023300171},
              2e-6);
  expect_near(gamma(kSeven, 6, &small, true),
              std::vector<double>{0.01447988860309124, 1.0568629503250122, 6.08335494689527e-06, 0.11267321556806564, 0.15739049017429352,
                                  0.4465096592903137},
              2e-6);
  expect_near(gamma(five, 4, alphas.data(), false),
              std::vector<double>{0.09310648590326309, 2.161419153213501, 0.43619388341903687, 43.555686950683594}, 2e-6);
  expect_near(run<float>(*make_random_beta(DType::Float32, 6, true, true), kSeven, 6, {&scalar, &b}),
              std::vector<double>{0.777678906917572, 0.7473887801170349, 0.9408381581306458, 0.3849467933177948, 0.9271928668022156,
                                  0.867881715297699},
              2e-6);
  expect_near(run<float>(*make_random_beta(DType::Float32, 4, false, false), five, 4, {alphas.data(), betas.data()}),
              std::vector<double>{0.00020027034042868763, 0.3419213593006134, 0.8353242874145508, 0.8383010029792786}, 2e-6);
  const double wide = 2.5;
  expect_near(run<double>(*make_random_gamma(DType::Float64, 3, true), kSeven, 3, {&wide}),
              std::vector<double>{5.167112631793655, 3.11800954575935, 1.252934896746361}, 1e-12);
  const auto binomial = [](const uint32_t* key, const std::vector<float>& n, const std::vector<float>& p, size_t count) {
    return run<float>(*make_random_binomial(DType::Float32, static_cast<int64_t>(count), n.size() == 1, p.size() == 1), key, count,
                      {n.data(), p.data()});
  };
  EXPECT_EQ(binomial(kSeven, {20}, {0.25f}, 8), (std::vector<float>{9, 4, 4, 4, 7, 4, 6, 2}));
  EXPECT_EQ(binomial(kSeven, {100}, {0.7f}, 8), (std::vector<float>{66, 65, 76, 65, 65, 71, 71, 68}));
  EXPECT_EQ(binomial(five, {1, 10, 100, 1000, 30, 50, 0, 400}, {0.5f, 0.1f, 0.3f, 0.9f, 0.5f, 0.99f, 0.5f, 0.02f}, 8),
            (std::vector<float>{0, 1, 40, 908, 10, 50, 0, 11}));
  const auto odd = binomial(five, {-1, INFINITY, 5, 5}, {0.5f, 0.5f, NAN, -0.5f}, 4);
  EXPECT_TRUE(std::isnan(odd[0]) && std::isinf(odd[1]) && std::isnan(odd[2]) && std::isnan(odd[3]));
  EXPECT_TRUE(std::isnan(gamma(kSeven, 1, std::vector<float>{-1}.data(), true)[0]));
}

TEST(RandomKernels, SameNumbersOnAnyNumberOfThreads) {
  const int before = num_threads();
  set_num_threads(1);
  const auto uniform = draw<float>(RandomKind::Uniform, kKey, 100003, -1, 3);
  const auto halves = draw<bfloat16_t>(RandomKind::TruncatedNormal, kKey, 100003);
  set_num_threads(4);
  EXPECT_EQ(draw<float>(RandomKind::Uniform, kKey, 100003, -1, 3), uniform);
  const auto again = draw<bfloat16_t>(RandomKind::TruncatedNormal, kKey, 100003);
  EXPECT_EQ(std::memcmp(again.data(), halves.data(), halves.size() * 2), 0);
  set_num_threads(before);
}

TEST(RandomKernels, SameNumbersOnEveryInstructionSet) {
  const auto uniform = draw<float>(RandomKind::Uniform, kEleven, 5000, -1.3, 2.7);
  const auto normal = draw<float>(RandomKind::Normal, kEleven, 5000);
  const auto integers = draw<int32_t>(RandomKind::RandInt, kEleven, 5000, -5, 300);
  const auto wide = draw<uint64_t>(RandomKind::Bits, kEleven, 77);
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(random_target_name());
    EXPECT_EQ(draw<float>(RandomKind::Uniform, kEleven, 5000, -1.3, 2.7), uniform);
    EXPECT_EQ(draw<int32_t>(RandomKind::RandInt, kEleven, 5000, -5, 300), integers);
    EXPECT_EQ(draw<uint64_t>(RandomKind::Bits, kEleven, 77), wide);
    expect_near(draw<float>(RandomKind::Normal, kEleven, 5000), normal, 5e-7);
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(RandomKernels, RefuseWhatTheyCannotMake) {
  EXPECT_THROW(make_random(RandomKind::Uniform, DType::Int32, 4, 0, 1), TypeError);
  EXPECT_THROW(make_random(RandomKind::Bits, DType::Float32, 4, 0, 1), TypeError);
  EXPECT_THROW(make_random(RandomKind::RandInt, DType::Float32, 4, 0, 1), TypeError);
  EXPECT_THROW(make_random(RandomKind::RandInt, DType::Bool, 4, 0, 1), TypeError);
  EXPECT_THROW(make_random(RandomKind::Bernoulli, DType::Float64, 4, 0, 1), TypeError);
  EXPECT_THROW(make_random_gamma(DType::Float16, 4, true), TypeError);
  EXPECT_THROW(make_random(RandomKind::Uniform, DType::Float32, -1, 0, 1), ValueError);
  EXPECT_TRUE(draw<float>(RandomKind::Uniform, kKey, 0).empty());
  EXPECT_NE(std::string(make_random(RandomKind::Normal, DType::Float32, 1, 0, 1)->describe()).find("random normal float32: threefry2x32"),
            std::string::npos);
}

}  // namespace
}  // namespace keras::cpu
