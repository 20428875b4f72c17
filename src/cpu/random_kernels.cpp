// What lives here: threefry2x32 and the distributions drawn from it, with SIMD code chosen at run time (Highway). The SIMD part
// draws float32 and integers; rarer types go through blocks of words. No state, no knowledge of layers or seeds.
#include "cpu/random_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include <keras/base/error.h>

#include "cpu/random_scalar.h"

#ifndef KERAS_CPU_RANDOM_KERNELS_ONCE
#define KERAS_CPU_RANDOM_KERNELS_ONCE
namespace keras::cpu::detail {

/// Remainders by a fixed 32-bit divisor through multiplication (Granlund and Montgomery 1994).
struct RemU32 {
  uint32_t divisor = 1, magic = 0;
  int shift = 0;
  bool power_of_two = true;  // then the remainder is a mask; also divisor 0, which leaves numbers as they are
};
/// low + (H % span * mult + L % span) % span, H and L from two child keys.
struct RandIntPlan {
  uint32_t low = 0, mult = 0;
  RemU32 span{};
};
/// scale · sqrt2 · erfinv(max(low, f · span + low)) + shift, the product cut off at ±clip.
struct NormalPlan {
  float low, span, clip, scale, shift;
};

}  // namespace keras::cpu::detail
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/random_kernels.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::random_simd {  // its own namespace: other files of this room have functions of the same names
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using detail::RandIntPlan;

using DU = hn::ScalableTag<uint32_t>;
using DF = hn::ScalableTag<float>;
using VU = hn::Vec<DU>;
using VF = hn::Vec<DF>;

// Keras' uniform numbers are products and sums rounded once. Targets without that instruction ask the C library for it.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2) || HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
HWY_INLINE VF fused_mul_add(VF a, VF b, VF c) {
  const DF d;
  HWY_ALIGN float x[HWY_MAX_BYTES / 4], y[HWY_MAX_BYTES / 4], z[HWY_MAX_BYTES / 4];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  hn::Store(c, d, z);
  for (size_t i = 0; i < hn::Lanes(d); ++i) x[i] = __builtin_fmaf(x[i], y[i], z[i]);
  return hn::Load(d, x);
}
#else
HWY_INLINE VF fused_mul_add(VF a, VF b, VF c) { return hn::MulAdd(a, b, c); }
#endif

/// The cipher's round keys, and the first word of all counters of one draw (the high half of the element's index).
struct Cipher {
  VU k0, k1, k2, high;
  HWY_INLINE Cipher(const uint32_t* key, uint32_t high_word) {
    const DU d;
    k0 = hn::Set(d, key[0]);
    k1 = hn::Set(d, key[1]);
    k2 = hn::Set(d, key[0] ^ key[1] ^ 0x1BD11BDAu);
    high = hn::Set(d, high_word + key[0]);
  }
};

// Four blocks side by side: the rounds of one block wait for each other, and four fit into the registers of AVX2.
constexpr size_t kChains = 4;

/// `kBlocks` vectors of counters going through the cipher together.
template <size_t kBlocks> struct Block {
  VU x0[kBlocks], x1[kBlocks];

  template <int kLeft> HWY_INLINE void round() {
    HWY_UNROLL(4) for (size_t c = 0; c < kBlocks; ++c) x0[c] = hn::Add(x0[c], x1[c]);
    HWY_UNROLL(4) for (size_t c = 0; c < kBlocks; ++c) x1[c] = hn::Xor(hn::RotateRight<32 - kLeft>(x1[c]), x0[c]);
  }
  template <int kA, int kB, int kC, int kD> HWY_INLINE void four_rounds(VU k0, VU k1) {
    round<kA>();
    round<kB>();
    round<kC>();
    round<kD>();
    HWY_UNROLL(4) for (size_t c = 0; c < kBlocks; ++c) {
      x0[c] = hn::Add(x0[c], k0);
      x1[c] = hn::Add(x1[c], k1);
    }
  }
  /// From the counters' low words in x1 to both words of the result.
  HWY_INLINE void encrypt(const Cipher& k) {
    const DU d;
    HWY_UNROLL(4) for (size_t c = 0; c < kBlocks; ++c) {
      x0[c] = k.high;
      x1[c] = hn::Add(x1[c], k.k1);
    }
    four_rounds<13, 15, 26, 6>(k.k1, hn::Add(k.k2, hn::Set(d, 1u)));
    four_rounds<17, 29, 16, 24>(k.k2, hn::Add(k.k0, hn::Set(d, 2u)));
    four_rounds<13, 15, 26, 6>(k.k0, hn::Add(k.k1, hn::Set(d, 3u)));
    four_rounds<17, 29, 16, 24>(k.k1, hn::Add(k.k2, hn::Set(d, 4u)));
    four_rounds<13, 15, 26, 6>(k.k2, hn::Add(k.k0, hn::Set(d, 5u)));
  }
  HWY_INLINE VU word(size_t c) const { return hn::Xor(x0[c], x1[c]); }
};

/// Counters low, low + step, … in vectors.
HWY_INLINE VU first_counters(uint32_t low, uint32_t step) {
  const DU d;
  return hn::Add(hn::Set(d, low), hn::Mul(hn::Iota(d, 0), hn::Set(d, step)));
}

template <class T, class V> HWY_INLINE void store_first(V v, int64_t count, T* HWY_RESTRICT out) {
  const hn::ScalableTag<T> dt;
  HWY_ALIGN T all[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(v, dt, all);
  for (int64_t k = 0; k < count; ++k) out[k] = all[k];
}

/// Stores f(word) for the words of the counters low, low + step, ….
template <class T, class F>
HWY_INLINE void for_words(const Cipher& cipher, uint32_t low, uint32_t step, int64_t count, T* HWY_RESTRICT out, const F& f) {
  const hn::ScalableTag<T> dt;
  const DU d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const VU advance = hn::Set(d, static_cast<uint32_t>(n) * step);
  VU counter = first_counters(low, step);
  int64_t i = 0;
  for (; i + static_cast<int64_t>(kChains) * n <= count; i += static_cast<int64_t>(kChains) * n) {
    Block<kChains> block;
    HWY_UNROLL(4) for (size_t c = 0; c < kChains; ++c) {
      block.x1[c] = counter;
      counter = hn::Add(counter, advance);
    }
    block.encrypt(cipher);
    HWY_UNROLL(4) for (size_t c = 0; c < kChains; ++c) hn::StoreU(f(block.word(c)), dt, out + i + static_cast<int64_t>(c) * n);
  }
  for (; i < count; i += n) {
    Block<1> block;
    block.x1[0] = counter;
    counter = hn::Add(counter, advance);
    block.encrypt(cipher);
    const auto v = f(block.word(0));
    if (i + n <= count) hn::StoreU(v, dt, out + i);
    else store_first(v, count - i, out + i);
  }
}

void Words(const uint32_t* key, uint32_t high, uint32_t low, uint32_t step, int64_t count, uint32_t* out) {
  for_words(Cipher(key, high), low, step, count, out, [](VU w) { return w; });
}

/// Both words of each counter; `x0_first` says which comes first in memory.
void Pairs(const uint32_t* key, uint32_t high, uint32_t low, int64_t count, bool x0_first, uint32_t* out) {
  const DU d;
  const Cipher cipher(key, high);
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const VU advance = hn::Set(d, static_cast<uint32_t>(n));
  VU counter = first_counters(low, 1);
  for (int64_t i = 0; i < count; i += static_cast<int64_t>(kChains) * n) {
    Block<kChains> block;
    for (size_t c = 0; c < kChains; ++c) {
      block.x1[c] = counter;
      counter = hn::Add(counter, advance);
    }
    block.encrypt(cipher);
    for (size_t c = 0; c < kChains && i + static_cast<int64_t>(c) * n < count; ++c) {
      const int64_t at = i + static_cast<int64_t>(c) * n;
      const VU a = x0_first ? block.x0[c] : block.x1[c], b = x0_first ? block.x1[c] : block.x0[c];
      if (at + n <= count) {
        hn::StoreInterleaved2(a, b, d, out + 2 * at);
      } else {
        HWY_ALIGN uint32_t last[2 * HWY_MAX_BYTES / 4];
        hn::StoreInterleaved2(a, b, d, last);
        for (int64_t k = 2 * at; k < 2 * count; ++k) out[k] = last[k - 2 * at];
      }
    }
  }
}

/// [0, 1) in steps of 2^-23.
HWY_INLINE VF unit_float(VU bits) {
  const DU d;
  const DF df;
  return hn::Sub(hn::BitCast(df, hn::Or(hn::ShiftRight<9>(bits), hn::Set(d, 0x3F800000u))), hn::Set(df, 1.0f));
}

void Uniform(const uint32_t* key, uint32_t high, uint32_t low, int64_t count, float minval, float span, float* out) {
  const DF df;
  const Cipher c(key, high);
  const VF lo = hn::Set(df, minval), range = hn::Set(df, span);
  if (minval == 0.0f) {
    if (span == 1.0f) {
      for_words(c, low, 1, count, out, [&](VU bits) { return unit_float(bits); });
    } else {
      for_words(c, low, 1, count, out, [&](VU bits) { return hn::Max(lo, hn::Mul(unit_float(bits), range)); });
    }
    return;
  }
  for_words(c, low, 1, count, out, [&](VU bits) { return hn::Max(lo, fused_mul_add(unit_float(bits), range, lo)); });
}

HWY_INLINE VF horner(VF w, const float* coefficients) {
  const DF df;
  VF p = hn::Set(df, coefficients[0]);
  for (int i = 1; i < 9; ++i) p = hn::MulAdd(p, w, hn::Set(df, coefficients[i]));
  return p;
}

/// Inverse of the error function inside (-1, 1).
HWY_INLINE VF erfinv(VF x) {
  const DF df;
  const VF w = hn::Neg(hn::Log1p(df, hn::Neg(hn::Mul(x, x))));
  const auto centre = hn::Lt(w, hn::Set(df, 5.0f));
  VF p = horner(hn::Sub(w, hn::Set(df, 2.5f)), detail::kErfInvCentre);
  if (!hn::AllTrue(df, centre))  // one number in 300 lies in the tails
    p = hn::IfThenElse(centre, p, horner(hn::Sub(hn::Sqrt(w), hn::Set(df, 3.0f)), detail::kErfInvTail));
  return hn::Mul(p, x);
}

void Normal(const uint32_t* key, uint32_t high, uint32_t low, int64_t count, const detail::NormalPlan& plan, float* out) {
  const DF df;
  const Cipher c(key, high);
  const VF lo = hn::Set(df, plan.low), range = hn::Set(df, plan.span), clip = hn::Set(df, plan.clip);
  const VF scale = hn::Set(df, plan.scale), shift = hn::Set(df, plan.shift), sqrt2 = hn::Set(df, detail::kSqrt2);
  for_words(c, low, 1, count, out, [&](VU bits) {
    const VF u = hn::Max(lo, fused_mul_add(unit_float(bits), range, lo));
    const VF z = hn::Clamp(hn::Mul(sqrt2, erfinv(u)), hn::Neg(clip), clip);
    return hn::Add(hn::Mul(z, scale), shift);
  });
}

void Gumbel(const uint32_t* key, uint32_t high, uint32_t low, int64_t count, float* out) {
  const DF df;
  const Cipher c(key, high);
  const VF tiny = hn::Set(df, 1.17549435e-38f);
  for_words(c, low, 1, count, out, [&](VU bits) {
    const VF u = hn::Max(tiny, hn::Add(unit_float(bits), tiny));
    return hn::Neg(hn::Log(df, hn::Neg(hn::Log(df, u))));
  });
}

/// Upper halves of the products; b holds one number in all lanes.
HWY_INLINE VU high_product(VU a, VU b) {
  const DU d;
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, static_cast<uint32_t>(static_cast<uint64_t>(hn::GetLane(a)) * hn::GetLane(b) >> 32));
#else
  const hn::RepartitionToWide<DU> dw;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(dw, a))), b);
  return hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
