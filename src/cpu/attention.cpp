// What lives here: the kernels of attention.h. A task is what shares keys and values, or a part of its query rows; within it a block of
// rows of scores stays in the first or second level cache between the two products. Loops are compiled once per instruction set.
#include "cpu/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include <keras/base/error.h>

#include "cpu/random_kernels.h"
#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef KERAS_CPU_ATTENTION_ONCE
#define KERAS_CPU_ATTENTION_ONCE
namespace keras::cpu::attention_detail {

using Form = ir::AttentionForm;
using Kind = Form::Kind;
using ir::Ints;

constexpr int64_t kRowUnit = 12;        // rows of one register tile, or two of them
constexpr int64_t kWholeKeys = 2048;    // rows of scores up to here are held whole
constexpr int64_t kKeyBlock = 1024;     // and beyond, so many at a time
constexpr int64_t kBlockFloats = 8192;  // of scores in one block of rows
constexpr int64_t kBackwardKeys = 256, kBackwardRows = 96;
constexpr int64_t kMostAxes = 12;

/// What the loops need to know, worked out once.
struct Plan {
  Form form;
  bool backward = false;
  std::vector<int64_t> outer, group;  // batch axes, by number: with keys of their own, and those that share them
  int64_t outer_count = 1, group_count = 1;
  int64_t strip = 32, lanes = 16;  // floats of two vectors and of one
  int64_t rows = 48;               // of a block
  int64_t key_block = 0;
  int64_t parts = 1, blocks_per_row_set = 1, blocks = 1, blocks_per_part = 1;
  double lead = 1, rest = 1, after_scale = 1;  // scales: before all other steps, among them, after the softmax
  size_t first_step = 0;
  bool causal_only = false;  // what a row may not see is exactly what stands after it
  bool drops = false, zeroes = false;
  int64_t first_operand = 3;
  size_t slot_floats = 0, partial_floats = 0;
  int slots = 1;
  int64_t depth_pad = 0, width_pad = 0, keys_pad = 0, pitch = 0;
};

inline int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// One attention's place: its index along every batch axis.
struct Place {
  std::array<int64_t, kMostAxes> index{};
  int64_t flat = 0;  // row-major
  int64_t at(const Form::View& v) const {
    int64_t n = v.offset;
    for (size_t i = 0; i < v.batch.size(); ++i) n += index[i] * v.batch[i];
    return n;
  }
};
inline Place place_of(const Plan& p, int64_t outer, int64_t group) {
  Place at;
  const auto walk = [&](const std::vector<int64_t>& axes, int64_t n) {
    for (size_t i = axes.size(); i-- > 0;) {
      const int64_t size = p.form.batch[static_cast<size_t>(axes[i])];
      at.index[static_cast<size_t>(axes[i])] = n % size;
      n /= size;
    }
  };
  walk(p.outer, outer);
  walk(p.group, group);
  for (size_t i = 0; i < p.form.batch.size(); ++i) at.flat = at.flat * p.form.batch[i] + at.index[i];
  return at;
}

}  // namespace keras::cpu::attention_detail
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
using namespace attention_detail;
}
HWY_AFTER_NAMESPACE();
#include "cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace attention_loops {

using D = hn::ScalableTag<float>;
using F = hn::Vec<D>;
constexpr bool kManyRegisters = !HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX3;
constexpr int kRows = kManyRegisters ? 12 : 6;

inline int64_t lanes() { return static_cast<int64_t>(hn::Lanes(D())); }

// ---- products -------------------------------------------------------------------------------------------------------

/// c[m, n] (+)= a[m, k] b[k, n]: b in strips of two vectors' columns, `b_pitch` floats from one to the next, c padded to whole vectors.
struct Product {
  int64_t m, n, k;
  const float* a;
  int64_t a_rs, a_cs;
  const float* b;
  int64_t b_pitch;
  float* c;
  int64_t c_ld;
  bool add;
};

template <int MR, int NV>
HWY_NOINLINE void tile(int64_t k, const float* a, int64_t a_rs, int64_t a_cs, const float* b, int64_t b_rs, float* c, int64_t c_ld, bool add) {
  const D d;
  const int64_t n = lanes();
  F acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = hn::Zero(d);
  }
  for (; k > 0; --k) {
    F vb[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) vb[j] = hn::LoadU(d, b + j * n);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const F va = hn::Set(d, a[i * a_rs]);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = hn::MulAdd(va, vb[j], acc[i][j]);
    }
    a += a_cs;
    b += b_rs;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      float* to = c + i * c_ld + j * n;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, to), acc[i][j]) : acc[i][j], d, to);
    }
  }
}