#endif
}

HWY_INLINE VU remainder(VU x, const detail::RemU32& r) {
  const DU d;
  if (r.power_of_two) return hn::And(x, hn::Set(d, r.divisor - 1));
  const VU t = high_product(x, hn::Set(d, r.magic));
  const VU q = hn::ShiftRightSame(hn::Add(t, hn::ShiftRight<1>(hn::Sub(x, t))), r.shift);
  return hn::Sub(x, hn::Mul(q, hn::Set(d, r.divisor)));
}

void RandInt(const uint32_t* high_key, const uint32_t* low_key, uint32_t high, uint32_t low, int64_t count, const RandIntPlan& plan,
             uint32_t* out) {
  const DU d;
  // The two draws go one after the other over pieces that stay in the first cache.
  constexpr int64_t kPiece = 512;
  HWY_ALIGN uint32_t upper[kPiece];
  const VU minval = hn::Set(d, plan.low), mult = hn::Set(d, plan.mult);
  const Cipher high_cipher(high_key, high), low_cipher(low_key, high);
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t at = 0; at < count; at += kPiece) {
    const int64_t m = count - at < kPiece ? count - at : kPiece;
    const uint32_t first = low + static_cast<uint32_t>(at);
    for_words(high_cipher, first, 1, m, upper, [&](VU bits) { return hn::Mul(remainder(bits, plan.span), mult); });
    for_words(low_cipher, first, 1, m, out + at, [&](VU bits) { return remainder(bits, plan.span); });
    int64_t i = 0;
    for (; i + n <= m; i += n) {
      const VU sum = hn::Add(hn::Load(d, upper + i), hn::LoadU(d, out + at + i));
      hn::StoreU(hn::Add(minval, remainder(sum, plan.span)), d, out + at + i);
    }
    if (i < m) {
      HWY_ALIGN uint32_t rest[HWY_MAX_BYTES / 4] = {};
      for (int64_t k = i; k < m; ++k) rest[k - i] = upper[k] + out[at + k];
      store_first(hn::Add(minval, remainder(hn::Load(d, rest), plan.span)), m - i, out + at + i);
    }
  }
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace keras::cpu::random_simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace random_simd {
HWY_EXPORT(Words);
HWY_EXPORT(Pairs);
HWY_EXPORT(Uniform);
HWY_EXPORT(Normal);
HWY_EXPORT(Gumbel);
HWY_EXPORT(RandInt);
HWY_EXPORT(TargetName);
}  // namespace random_simd
namespace {

using namespace detail;
using namespace random_simd;

constexpr int64_t kBlock = 1024;  // words drawn at a time for the types without SIMD code of their own

/// Cuts [begin, begin + count) where the high word of the index changes, and calls f(high, low, n, offset).
template <class F> void for_high_words(int64_t begin, int64_t count, F&& f) {
  for (int64_t done = 0; done < count;) {
    const uint64_t at = static_cast<uint64_t>(begin + done);
    const uint32_t low = static_cast<uint32_t>(at);
    const int64_t n = std::min<int64_t>(count - done, (int64_t{1} << 32) - low);
    f(static_cast<uint32_t>(at >> 32), low, n, done);
    done += n;
  }
}

/// Draws words in blocks and hands them on: f(words, n, offset).
template <class Word, class F> void for_blocks(const uint32_t* key, int64_t begin, int64_t count, F&& f) {
  alignas(64) Word words[kBlock];
  for (int64_t done = 0; done < count; done += kBlock) {
    const int64_t n = std::min(count - done, kBlock);
    random_bits(key, begin + done, n, words);
    f(words, n, done);
  }
}

// ---- 16-bit floats ----

// They have so few different numbers that they are computed once and looked up; every step rounds, as in Keras.
template <class T> struct Format16;
template <> struct Format16<half_t> {
  static constexpr int kValues = 1024;  // the upper 10 of 16 bits count
  static int value_of(uint32_t word) { return (word & 0xFFFF) >> 6; }
  static constexpr float kBelowOne = 0.99951171875f, kBelowTwo = 1.9990234375f;
};
template <> struct Format16<bfloat16_t> {
  static constexpr int kValues = 128;  // the upper 7 of 8 bits count
  static int value_of(uint32_t word) { return (word & 0xFF) >> 1; }
  static constexpr float kBelowOne = 0.99609375f, kBelowTwo = 1.9921875f;
};

template <class T> T mul16(T a, T b) { return T(static_cast<float>(a) * static_cast<float>(b)); }
template <class T> T add16(T a, T b) { return T(static_cast<float>(a) + static_cast<float>(b)); }
template <class T> T uniform16(int value, T low, T high) {
  const T unit(static_cast<float>(value) / Format16<T>::kValues), span(static_cast<float>(high) - static_cast<float>(low));
  const T v = add16(mul16(unit, span), low);
  return static_cast<float>(v) < static_cast<float>(low) ? low : v;
}
template <class T> T normal16(int value, T low, T high, float clip, T mean, T stddev) {
  const T u = uniform16(value, low, high);
  const T z = mul16(T(detail::kSqrt2), T(erfinv(static_cast<float>(u))));
  return add16(mul16(T(std::clamp(static_cast<float>(z), -clip, clip)), stddev), mean);
}
template <class T> T value16(RandomKind kind, int value, double a, double b) {
  const T ta(static_cast<float>(a)), tb(static_cast<float>(b));
  if (kind == RandomKind::Uniform) return uniform16(value, ta, tb);
  if (kind == RandomKind::Normal)
    return normal16(value, T(-Format16<T>::kBelowOne), T(1.0f), std::numeric_limits<float>::infinity(), ta, tb);
  const T edge(std::erf(static_cast<float>(T(2.0f / static_cast<float>(T(detail::kSqrt2))))));
  return normal16(value, T(-static_cast<float>(edge)), edge, Format16<T>::kBelowTwo, ta, tb);
}
template <class T> void fill_table(RandomKind kind, double a, double b, T* table) {
  for (int v = 0; v < Format16<T>::kValues; ++v) table[v] = value16<T>(kind, v, a, b);
}
template <class T> void draw_from_table(const uint32_t* key, int64_t begin, int64_t count, const T* table, T* out) {
  for_blocks<uint32_t>(key, begin, count, [&](const uint32_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i) out[at + i] = table[Format16<T>::value_of(words[i])];
  });
}
template <class T> void draw16(RandomKind kind, const uint32_t* key, int64_t begin, int64_t count, double a, double b, T* out) {
  if (count > Format16<T>::kValues) {
    T table[Format16<T>::kValues];
    fill_table(kind, a, b, table);
    return draw_from_table(key, begin, count, table, out);
  }
  for_blocks<uint32_t>(key, begin, count, [&](const uint32_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i) out[at + i] = value16<T>(kind, Format16<T>::value_of(words[i]), a, b);
  });
}

// ---- integers ----

RemU32 make_remainder(uint32_t divisor) {
  if ((divisor & (divisor - 1)) == 0) return {.divisor = divisor, .power_of_two = true};
  const int bits = std::bit_width(divisor);  // 2^bits is the next power of two
  const uint64_t magic = ((uint64_t{1} << 32) * ((uint64_t{1} << bits) - divisor)) / divisor + 1;
  return {.divisor = divisor, .magic = static_cast<uint32_t>(magic), .shift = bits - 1, .power_of_two = false};
}

struct IntegerDraw {
  DType dtype;
  bool wide = false;  // 64-bit words
  detail::RandIntPlan plan{};
  uint64_t low = 0, span = 1, mult = 0;
};

IntegerDraw plan_randint(DType dtype, int64_t low, int64_t high) {
  if (!is_integer(dtype))
    throw TypeError(ErrorText{.what = "randint draws integers", .where = "random.randint", .expected = "an integer dtype",
                              .received = dtype_name(dtype)}.str());
  constexpr int64_t kMin32 = std::numeric_limits<int32_t>::min();
  IntegerDraw draw{.dtype = dtype};
  DType sampled = dtype;
  if (dtype == DType::Int64 && low >= kMin32 && high <= -kMin32) sampled = DType::Int32;
  if (dtype == DType::UInt64 && high <= int64_t{1} << 32) sampled = DType::UInt32;
  draw.wide = dtype_size(sampled) == 8;
  const int width = static_cast<int>(dtype_size(sampled)) * 8;
  const bool is_signed = is_signed_integer(sampled);
  const int64_t smallest = is_signed ? -(int64_t{1} << (width - 2)) * 2 : 0;
  const int64_t largest = width == 64 ? std::numeric_limits<int64_t>::max() : (int64_t{1} << (is_signed ? width - 1 : width)) - 1;
  const int64_t lo = std::clamp(low, smallest, largest), hi = std::clamp(high, smallest, largest);
  draw.low = static_cast<uint64_t>(lo);
  if (hi > lo) draw.span = static_cast<uint64_t>(hi) - draw.low + (high > largest ? 1 : 0);  // 0: all numbers of the type
  if (draw.wide) {
    if (draw.span != 0) {
      draw.mult = (uint64_t{1} << 32) % draw.span;
      draw.mult = draw.mult * draw.mult % draw.span;
    }
  } else {
    const uint32_t span = static_cast<uint32_t>(draw.span);
    uint32_t mult = span == 0 ? 0 : (1u << 16) % span;
    if (span != 0) mult = mult * mult % span;
    draw.plan = {.low = static_cast<uint32_t>(draw.low), .mult = mult, .span = make_remainder(span)};
  }
  return draw;
}