template <int NV> HWY_INLINE void strip_product(const Product& g, const float* b, float* c) {
  const int64_t strip = 2 * lanes();
  const float* a = g.a;
  int64_t m = g.m;
  const auto step = [&](int64_t r) { a += r * g.a_rs, c += r * g.c_ld, m -= r; };
  for (; m >= kRows; step(kRows)) tile<kRows, NV>(g.k, a, g.a_rs, g.a_cs, b, strip, c, g.c_ld, g.add);
  if constexpr (kManyRegisters) {
    if (m >= 8) tile<8, NV>(g.k, a, g.a_rs, g.a_cs, b, strip, c, g.c_ld, g.add), step(8);
  }
  if (m >= 4) tile<4, NV>(g.k, a, g.a_rs, g.a_cs, b, strip, c, g.c_ld, g.add), step(4);
  if (m >= 2) tile<2, NV>(g.k, a, g.a_rs, g.a_cs, b, strip, c, g.c_ld, g.add), step(2);
  if (m == 1) tile<1, NV>(g.k, a, g.a_rs, g.a_cs, b, strip, c, g.c_ld, g.add);
}

void product(const Product& g) {
  const int64_t one = lanes(), strip = 2 * one;
  const float* b = g.b;
  for (int64_t j = 0; j < g.n; j += strip, b += g.b_pitch) {
    if (g.n - j > one) strip_product<2>(g, b, g.c + j);
    else strip_product<1>(g, b, g.c + j);
  }
}

// ---- packing --------------------------------------------------------------------------------------------------------

/// rows × cols into strips of columns, missing columns of the last strip 0.
void pack(float* to, int64_t pitch, const float* from, int64_t rs, int64_t cs, int64_t rows, int64_t cols, float scale) {
  const D d;
  const int64_t one = lanes(), strip = 2 * one;
  for (int64_t j = 0; j < cols; j += strip, to += pitch) {
    const int64_t n = std::min(strip, cols - j);
    for (int64_t i = 0; i < rows; ++i) {
      const float* f = from + i * rs + j * cs;
      float* t = to + i * strip;
      if (cs == 1 && n == strip) {
        const F s = hn::Set(d, scale);
        hn::StoreU(hn::Mul(s, hn::LoadU(d, f)), d, t);
        hn::StoreU(hn::Mul(s, hn::LoadU(d, f + one)), d, t + one);
        continue;
      }
      for (int64_t c = 0; c < n; ++c) t[c] = f[c * cs] * scale;
      for (int64_t c = n; c < strip; ++c) t[c] = 0;
    }
  }
}

/// The transpose of rows × cols into strips: row r of `from` becomes column r.
void pack_transposed(float* to, int64_t pitch, const float* from, int64_t rs, int64_t cs, int64_t rows, int64_t cols) {
  const int64_t strip = 2 * lanes();
  for (int64_t r0 = 0; r0 < rows; r0 += strip, to += pitch) {
    const int64_t n = std::min(strip, rows - r0);
    const float* f = from + r0 * rs;
    int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
    if (cs == 1) {
      const hn::FixedTag<float, 4> d;
      const hn::RepartitionToWide<decltype(d)> w;
      for (; r + 4 <= n; r += 4) {
        const float* p = f + r * rs;
        float* q = to + r;
        int64_t c = 0;
        for (; c + 4 <= cols; c += 4, p += 4, q += 4 * strip) {
          const auto v0 = hn::LoadU(d, p), v1 = hn::LoadU(d, p + rs), v2 = hn::LoadU(d, p + 2 * rs), v3 = hn::LoadU(d, p + 3 * rs);
          const auto l01 = hn::BitCast(w, hn::InterleaveLower(d, v0, v1)), h01 = hn::BitCast(w, hn::InterleaveUpper(d, v0, v1));
          const auto l23 = hn::BitCast(w, hn::InterleaveLower(d, v2, v3)), h23 = hn::BitCast(w, hn::InterleaveUpper(d, v2, v3));
          hn::StoreU(hn::BitCast(d, hn::InterleaveLower(w, l01, l23)), d, q);
          hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(w, l01, l23)), d, q + strip);
          hn::StoreU(hn::BitCast(d, hn::InterleaveLower(w, h01, h23)), d, q + 2 * strip);
          hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(w, h01, h23)), d, q + 3 * strip);
        }
        for (; c < cols; ++c, ++p, q += strip) {
          for (int64_t i = 0; i < 4; ++i) q[i] = p[i * rs];
        }
      }
    }
#endif
    for (; r < n; ++r) {
      for (int64_t c = 0; c < cols; ++c) to[c * strip + r] = f[r * rs + c * cs];
    }
    for (; r < strip; ++r) {
      for (int64_t c = 0; c < cols; ++c) to[c * strip + r] = 0;
    }
  }
}