void draw_randint(const uint32_t* key, int64_t begin, int64_t count, const IntegerDraw& draw, void* out) {
  const RandomKey parent{key[0], key[1]}, a = random_child(parent, 0), b = random_child(parent, 1);
  if (draw.wide) {
    uint64_t* o = static_cast<uint64_t*>(out);
    const uint64_t s = draw.span;
    for_blocks<uint64_t>(a.data(), begin, count, [&](const uint64_t* high, int64_t n, int64_t at) {
      alignas(64) uint64_t low[kBlock];
      random_bits(b.data(), begin + at, n, low);
      for (int64_t i = 0; i < n; ++i) o[at + i] = draw.low + (s == 0 ? low[i] : (high[i] % s * draw.mult + low[i] % s) % s);
    });
    return;
  }
  const auto words = [&](int64_t at, int64_t n, uint32_t* o) {
    for_high_words(at, n, [&](uint32_t high, uint32_t low, int64_t m, int64_t offset) {
      HWY_DYNAMIC_DISPATCH(RandInt)(a.data(), b.data(), high, low, m, draw.plan, o + offset);
    });
  };
  if (dtype_size(draw.dtype) == 4) return words(begin, count, static_cast<uint32_t*>(out));
  alignas(64) uint32_t block[kBlock];
  for (int64_t done = 0; done < count; done += kBlock) {
    const int64_t n = std::min(count - done, kBlock);
    words(begin + done, n, block);
    switch (draw.dtype) {
      case DType::Int8:
      case DType::UInt8: std::copy_n(block, n, static_cast<uint8_t*>(out) + done); break;
      case DType::Int16:
      case DType::UInt16: std::copy_n(block, n, static_cast<uint16_t*>(out) + done); break;
      case DType::Int64:
        std::transform(block, block + n, static_cast<int64_t*>(out) + done, [](uint32_t w) { return static_cast<int32_t>(w); });
        break;
      default: std::copy_n(block, n, static_cast<uint64_t*>(out) + done); break;
    }
  }
}

}  // namespace

// ---- public functions ----

RandomKey threefry2x32(RandomKey key, uint32_t x0, uint32_t x1) {
  const uint32_t ks[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
  constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  x0 += ks[0];
  x1 += ks[1];
  for (uint32_t i = 0; i < 5; ++i) {
    for (int r : rotations[i % 2]) {
      x0 += x1;
      x1 = std::rotl(x1, r) ^ x0;
    }
    x0 += ks[(i + 1) % 3];
    x1 += ks[(i + 2) % 3] + i + 1;
  }
  return {x0, x1};
}

RandomKey random_child(RandomKey key, uint64_t i) { return threefry2x32(key, static_cast<uint32_t>(i >> 32), static_cast<uint32_t>(i)); }

void random_split(const uint32_t* key, int64_t begin, int64_t count, uint32_t* out) {
  for_high_words(begin, count, [&](uint32_t high, uint32_t low, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Pairs)(key, high, low, n, true, out + 2 * at);
  });
}

void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint32_t* out) {
  for_high_words(begin, count, [&](uint32_t high, uint32_t low, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Words)(key, high, low, 1, n, out + at);
  });
}
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint64_t* out) {
  constexpr bool big_endian = std::endian::native == std::endian::big;  // x0 is the high half
  for_high_words(begin, count, [&](uint32_t high, uint32_t low, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Pairs)(key, high, low, n, big_endian, reinterpret_cast<uint32_t*>(out + at));
  });
}
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint16_t* out) {
  for_blocks<uint32_t>(key, begin, count, [&](const uint32_t* words, int64_t n, int64_t at) { std::copy_n(words, n, out + at); });
}
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint8_t* out) {
  for_blocks<uint32_t>(key, begin, count, [&](const uint32_t* words, int64_t n, int64_t at) { std::copy_n(words, n, out + at); });
}