void copy_rows(float* to, int64_t to_rs, int64_t to_cs, const float* from, int64_t rs, int64_t cs, int64_t rows, int64_t cols, float scale) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* f = from + r * rs;
    float* t = to + r * to_rs;
    if (cs == 1 && to_cs == 1) {
      for (int64_t c = 0; c < cols; ++c) t[c] = f[c] * scale;
    } else {
      for (int64_t c = 0; c < cols; ++c) t[c * to_cs] = f[c * cs] * scale;
    }
  }
}

// ---- rows of scores -------------------------------------------------------------------------------------------------

/// exp of what is not above 0; from where floats run out of normal numbers (-87.7) on, 0. NaN stays.
HWY_INLINE F exp_below(D d, F x) {
  const IntOf<D> di;
  const F by = hn::Set(d, 1.44269504f), magic = hn::Set(d, 12582912.0f);  // adding it rounds, and leaves the whole number in the low bits
  const F c = at_least(d, x, -88.3f);                                     // where the power of two is 0
  const F rounded = hn::MulAdd(c, by, magic);
  const F f = hn::MulSub(c, by, hn::Sub(rounded, magic));
  const F power = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, rounded), hn::Set(di, 127))));
  return hn::Mul(poly(d, f, 0.000153458124f, 0.00133999309f, 0.00961848907f, 0.0555032864f, 0.240226462f, 0.693147182f, 1.0f), power);
}

/// A piece of a row of scores: keys j0 … j0 + n of query row `row` of an attention.
struct RowAt {
  const Plan& plan;
  const Place& place;
  void* const* operands;
  int64_t row, j0, n;
};

/// Calls f(j) for what a fill's mask leaves out.
template <class F1> HWY_INLINE void where_left_out(const RowAt& at, const Form::Step& s, F1 f) {
  if (s.operand == Form::kCausal) {
    for (int64_t j = std::max<int64_t>(0, at.row + 1 - at.j0); j < at.n; ++j) f(j, true);
    return;
  }
  const uint8_t* m = static_cast<const uint8_t*>(at.operands[s.operand]) + at.place.at(s.view) + at.row * s.view.row + at.j0 * s.view.column;
  const uint8_t out = s.inverted ? 1 : 0;
  if (s.view.column == 0) {
    if (*m == out) {
      for (int64_t j = 0; j < at.n; ++j) f(j, true);
    }
    return;
  }
  for (int64_t j = 0; j < at.n; ++j) f(j, m[j] == out);
}

void apply_steps(const RowAt& at, float* x) {
  const Plan& p = at.plan;
  for (size_t i = p.first_step; i < p.form.steps.size(); ++i) {
    const Form::Step& s = p.form.steps[i];
    const float value = static_cast<float>(s.value);
    switch (s.kind) {
      case Kind::Scale:
        for (int64_t j = 0; j < at.n; ++j) x[j] *= value;
        break;
      case Kind::Add:
      case Kind::Subtract: {
        const float* b =
            static_cast<const float*>(at.operands[s.operand]) + at.place.at(s.view) + at.row * s.view.row + at.j0 * s.view.column;
        const float sign = s.kind == Kind::Add ? 1.0f : -1.0f;
        if (s.view.column == 0) {
          const float one = sign * *b;
          for (int64_t j = 0; j < at.n; ++j) x[j] += one;
        } else {
          for (int64_t j = 0; j < at.n; ++j) x[j] += sign * b[j];
        }
        break;
      }
      case Kind::Fill: where_left_out(at, s, [&](int64_t j, bool out) { x[j] = out ? value : x[j]; }); break;
      case Kind::FillAdd: where_left_out(at, s, [&](int64_t j, bool out) { x[j] = out ? x[j] + value : x[j]; }); break;
      case Kind::Drop: break;
    }
  }
}

/// Zeroes what the fills among the steps hide from the gradient.
void hide(const RowAt& at, float* x) {
  for (const Form::Step& s : at.plan.form.steps)
    if (s.kind == Kind::Fill) where_left_out(at, s, [&](int64_t j, bool out) { x[j] = out ? 0 : x[j]; });
}