void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, float* out) {
  const float lo = static_cast<float>(low), span = static_cast<float>(high) - lo;
  for_high_words(begin, count, [&](uint32_t hw, uint32_t lw, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Uniform)(key, hw, lw, n, lo, span, out + at);
  });
}
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, double* out) {
  for_blocks<uint64_t>(key, begin, count, [&](const uint64_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i) out[at + i] = uniform_value<double>(words[i], low, high);
  });
}
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, half_t* out) {
  draw16(RandomKind::Uniform, key, begin, count, low, high, out);
}
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, bfloat16_t* out) {
  draw16(RandomKind::Uniform, key, begin, count, low, high, out);
}

namespace {
void draw_normal(const uint32_t* key, int64_t begin, int64_t count, const detail::NormalPlan& plan, float* out) {
  for_high_words(begin, count, [&](uint32_t high, uint32_t low, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Normal)(key, high, low, n, plan, out + at);
  });
}
}  // namespace

void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, float* out) {
  constexpr float no_clip = std::numeric_limits<float>::infinity();
  draw_normal(key, begin, count, {-below_one<float>(), 2.0f, no_clip, static_cast<float>(stddev), static_cast<float>(mean)}, out);
}
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, double* out) {
  for_blocks<uint64_t>(key, begin, count, [&](const uint64_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i) out[at + i] = normal_value<double>(words[i]) * stddev + mean;
  });
}
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, half_t* out) {
  draw16(RandomKind::Normal, key, begin, count, mean, stddev, out);
}
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, bfloat16_t* out) {
  draw16(RandomKind::Normal, key, begin, count, mean, stddev, out);
}