/// What a probability is multiplied by on its way to a weight, without the scales.
void factors(const RowAt& at, float* t, uint8_t* bits) {
  for (int64_t j = 0; j < at.n; ++j) t[j] = 1;
  for (const Form::Step& s : at.plan.form.after) {
    if (s.kind == Kind::Fill) where_left_out(at, s, [&](int64_t j, bool out) { t[j] = out ? 0 : t[j]; });
    if (s.kind != Kind::Drop) continue;
    random_bernoulli(static_cast<const uint32_t*>(at.operands[s.operand]), at.place.at(s.view) + at.row * s.view.row + at.j0, at.n,
                     static_cast<float>(s.value), bits);
    for (int64_t j = 0; j < at.n; ++j) t[j] = bits[j] ? t[j] : 0;
  }
}

HWY_INLINE float row_max(const float* x, int64_t n) {
  const D d;
  const int64_t one = lanes();
  F m = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t j = 0; j < n; j += one) m = hn::Max(m, hn::LoadU(d, x + j));
  return hn::GetLane(hn::MaxOfLanes(d, m));
}
/// x = exp(x - m), and the sum.
HWY_INLINE float exp_row(float* x, int64_t n, float m) {
  const D d;
  const int64_t one = lanes();
  const F shift = hn::Set(d, m);
  F sum = hn::Zero(d), other = sum;
  int64_t j = 0;
  for (; j + 2 * one <= n; j += 2 * one) {
    const F e = exp_below(d, hn::Sub(hn::LoadU(d, x + j), shift)), g = exp_below(d, hn::Sub(hn::LoadU(d, x + j + one), shift));
    hn::StoreU(e, d, x + j), hn::StoreU(g, d, x + j + one);
    sum = hn::Add(sum, e), other = hn::Add(other, g);
  }
  for (; j < n; j += one) {
    const F e = exp_below(d, hn::Sub(hn::LoadU(d, x + j), shift));
    hn::StoreU(e, d, x + j);
    sum = hn::Add(sum, e);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, other)));
}

HWY_INLINE float sum_of_products(const float* a, const float* b, int64_t step, int64_t n) {
  const D d;
  const int64_t one = lanes();
  F sum = hn::Zero(d);
  int64_t j = 0;
  if (step == 1) {
    for (; j + one <= n; j += one) sum = hn::MulAdd(hn::LoadU(d, a + j), hn::LoadU(d, b + j), sum);
  }
  float rest = 0;
  for (; j < n; ++j) rest += a[j] * b[j * step];
  return hn::GetLane(hn::SumOfLanes(d, sum)) + rest;
}

/// Keys that no row up to `last` can see are left out.
inline int64_t keys_for(const Plan& p, int64_t last) { return p.causal_only ? std::min(p.form.keys, last + 1) : p.form.keys; }

// Scratch is handed out front to back.
struct Cursor {
  float* at;
  float* take(int64_t n) { return std::exchange(at, at + up(n, 16)); }
};

// ---- forward --------------------------------------------------------------------------------------------------------

void Forward(const Plan& p, int64_t outer, int64_t part, void* const* in, void* const* out, float* scratch) {
  const Form& f = p.form;
  const int64_t S = f.keys, K = f.depth, E = f.width, one = lanes();
  Cursor c{scratch};
  const int64_t k_pitch = K * p.strip, v_pitch = S * p.strip;
  float* keys = c.take(p.keys_pad * K);
  float* values = c.take(up(E, p.strip) * S);
  float* scores = c.take(p.rows * p.pitch);
  float* q = c.take(p.rows * K);
  float* y = c.take(p.rows * p.width_pad);
  float* top = c.take(p.rows);
  float* sums = c.take(p.rows);
  float* t = c.take(p.pitch);
  uint8_t* bits = reinterpret_cast<uint8_t*>(c.take(p.pitch / 4 + 16));
  void* const* operands = in + p.first_operand;
  {
    const Place at = place_of(p, outer, 0);
    pack_transposed(keys, k_pitch, static_cast<const float*>(in[1]) + at.at(f.k), f.k.row, f.k.column, S, K);
    pack(values, v_pitch, static_cast<const float*>(in[2]) + at.at(f.v), f.v.row, f.v.column, S, E, 1.0f);
  }
  const int64_t first = part * p.blocks_per_part, last = std::min(p.blocks, first + p.blocks_per_part);
  for (int64_t block = first; block < last; ++block) {
    const Place at = place_of(p, outer, block / p.blocks_per_row_set);
    const int64_t r0 = block % p.blocks_per_row_set * p.rows, rows = std::min(p.rows, f.rows - r0);
    copy_rows(q, K, 1, static_cast<const float*>(in[0]) + at.at(f.q) + r0 * f.q.row, f.q.row, f.q.column, rows, K, static_cast<float>(p.lead));
    const int64_t seen = keys_for(p, r0 + rows - 1);
    for (int64_t j0 = 0; j0 < seen; j0 += p.key_block) {
      const int64_t n = std::min(p.key_block, seen - j0), wide = up(n, one);
      product({rows, n, K, q, K, 1, keys + j0 / p.strip * k_pitch, k_pitch, scores, p.pitch, false});
      for (int64_t r = 0; r < rows; ++r) {
        float* x = scores + r * p.pitch;
        const RowAt row{p, at, operands, r0 + r, j0, n};
        apply_steps(row, x);
        for (int64_t j = n; j < wide; ++j) x[j] = -std::numeric_limits<float>::infinity();
        float m = row_max(x, wide), before = 1;
        if (j0 > 0) {
          m = std::max(m, top[r]);
          before = m == top[r] ? 1.0f : std::exp(top[r] - m);
        }
        const float sum = exp_row(x, wide, m == -std::numeric_limits<float>::infinity() ? 0.0f : m);
        if (j0 > 0 && before != 1) {
          for (int64_t e = 0; e < E; ++e) y[r * p.width_pad + e] *= before;
        }
        sums[r] = j0 > 0 ? sums[r] * before + sum : sum;
        top[r] = m;
        if (p.drops || p.zeroes) {
          factors(row, t, bits);
          for (int64_t j = 0; j < n; ++j) x[j] *= t[j];
        }
      }
      product({rows, E, n, scores, p.pitch, 1, values + j0 * p.strip, v_pitch, y, p.width_pad, j0 > 0});
    }
    float* to = static_cast<float*>(out[0]) + at.at(f.y) + r0 * f.y.row;
    for (int64_t r = 0; r < rows; ++r) {
      const float scale = static_cast<float>(p.after_scale) / sums[r];
      copy_rows(to + r * f.y.row, 0, f.y.column, y + r * p.width_pad, 0, 1, 1, E, scale);
    }
    float* stats = static_cast<float*>(out[1]) + (at.flat * f.rows + r0) * 2;
    for (int64_t r = 0; r < rows; ++r) stats[2 * r] = top[r], stats[2 * r + 1] = sums[r];
  }
}