void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, float* out) {
  constexpr float edge = 0.95449972f;  // erf(sqrt 2)
  draw_normal(key, begin, count, {-edge, 2 * edge, std::nextafter(2.0f, 0.0f), static_cast<float>(stddev), static_cast<float>(mean)}, out);
}
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, double* out) {
  const double sqrt2 = std::sqrt(2.0), edge = std::erf(2.0 / sqrt2), clip = std::nextafter(2.0, 0.0);
  for_blocks<uint64_t>(key, begin, count, [&](const uint64_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i)
      out[at + i] = std::clamp(sqrt2 * erfinv(uniform_value<double>(words[i], -edge, edge)), -clip, clip) * stddev + mean;
  });
}
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, half_t* out) {
  draw16(RandomKind::TruncatedNormal, key, begin, count, mean, stddev, out);
}
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, bfloat16_t* out) {
  draw16(RandomKind::TruncatedNormal, key, begin, count, mean, stddev, out);
}

void random_bernoulli(const uint32_t* key, int64_t begin, int64_t count, float p, uint8_t* out) {
  // uniform < p compares multiples of 2^-23 with p, so integers can be compared instead
  const uint32_t threshold = p > 0 ? static_cast<uint32_t>(std::ceil(std::min(static_cast<double>(p), 1.0) * 8388608.0)) : 0;
  for_blocks<uint32_t>(key, begin, count, [&](const uint32_t* words, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; ++i) out[at + i] = (words[i] >> 9) < threshold;
  });
}

void random_randint(const uint32_t* key, int64_t begin, int64_t count, int64_t low, int64_t high, DType dtype, void* out) {
  draw_randint(key, begin, count, plan_randint(dtype, low, high), out);
}

void random_gumbel(const uint32_t* key, int64_t begin, int64_t count, float* out) {
  for_high_words(begin, count, [&](uint32_t high, uint32_t low, int64_t n, int64_t at) {
    HWY_DYNAMIC_DISPATCH(Gumbel)(key, high, low, n, out + at);
  });
}