// ---- backward -------------------------------------------------------------------------------------------------------

/// scores → probabilities in place and, from `grads` (the cotangents of the weights), those of the scores; the weights replace the scores.
HWY_INLINE void row_gradient(float* scores, float* grads, int64_t n, float m, float inverse, float delta, float factor, const float* t,
                             float after) {
  const D d;
  const int64_t one = lanes();
  const F shift = hn::Set(d, m), scale = hn::Set(d, inverse), dl = hn::Set(d, delta), by = hn::Set(d, factor), af = hn::Set(d, after);
  for (int64_t j = 0; j < n; j += one) {
    const F p = hn::Mul(exp_below(d, hn::Sub(hn::LoadU(d, scores + j), shift)), scale);
    F g = hn::LoadU(d, grads + j), w = p;
    if (t != nullptr) {
      const F u = hn::Mul(hn::LoadU(d, t + j), af);
      g = hn::Mul(g, u);
      w = hn::Mul(w, u);
    }
    hn::StoreU(w, d, scores + j);
    hn::StoreU(hn::Mul(hn::Mul(p, hn::Sub(g, dl)), by), d, grads + j);
  }
}

void Backward(const Plan& p, int64_t outer, int64_t part, void* const* in, void* const* out, float* partial, float* scratch) {
  const Form& f = p.form;
  const int64_t S = f.keys, K = f.depth, E = f.width, one = lanes();
  Cursor c{scratch};
  const int64_t kt_pitch = K * p.strip, vt_pitch = E * p.strip, k_pitch = S * p.strip, block_pitch = p.rows * p.strip;
  float* keys_t = c.take(p.keys_pad * K);
  float* values_t = c.take(p.keys_pad * E);
  float* keys = c.take(up(K, p.strip) * S);
  float* dk = c.take(S * p.depth_pad);
  float* dv = c.take(S * p.width_pad);
  float* scores = c.take(p.rows * p.pitch);
  float* grads = c.take(p.rows * p.pitch);
  float* q = c.take(p.rows * K);
  float* q_strips = c.take(up(K, p.strip) * p.rows);
  float* dy = c.take(p.rows * E);
  float* dy_strips = c.take(up(E, p.strip) * p.rows);
  float* dq = c.take(p.rows * p.depth_pad);
  float* delta = c.take(p.rows);
  float* t = c.take(p.pitch);
  uint8_t* bits = reinterpret_cast<uint8_t*>(c.take(p.pitch / 4 + 16));
  void* const* operands = in + p.first_operand;
  const bool joint = f.joint.rank() > 0;
  const auto cotangent = [&](int i) { return static_cast<float*>(out[joint ? 0 : i]); };
  const Place shared = place_of(p, outer, 0);
  const float* k_from = static_cast<const float*>(in[1]) + shared.at(f.k);
  const float* v_from = static_cast<const float*>(in[2]) + shared.at(f.v);
  pack_transposed(keys_t, kt_pitch, k_from, f.k.row, f.k.column, S, K);
  pack_transposed(values_t, vt_pitch, v_from, f.v.row, f.v.column, S, E);
  pack(keys, k_pitch, k_from, f.k.row, f.k.column, S, K, 1.0f);
  std::memset(dk, 0, static_cast<size_t>(S * p.depth_pad) * sizeof(float));
  std::memset(dv, 0, static_cast<size_t>(S * p.width_pad) * sizeof(float));
  const float after = static_cast<float>(p.after_scale), rest = static_cast<float>(p.rest);
  const bool after_factors = p.drops || p.zeroes || after != 1;
  const int64_t first = part * p.blocks_per_part, last = std::min(p.blocks, first + p.blocks_per_part);
  for (int64_t block = first; block < last; ++block) {
    const Place at = place_of(p, outer, block / p.blocks_per_row_set);
    const int64_t r0 = block % p.blocks_per_row_set * p.rows, rows = std::min(p.rows, f.rows - r0);
    copy_rows(q, K, 1, static_cast<const float*>(in[0]) + at.at(f.q) + r0 * f.q.row, f.q.row, f.q.column, rows, K, static_cast<float>(p.lead));
    pack(q_strips, block_pitch, q, K, 1, rows, K, 1.0f);
    const float* y = static_cast<const float*>(in[3]) + at.at(f.y) + r0 * f.y.row;
    copy_rows(dy, E, 1, static_cast<const float*>(in[5]) + at.at(f.y) + r0 * f.y.row, f.y.row, f.y.column, rows, E, 1.0f);
    pack(dy_strips, block_pitch, dy, E, 1, rows, E, 1.0f);
    for (int64_t r = 0; r < rows; ++r) delta[r] = sum_of_products(dy + r * E, y + r * f.y.row, f.y.column, E);
    const float* stats = static_cast<const float*>(in[4]) + (at.flat * f.rows + r0) * 2;
    const int64_t seen = keys_for(p, r0 + rows - 1);
    for (int64_t j0 = 0; j0 < seen; j0 += p.key_block) {
      const int64_t n = std::min(p.key_block, seen - j0), wide = up(n, one);
      product({rows, n, K, q, K, 1, keys_t + j0 / p.strip * kt_pitch, kt_pitch, scores, p.pitch, false});
      product({rows, n, E, dy, E, 1, values_t + j0 / p.strip * vt_pitch, vt_pitch, grads, p.pitch, false});
      for (int64_t r = 0; r < rows; ++r) {
        const RowAt row{p, at, operands, r0 + r, j0, n};
        apply_steps(row, scores + r * p.pitch);
        const float m = stats[2 * r];
        if (p.drops || p.zeroes) factors(row, t, bits);
        else if (after_factors) std::fill(t, t + wide, 1.0f);
        row_gradient(scores + r * p.pitch, grads + r * p.pitch, wide, m == -std::numeric_limits<float>::infinity() ? 0.0f : m,
                     1 / stats[2 * r + 1], delta[r], rest, after_factors ? t : nullptr, after);
        hide(row, grads + r * p.pitch);
      }
      product({n, E, rows, scores, 1, p.pitch, dy_strips, block_pitch, dv + j0 * p.width_pad, p.width_pad, true});
      product({n, K, rows, grads, 1, p.pitch, q_strips, block_pitch, dk + j0 * p.depth_pad, p.depth_pad, true});
      product({rows, K, n, grads, p.pitch, 1, keys + j0 * p.strip, k_pitch, dq, p.depth_pad, j0 > 0});
    }
    copy_rows(cotangent(0) + at.at(f.dq) + r0 * f.dq.row, f.dq.row, f.dq.column, dq, p.depth_pad, 1, rows, K, static_cast<float>(p.lead));
  }
  if (p.parts == 1) {
    copy_rows(cotangent(1) + shared.at(f.dk), f.dk.row, f.dk.column, dk, p.depth_pad, 1, S, K, 1.0f);
    copy_rows(cotangent(2) + shared.at(f.dv), f.dv.row, f.dv.column, dv, p.width_pad, 1, S, E, 1.0f);
  } else {
    float* to = partial + (outer * p.parts + part) * S * (K + E);
    copy_rows(to, K, 1, dk, p.depth_pad, 1, S, K, 1.0f);
    copy_rows(to + S * K, E, 1, dv, p.width_pad, 1, S, E, 1.0f);
  }
}

int64_t VectorFloats() { return lanes(); }

}  // namespace attention_loops
void AttentionForward(const Plan& p, int64_t outer, int64_t part, void* const* in, void* const* out, float* scratch) {
  attention_loops::Forward(p, outer, part, in, out, scratch);
}
void AttentionBackward(const Plan& p, int64_t outer, int64_t part, void* const* in, void* const* out, float* partial, float* scratch) {
  attention_loops::Backward(p, outer, part, in, out, partial, scratch);
}
int64_t AttentionLanes() { return attention_loops::VectorFloats(); }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(AttentionForward);
HWY_EXPORT(AttentionBackward);
HWY_EXPORT(AttentionLanes);

namespace {

using attention_detail::Form;
using attention_detail::Kind;
using attention_detail::Place;
using attention_detail::Plan;
using attention_detail::up;

constexpr int64_t kWantedTasks = 16, kLeastPartRows = 96;
constexpr double kSerialFlops = 3e5;

Plan make_plan(const Form& form, bool backward) {
  Plan p;
  p.form = form;
  p.backward = backward;
  if (form.joint.rank() == 0) p.form.dq = form.q, p.form.dk = form.k, p.form.dv = form.v;
  const Form& f = p.form;
  if (static_cast<int64_t>(f.batch.size()) > attention_detail::kMostAxes)
    throw ValueError(ErrorText{.what = "an attention has too many axes", .where = "attention", .received = Shape(f.batch).str()}.str());
  for (size_t i = 0; i < f.batch.size(); ++i) {
    const bool own = f.k.batch[i] != 0 || f.v.batch[i] != 0;
    (own ? p.outer : p.group).push_back(static_cast<int64_t>(i));
    (own ? p.outer_count : p.group_count) *= f.batch[i];
  }
  p.first_operand = backward ? 6 : 3;
  bool only_scales = true, other = false, causal = false;
  for (size_t i = 0; i < f.steps.size(); ++i) {
    const Form::Step& s = f.steps[i];
    if (s.kind == Kind::Scale) {
      if (only_scales) p.lead *= s.value, p.first_step = i + 1;
      else p.rest *= s.value;
      continue;
    }
    only_scales = false;
    // A filled score must be far below all others for its exponential to vanish.
    if (s.kind == Kind::Fill && s.operand == Form::kCausal && s.value <= -1e8) causal = true;
    else other = true;
  }
  p.causal_only = causal && !other;
  for (const Form::Step& s : f.after) {
    if (s.kind == Kind::Scale) p.after_scale *= s.value;
    p.drops |= s.kind == Kind::Drop;
    p.zeroes |= s.kind == Kind::Fill;
  }
  p.lanes = HWY_DYNAMIC_DISPATCH(AttentionLanes)();
  p.strip = 2 * p.lanes;
  const int64_t S = f.keys, K = f.depth, E = f.width;
  p.keys_pad = up(S, p.strip);
  p.depth_pad = up(K, p.lanes);
  p.width_pad = up(E, p.lanes);
  const int64_t unit = attention_detail::kRowUnit;
  if (backward) {
    p.key_block = S <= attention_detail::kBackwardKeys ? S : attention_detail::kBackwardKeys;
    p.rows = attention_detail::kBackwardRows;
  } else {
    p.key_block = S <= attention_detail::kWholeKeys ? S : attention_detail::kKeyBlock;
    p.rows = std::clamp<int64_t>(attention_detail::kBlockFloats / up(p.key_block, p.strip) / unit * unit, unit, 8 * unit);
  }
  p.pitch = up(p.key_block, p.strip) + 16;  // not a multiple of a page, or columns of scores share sets of the cache
  p.blocks_per_row_set = (f.rows + p.rows - 1) / p.rows;
  p.rows = std::min(up((f.rows + p.blocks_per_row_set - 1) / p.blocks_per_row_set, unit), f.rows);  // no short block at the end
  p.blocks_per_row_set = (f.rows + p.rows - 1) / p.rows;
  p.blocks = p.blocks_per_row_set * p.group_count;
  if (p.outer_count < kWantedTasks / 2) {
    const int64_t most = std::max<int64_t>(1, p.blocks * p.rows / kLeastPartRows);
    p.parts = std::min(most, (kWantedTasks + p.outer_count - 1) / p.outer_count);
  }
  p.blocks_per_part = (p.blocks + p.parts - 1) / p.parts;
  p.parts = (p.blocks + p.blocks_per_part - 1) / p.blocks_per_part;
  int64_t n = 0;
  const auto take = [&](int64_t floats) { n += up(floats, 16); };
  const int64_t k_strips = up(K, p.strip), v_strips = up(E, p.strip);
  if (backward) {
    take(p.keys_pad * K), take(p.keys_pad * E), take(k_strips * S), take(S * p.depth_pad), take(S * p.width_pad);
    take(p.rows * p.pitch), take(p.rows * p.pitch), take(p.rows * K), take(k_strips * p.rows), take(p.rows * E), take(v_strips * p.rows);
    take(p.rows * p.depth_pad), take(p.rows), take(p.pitch), take(p.pitch / 4 + 16);
    if (p.parts > 1) p.partial_floats = static_cast<size_t>(up(p.outer_count * p.parts * S * (K + E), 16));
  } else {
    take(p.keys_pad * K), take(v_strips * S), take(p.rows * p.pitch), take(p.rows * K), take(p.rows * p.width_pad);
    take(p.rows), take(p.rows), take(p.pitch), take(p.pitch / 4 + 16);
  }
  p.slot_floats = static_cast<size_t>(n) + 16;
  p.slots = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(p.outer_count * p.parts, num_threads())));
  return p;
}