void random_categorical(const uint32_t* key, int64_t row_begin, int64_t row_end, int64_t classes, int64_t samples, const float* logits,
                        int32_t* out) {
  constexpr int64_t kSamples = 256;
  alignas(64) float noise[kBlock], best[kSamples];
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* l = logits + row * classes;
    for (int64_t first = 0; first < samples; first += kSamples) {
      const int64_t n = std::min(samples - first, kSamples);
      int32_t* o = out + row * samples + first;
      // Noise has the shape (rows, classes, samples): with few samples one block spans several classes.
      const int64_t per_block = n == samples ? std::max<int64_t>(1, kBlock / n) : 1;
      for (int64_t c0 = 0; c0 < classes; c0 += per_block) {
        const int64_t cn = std::min(per_block, classes - c0);
        random_gumbel(key, (row * classes + c0) * samples + first, cn * n, noise);
        for (int64_t c = 0; c < cn; ++c) {
          const float logit = l[c0 + c];
          const float* g = noise + c * n;
          for (int64_t i = 0; i < n; ++i) {
            const float v = g[i] + logit;
            if (c0 + c == 0 || v > best[i] || (std::isnan(v) && !std::isnan(best[i]))) {
              best[i] = v;
              o[i] = static_cast<int32_t>(c0 + c);
            }
          }
        }
      }
    }
  }
}

size_t random_shuffle_scratch_bytes(int64_t axis) { return static_cast<size_t>(axis) * 2 * sizeof(uint64_t); }

void random_shuffle_line(const uint32_t* key, int64_t outer, int64_t axis, int64_t inner, int64_t line, uint32_t* order, void* scratch) {
  if (axis > std::numeric_limits<uint32_t>::max())
    throw ValueError(ErrorText{.what = "The axis is too long to be shuffled", .where = "random.shuffle", .expected = "at most 4294967295",
                               .received = std::to_string(axis)}.str());
  // Sorting by random words, again and again until equal words can no longer matter: Keras' rule by the number of elements.
  const double size = static_cast<double>(outer) * static_cast<double>(axis) * static_cast<double>(inner);
  const int rounds = static_cast<int>(std::ceil(3.0 * std::log(std::max(1.0, size)) / std::log(4294967295.0)));
  uint64_t* items = static_cast<uint64_t*>(scratch);
  uint64_t* spare = items + axis;
  const int64_t first = line / inner * axis * inner + line % inner;
  for (int64_t i = 0; i < axis; ++i) order[i] = static_cast<uint32_t>(i);
  RandomKey k{key[0], key[1]};
  for (int round = 0; round < rounds; ++round) {
    const RandomKey sub = random_child(k, 1);
    k = random_child(k, 0);
    uint32_t* words = reinterpret_cast<uint32_t*>(spare);
    if (inner == 1) {
      random_bits(sub.data(), first, axis, words);
    } else if (size <= 4294967296.0) {
      HWY_DYNAMIC_DISPATCH(Words)(sub.data(), 0, static_cast<uint32_t>(first), static_cast<uint32_t>(inner), axis, words);
    } else {
      for (int64_t i = 0; i < axis; ++i) words[i] = word_at<float>(sub, first + i * inner);
    }
    if (axis < 512) {  // position in the low half: stable without the buffer that std::stable_sort would allocate
      for (int64_t i = 0; i < axis; ++i) items[i] = static_cast<uint64_t>(words[i]) << 32 | static_cast<uint64_t>(i);
      std::sort(items, items + axis);
      std::copy_n(order, axis, words);
      for (int64_t i = 0; i < axis; ++i) order[i] = words[static_cast<uint32_t>(items[i])];
      continue;
    }
    for (int64_t i = 0; i < axis; ++i) items[i] = static_cast<uint64_t>(words[i]) << 32 | order[i];
    for (int shift = 32; shift < 64; shift += 8) {  // radix sort: four passes, so items ends where it began
      int64_t at[257] = {};
      for (int64_t i = 0; i < axis; ++i) ++at[(items[i] >> shift & 255) + 1];
      for (int b = 0; b < 256; ++b) at[b + 1] += at[b];
      for (int64_t i = 0; i < axis; ++i) spare[at[items[i] >> shift & 255]++] = items[i];
      std::swap(items, spare);
    }
    for (int64_t i = 0; i < axis; ++i) order[i] = static_cast<uint32_t>(items[i]);
  }
}

const char* random_target_name() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace keras::cpu
#endif  // HWY_ONCE