class AttentionKernel final : public engine::Kernel {
 public:
  AttentionKernel(const Form& form, bool backward) : plan_(make_plan(form, backward)) {
    const Form& f = plan_.form;
    const auto number = [](int64_t n) { return std::to_string(n); };
    text_ = "attention " + number(plan_.outer_count) + " x " + number(plan_.group_count * f.rows) + " rows of " + number(f.keys) + ", depth " +
            number(f.depth) + ": blocks of " + number(plan_.rows) + " x " + number(plan_.key_block) + ", " +
            number(plan_.outer_count * plan_.parts) + " tasks";
    if (plan_.causal_only) text_ += ", causal";
    const double scores = static_cast<double>(plan_.outer_count * plan_.group_count) * static_cast<double>(f.rows) * static_cast<double>(f.keys);
    serial_ = scores * static_cast<double>(f.depth + f.width + 8) * (backward ? 5 : 2) < kSerialFlops;
  }
  size_t scratch_bytes() const override {
    return (plan_.partial_floats + plan_.slot_floats * static_cast<size_t>(plan_.slots)) * sizeof(float);
  }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override {
    const Plan& p = plan_;
    float* partial = static_cast<float*>(scratch);
    float* slots = partial + p.partial_floats;
    const int64_t tasks = p.outer_count * p.parts;
    const auto forward = HWY_DYNAMIC_DISPATCH(AttentionForward);
    const auto backward = HWY_DYNAMIC_DISPATCH(AttentionBackward);
    parallel_for_slots(tasks, serial_ ? std::max<int64_t>(tasks, 1) : 1, p.slots, [&](int64_t begin, int64_t end, int slot) {
      float* mine = slots + static_cast<size_t>(slot) * p.slot_floats;
      for (int64_t i = begin; i < end; ++i) {
        if (p.backward) backward(p, i / p.parts, i % p.parts, in, out, partial, mine);
        else forward(p, i / p.parts, i % p.parts, in, out, mine);
      }
    });
    if (p.backward && p.parts > 1) combine(out, partial);
  }

 private:
  // The parts' cotangents of keys and values, added in order.
  void combine(void* const* out, const float* partial) const {
    const Plan& p = plan_;
    const Form& f = p.form;
    const int64_t S = f.keys, K = f.depth, E = f.width, size = S * (K + E);
    const bool joint = f.joint.rank() > 0;
    parallel_for(p.outer_count * S, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Place at = attention_detail::place_of(p, i / S, 0);
        const int64_t s = i % S;
        const float* from = partial + i / S * p.parts * size;
        const auto add_up = [&](float* to, int64_t step, const float* first, int64_t n) {
          for (int64_t c = 0; c < n; ++c) {
            float sum = first[c];
            for (int64_t k = 1; k < p.parts; ++k) sum += first[k * size + c];
            to[c * step] = sum;
          }
        };
        add_up(static_cast<float*>(out[joint ? 0 : 1]) + at.at(f.dk) + s * f.dk.row, f.dk.column, from + s * K, K);
        add_up(static_cast<float*>(out[joint ? 0 : 2]) + at.at(f.dv) + s * f.dv.row, f.dv.column, from + S * K + s * E, E);
      }
    });
  }

  Plan plan_;
  std::string text_;
  bool serial_ = false;
};

}  // namespace

engine::KernelPtr make_attention(const ir::AttentionForm& form) { return std::make_unique<AttentionKernel>(form, false); }
engine::KernelPtr make_attention_backward(const ir::AttentionForm& form) { return std::make_unique<AttentionKernel>(form, true); }

}  // namespace keras::cpu
#endif
