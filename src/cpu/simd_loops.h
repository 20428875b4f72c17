// What lives here: the loops that apply an operation on vectors to n elements, for float32 and float64. Included once per target.
#if defined(KERAS_CPU_SIMD_LOOPS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERAS_CPU_SIMD_LOOPS_H_
#undef KERAS_CPU_SIMD_LOOPS_H_
#else
#define KERAS_CPU_SIMD_LOOPS_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "cpu/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The last elements go through the same vector code as all others: an element's bits never depend on where it stands.
template <class D, class T> HWY_INLINE hn::Vec<D> load_part(D d, const T* p, size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#else
  HWY_ALIGN T buf[hn::MaxLanes(D())] = {};
  std::memcpy(buf, p, n * sizeof(T));
  return hn::Load(d, buf);
#endif
}
template <class D, class T, class V> HWY_INLINE void store_part(V v, D d, T* p, size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, n), d, p);
#else
  HWY_ALIGN T buf[hn::MaxLanes(D())];
  hn::Store(v, d, buf);
  std::memcpy(p, buf, n * sizeof(T));
#endif
}

template <class T> HWY_INLINE void fill(T* out, int64_t count, T value) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto v = hn::Set(d, value);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(v, d, out + i);
  if (i < count) store_part(v, d, out + i, static_cast<size_t>(count - i));
}

// Row scalars come one at a time: a masked store would keep the next kernel from reading its result out of the store buffer.
template <class T, class V> HWY_INLINE void store_one(V v, void* out) { *static_cast<T*>(out) = hn::GetLane(v); }
template <class T> HWY_INLINE hn::Vec<hn::ScalableTag<T>> load_one(const void* p) { return hn::Set(hn::ScalableTag<T>(), *static_cast<const T*>(p)); }

template <class T, class F> void map1(const Args& k) {
  const hn::ScalableTag<T> d;
  if (k.n == 1) return store_one<T>(F()(d, load_one<T>(k.in[0])), k.out);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const T* a = static_cast<const T*>(k.in[0]);
  T* out = static_cast<T*>(k.out);
  const F f;
  if (k.scalars & 1) return fill(out, n, hn::GetLane(f(d, hn::Set(d, *a))));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i)), d, out + i);
  if (i < n) store_part(f(d, load_part(d, a + i, static_cast<size_t>(n - i))), d, out + i, static_cast<size_t>(n - i));
}

template <class T, class F> void map2(const Args& k) {
  const hn::ScalableTag<T> d;
  if (k.n == 1) return store_one<T>(F()(d, load_one<T>(k.in[0]), load_one<T>(k.in[1])), k.out);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = static_cast<const T*>(k.in[1]);
  T* out = static_cast<T*>(k.out);
  const F f;
  int64_t i = 0;
  const auto rest = [&] { return static_cast<size_t>(n - i); };
  switch (k.scalars & 3) {
    case 0:
      for (; i + 2 * lanes <= n; i += 2 * lanes) {
        const auto x = f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i));
        const auto y = f(d, hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes));
        hn::StoreU(x, d, out + i);
        hn::StoreU(y, d, out + i + lanes);
      }
      for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
      if (i < n) store_part(f(d, load_part(d, a + i, rest()), load_part(d, b + i, rest())), d, out + i, rest());
      return;
    case 1: {
      const auto s = hn::Set(d, *a);
      for (; i + 2 * lanes <= n; i += 2 * lanes) {
        const auto x = f(d, s, hn::LoadU(d, b + i)), y = f(d, s, hn::LoadU(d, b + i + lanes));
        hn::StoreU(x, d, out + i);
        hn::StoreU(y, d, out + i + lanes);
      }
      for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, s, hn::LoadU(d, b + i)), d, out + i);
      if (i < n) store_part(f(d, s, load_part(d, b + i, rest())), d, out + i, rest());
      return;
    }
    case 2: {
      const auto s = hn::Set(d, *b);
      for (; i + 2 * lanes <= n; i += 2 * lanes) {
        const auto x = f(d, hn::LoadU(d, a + i), s), y = f(d, hn::LoadU(d, a + i + lanes), s);
        hn::StoreU(x, d, out + i);
        hn::StoreU(y, d, out + i + lanes);
      }
      for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), s), d, out + i);
      if (i < n) store_part(f(d, load_part(d, a + i, rest()), s), d, out + i, rest());
      return;
    }
    default: return fill(out, n, hn::GetLane(f(d, hn::Set(d, *a), hn::Set(d, *b))));
  }
}

// Three and more operands: a scalar operand is spread over one vector on the stack and read with its index masked out; a load from there
// costs less than the code of all combinations.
template <class T, int kCount> struct Operands {
  const T* p[kCount];
  int64_t walk[kCount];  // mask of an index: -1, or 0 for a scalar
  HWY_ALIGN T spread[kCount][hn::MaxLanes(hn::ScalableTag<T>())];
  explicit Operands(const Args& k) {
    const hn::ScalableTag<T> d;
    for (int j = 0; j < kCount; ++j) {
      p[j] = static_cast<const T*>(k.in[j]);
      walk[j] = -1;
      if (k.scalars >> j & 1) {
        hn::Store(hn::Set(d, *p[j]), d, spread[j]);
        p[j] = spread[j];
        walk[j] = 0;
      }
    }
  }
};

// Three and more operands: usual combinations of scalars (`kMasks`) keep those in registers, the rest
// walks. Each operand is its own object, so that the compiler holds pointers and vectors in registers.
template <class T, bool kScalar> struct Held {
  using D = hn::ScalableTag<T>;
  const T* p;
  hn::Vec<D> v;
  explicit Held(const void* from) : p(static_cast<const T*>(from)), v(hn::Set(D(), kScalar ? *p : T(0))) {}
  HWY_INLINE hn::Vec<D> at(int64_t i) const {
    if constexpr (kScalar) return v;
    else return hn::LoadU(D(), p + i);
  }
  HWY_INLINE hn::Vec<D> part(int64_t i, size_t r) const {
    if constexpr (kScalar) return v;
    else return load_part(D(), p + i, r);
  }
};
template <class T> struct Walking {
  using D = hn::ScalableTag<T>;
  const T* p;
  int64_t walk;
  HWY_INLINE hn::Vec<D> at(int64_t i) const { return hn::LoadU(D(), p + (i & walk)); }
  HWY_INLINE hn::Vec<D> part(int64_t i, size_t r) const { return load_part(D(), p + (i & walk), r); }
};

template <class T, class F, class... O> HWY_INLINE void loop_over(const Args& k, const O... o) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  T* out = static_cast<T*>(k.out);
  const F f;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, o.at(i)...), d, out + i);
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    store_part(f(d, o.part(i, r)...), d, out + i, r);
  }
}
template <class T, class F, uint32_t kMask, size_t... I> void loop_held(const Args& k, std::index_sequence<I...>) {
  loop_over<T, F>(k, Held<T, (kMask >> I & 1) != 0>(k.in[I])...);
}
template <class T, class F, size_t... I> void loop_walking(const Args& k, std::index_sequence<I...>) {
  const Operands<T, sizeof...(I)> o(k);
  loop_over<T, F>(k, Walking<T>{o.p[I], o.walk[I]}...);
}
template <class T, class F, int kCount, uint32_t... kMasks> void map_wide(const Args& k) {
  constexpr auto all = std::make_index_sequence<kCount>();
  const bool done = ((k.scalars == kMasks ? (loop_held<T, F, kMasks>(k, all), true) : false) || ...);
  if (!done) loop_walking<T, F>(k, all);
}

template <class T, class F> void map3(const Args& k) {
  if (k.n == 1) return store_one<T>(F()(hn::ScalableTag<T>(), load_one<T>(k.in[0]), load_one<T>(k.in[1]), load_one<T>(k.in[2])), k.out);
  map_wide<T, F, 3, 0b000, 0b010, 0b100, 0b110>(k);
}

// ---- reductions ----

struct SumOp {
  template <class D> static HWY_INLINE hn::Vec<D> start(D d) { return hn::Zero(d); }
  template <class D, class V> static HWY_INLINE V join(D, V acc, V v) { return hn::Add(acc, v); }
};
struct ProdOp {
  template <class D> static HWY_INLINE hn::Vec<D> start(D d) { return hn::Set(d, 1); }
  template <class D, class V> static HWY_INLINE V join(D, V acc, V v) { return hn::Mul(acc, v); }
};
// x86's min and max return the second operand when either is NaN, so there only the first needs care.
template <class V> HWY_INLINE V keep_nan(V result, V second) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  (void)second;
  return result;
#else
  return hn::IfThenElse(hn::IsNaN(second), second, result);
#endif
}
struct MaxOp {
  template <class D> static HWY_INLINE hn::Vec<D> start(D d) { return hn::Set(d, -std::numeric_limits<hn::TFromD<D>>::infinity()); }
  template <class D, class V> static HWY_INLINE V join(D, V acc, V v) { return hn::IfThenElse(hn::IsNaN(acc), acc, keep_nan(hn::Max(acc, v), v)); }
};
struct MinOp {
  template <class D> static HWY_INLINE hn::Vec<D> start(D d) { return hn::Set(d, std::numeric_limits<hn::TFromD<D>>::infinity()); }
  template <class D, class V> static HWY_INLINE V join(D, V acc, V v) { return hn::IfThenElse(hn::IsNaN(acc), acc, keep_nan(hn::Min(acc, v), v)); }
};

/// What is applied before the reduction; `sum` adds the mapped value to an accumulator.
struct PreNone {
  static constexpr bool two = false;
  template <class D, class V> static HWY_INLINE V map(D, V a, V) { return a; }
  template <class D, class V> static HWY_INLINE V sum(D, V acc, V a, V) { return hn::Add(acc, a); }
};
struct PreSquare {
  static constexpr bool two = false;
  template <class D, class V> static HWY_INLINE V map(D, V a, V) { return hn::Mul(a, a); }
  template <class D, class V> static HWY_INLINE V sum(D, V acc, V a, V) { return hn::MulAdd(a, a, acc); }
};
struct PreMul {
  static constexpr bool two = true;
  template <class D, class V> static HWY_INLINE V map(D, V a, V b) { return hn::Mul(a, b); }
  template <class D, class V> static HWY_INLINE V sum(D, V acc, V a, V b) { return hn::MulAdd(a, b, acc); }
};
struct PreSqdiff {
  static constexpr bool two = true;
  template <class D, class V> static HWY_INLINE V map(D, V a, V b) { const V t = hn::Sub(a, b); return hn::Mul(t, t); }
  template <class D, class V> static HWY_INLINE V sum(D, V acc, V a, V b) { const V t = hn::Sub(a, b); return hn::MulAdd(t, t, acc); }
};

template <class R, class P, class D, class V> HWY_INLINE V take(D d, V acc, V a, V b) {
  if constexpr (std::is_same_v<R, SumOp>) return P::sum(d, acc, a, b);
  else return R::join(d, acc, P::map(d, a, b));
}

/// Lanes of `v` joined in a fixed order.
template <class R, class D, class T = hn::TFromD<D>> HWY_INLINE T join_lanes(D d, hn::Vec<D> v) {
  if constexpr (std::is_same_v<R, SumOp>) return hn::GetLane(hn::SumOfLanes(d, v));
  if constexpr (std::is_same_v<R, MaxOp> || std::is_same_v<R, MinOp>) {
    if (HWY_UNLIKELY(!hn::AllFalse(d, hn::IsNaN(v)))) return std::numeric_limits<T>::quiet_NaN();
    return hn::GetLane(std::is_same_v<R, MaxOp> ? hn::MaxOfLanes(d, v) : hn::MinOfLanes(d, v));
  }
  constexpr size_t kMax = hn::MaxLanes(D());
  HWY_ALIGN T buf[kMax];
  hn::Store(v, d, buf);
  const hn::CappedTag<T, 1> d1;
  for (size_t w = hn::Lanes(d) / 2; w > 0; w /= 2)
    for (size_t i = 0; i < w; ++i) hn::Store(R::join(d1, hn::Load(d1, buf + i), hn::LoadU(d1, buf + i + w)), d1, buf + i);
  return buf[0];
}

template <class T, class R, class P> void reduce(const Args& k) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = static_cast<const T*>(k.in[1]);
  // A scalar second operand is read from one vector on the stack, with a mask in place of the index.
  int64_t walk = -1;
  HWY_ALIGN T spread[hn::MaxLanes(hn::ScalableTag<T>())];
  if constexpr (P::two) {
    if (k.scalars & 2) {
      hn::Store(hn::Set(d, *b), d, spread);
      b = spread;
      walk = 0;
    }
  } else {
    b = a;
  }
  auto a0 = R::start(d), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  const auto add = [&](hn::Vec<decltype(d)> acc, int64_t i) HWY_ATTR { return take<R, P>(d, acc, hn::LoadU(d, a + i), hn::LoadU(d, b + (i & walk))); };
  int64_t i = 0;
  for (; i + 8 * lanes <= n; i += 8 * lanes) {
    a0 = add(a0, i);
    a1 = add(a1, i + lanes);
    a2 = add(a2, i + 2 * lanes);
    a3 = add(a3, i + 3 * lanes);
    a4 = add(a4, i + 4 * lanes);
    a5 = add(a5, i + 5 * lanes);
    a6 = add(a6, i + 6 * lanes);
    a7 = add(a7, i + 7 * lanes);
  }
  for (; i + lanes <= n; i += lanes) {
    a0 = add(a0, i);
    std::swap(a0, a1);
  }
  a0 = R::join(d, R::join(d, R::join(d, a0, a1), R::join(d, a2, a3)), R::join(d, R::join(d, a4, a5), R::join(d, a6, a7)));
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    const auto m = hn::FirstN(d, r);
    a0 = hn::IfThenElse(m, take<R, P>(d, a0, load_part(d, a + i, r), load_part(d, b + (i & walk), r)), a0);
  }
  *static_cast<T*>(k.out) = join_lanes<R>(d, a0);
}

// Few columns: the rows lie one after the other, so `cols` vectors hold whole numbers of rows and every lane keeps its column.
template <class T, class R, class P> void column_narrow(const ColumnArgs& k) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kMaxCols = 16, kMaxLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), cols = k.cols, n = k.rows * cols, step = lanes * cols;
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = P::two ? static_cast<const T*>(k.in[1]) : a;
  T* acc = static_cast<T*>(k.acc);
  HWY_ALIGN T part[kMaxCols * kMaxLanes];
  int64_t i = n / step * step;
  if (i > 0) {
    // Three vectors at a time: their sums stay in registers.
    for (int64_t v = 0; v < cols; v += 3) {
      const int64_t m = std::min<int64_t>(3, cols - v) - 1;
      auto s0 = R::start(d), s1 = s0, s2 = s0;
      for (int64_t j = v * lanes; j < i; j += step) {
        const auto add = [&](hn::Vec<decltype(d)> acc, int64_t x) HWY_ATTR { return take<R, P>(d, acc, hn::LoadU(d, a + j + x * lanes), hn::LoadU(d, b + j + x * lanes)); };
        s0 = add(s0, 0);
        if (m > 0) s1 = add(s1, 1);
        if (m > 1) s2 = add(s2, 2);
      }
      hn::Store(s0, d, part + v * lanes);
      if (m > 0) hn::Store(s1, d, part + (v + 1) * lanes);
      if (m > 1) hn::Store(s2, d, part + (v + 2) * lanes);
    }
  }
  const hn::CappedTag<T, 1> d1;
  const auto deliver = [&](int64_t col, hn::Vec<hn::CappedTag<T, 1>> v) HWY_ATTR {
    hn::StoreU(R::join(d1, hn::LoadU(d1, acc + col), v), d1, acc + col);
  };
  if (i > 0)
    for (int64_t c = 0; c < cols; ++c) {
      auto s = R::start(d1);
      for (int64_t j = c; j < step; j += cols) s = R::join(d1, s, hn::LoadU(d1, part + j));
      deliver(c, s);
    }
  for (int64_t c = i % cols; i < n; ++i, c = c + 1 == cols ? 0 : c + 1) deliver(c, P::map(d1, hn::LoadU(d1, a + i), hn::LoadU(d1, b + i)));
}

template <class T, class R, class P> void column(const ColumnArgs& k) {
  if (k.cols > 0 && k.cols <= 16 && k.ld[0] == k.cols && (!P::two || k.ld[1] == k.cols) && k.rows > 1) return column_narrow<T, R, P>(k);
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), rows = k.rows, cols = k.cols, ld = k.ld[0], ld2 = P::two ? k.ld[1] : ld;
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = P::two ? static_cast<const T*>(k.in[1]) : a;
  T* acc = static_cast<T*>(k.acc);
  int64_t c = 0;
  for (; c + 4 * lanes <= cols; c += 4 * lanes) {
    auto a0 = R::start(d), a1 = a0, a2 = a0, a3 = a0;
    for (int64_t r = 0; r < rows; ++r) {
      const T* p = a + r * ld + c;
      const T* q = b + r * ld2 + c;
      a0 = take<R, P>(d, a0, hn::LoadU(d, p), hn::LoadU(d, q));
      a1 = take<R, P>(d, a1, hn::LoadU(d, p + lanes), hn::LoadU(d, q + lanes));
      a2 = take<R, P>(d, a2, hn::LoadU(d, p + 2 * lanes), hn::LoadU(d, q + 2 * lanes));
      a3 = take<R, P>(d, a3, hn::LoadU(d, p + 3 * lanes), hn::LoadU(d, q + 3 * lanes));
    }
    hn::StoreU(R::join(d, hn::LoadU(d, acc + c), a0), d, acc + c);
    hn::StoreU(R::join(d, hn::LoadU(d, acc + c + lanes), a1), d, acc + c + lanes);
    hn::StoreU(R::join(d, hn::LoadU(d, acc + c + 2 * lanes), a2), d, acc + c + 2 * lanes);
    hn::StoreU(R::join(d, hn::LoadU(d, acc + c + 3 * lanes), a3), d, acc + c + 3 * lanes);
  }
  for (; c < cols; c += lanes) {
    const size_t w = static_cast<size_t>(std::min(lanes, cols - c));
    auto s = R::start(d);
    for (int64_t r = 0; r < rows; ++r) {
      const T* p = a + r * ld + c;
      const T* q = b + r * ld2 + c;
      s = w == static_cast<size_t>(lanes) ? take<R, P>(d, s, hn::LoadU(d, p), hn::LoadU(d, q)) : take<R, P>(d, s, load_part(d, p, w), load_part(d, q, w));
    }
    if (w == static_cast<size_t>(lanes)) hn::StoreU(R::join(d, hn::LoadU(d, acc + c), s), d, acc + c);
    else store_part(R::join(d, load_part(d, acc + c, w), s), d, acc + c, w);
  }
}

template <class T, class P> void column_pair(const ColumnArgs& k) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), rows = k.rows, cols = k.cols, ld = k.ld[0], ld2 = P::two ? k.ld[1] : ld;
  if (cols < 2 * lanes) {
    ColumnArgs second = k;
    second.acc = k.acc2;
    column<T, SumOp, PreNone>(k);
    return column<T, SumOp, P>(second);
  }
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = P::two ? static_cast<const T*>(k.in[1]) : a;
  T* acc = static_cast<T*>(k.acc);
  T* acc2 = static_cast<T*>(k.acc2);
  const auto put = [&](T* at, hn::Vec<decltype(d)> v) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, at), v), d, at); };
  int64_t c = 0;
  for (; c + 2 * lanes <= cols; c += 2 * lanes) {
    auto s0 = hn::Zero(d), s1 = s0, t0 = s0, t1 = s0;
    for (int64_t r = 0; r < rows; ++r) {
      const auto x0 = hn::LoadU(d, a + r * ld + c), x1 = hn::LoadU(d, a + r * ld + c + lanes);
      s0 = hn::Add(s0, x0);
      s1 = hn::Add(s1, x1);
      t0 = P::sum(d, t0, x0, hn::LoadU(d, b + r * ld2 + c));
      t1 = P::sum(d, t1, x1, hn::LoadU(d, b + r * ld2 + c + lanes));
    }
    put(acc + c, s0);
    put(acc + c + lanes, s1);
    put(acc2 + c, t0);
    put(acc2 + c + lanes, t1);
  }
  if (c == cols) return;
  ColumnArgs rest = k;
  rest.in[0] = a + c;
  rest.in[1] = b + c;
  rest.cols = cols - c;
  rest.acc = acc + c;
  column<T, SumOp, PreNone>(rest);
  rest.acc = acc2 + c;
  column<T, SumOp, P>(rest);
}

/// Row reductions: the sums know what goes before them, the others take plain values.
template <class T> Fn reduce_of(Reduce r, Pre pre) {
  if (r == Reduce::Sum) {
    if (pre == Pre::square) return reduce<T, SumOp, PreSquare>;
    if (pre == Pre::mul) return reduce<T, SumOp, PreMul>;
    if (pre == Pre::sqdiff) return reduce<T, SumOp, PreSqdiff>;
    return reduce<T, SumOp, PreNone>;
  }
  if (pre != Pre::none) return nullptr;
  if (r == Reduce::Max) return reduce<T, MaxOp, PreNone>;
  if (r == Reduce::Min) return reduce<T, MinOp, PreNone>;
  return reduce<T, ProdOp, PreNone>;
}
template <class T> ColumnFn column_of(Reduce r, Pre pre) {
  if (r == Reduce::Sum) {
    if (pre == Pre::square) return column<T, SumOp, PreSquare>;
    if (pre == Pre::mul) return column<T, SumOp, PreMul>;
    if (pre == Pre::sqdiff) return column<T, SumOp, PreSqdiff>;
    return column<T, SumOp, PreNone>;
  }
  if (pre != Pre::none) return nullptr;
  if (r == Reduce::Max) return column<T, MaxOp, PreNone>;
  if (r == Reduce::Min) return column<T, MinOp, PreNone>;
  return column<T, ProdOp, PreNone>;
}

// ---- operations that float32 and float64 share ----

#define KERAS_OP1(name, expr) \
  struct name { template <class D, class V> HWY_INLINE V operator()(D d, V a) const { (void)d; return expr; } };
#define KERAS_OP2(name, expr) \
  struct name { template <class D, class V> HWY_INLINE V operator()(D d, V a, V b) const { (void)d; return expr; } };
#define KERAS_OP3(name, expr) \
  struct name { template <class D, class V> HWY_INLINE V operator()(D d, V a, V b, V c) const { (void)d; return expr; } };

KERAS_OP1(FCopy, a)
KERAS_OP1(FNeg, hn::Neg(a))
KERAS_OP1(FAbs, hn::Abs(a))
KERAS_OP1(FSquare, hn::Mul(a, a))
KERAS_OP1(FSqrt, hn::Sqrt(a))
KERAS_OP1(FRsqrt, hn::Div(hn::Set(d, 1), hn::Sqrt(a)))
KERAS_OP1(FReciprocal, hn::Div(hn::Set(d, 1), a))
KERAS_OP1(FFloor, hn::Floor(a))
KERAS_OP1(FCeil, hn::Ceil(a))
KERAS_OP1(FRound, hn::Round(a))
KERAS_OP1(FTrunc, hn::Trunc(a))
// ±1 for everything else than zeros and NaN, which are their own sign.
KERAS_OP1(FSign, hn::IfThenElse(hn::Gt(hn::Abs(a), hn::Zero(d)), hn::CopySign(hn::Set(d, 1), a), a))
KERAS_OP2(FAdd, hn::Add(a, b))
KERAS_OP2(FSub, hn::Sub(a, b))
KERAS_OP2(FMul, hn::Mul(a, b))
KERAS_OP2(FDiv, hn::Div(a, b))
KERAS_OP2(FMax, MaxOp::join(d, a, b))
KERAS_OP2(FMin, MinOp::join(d, a, b))
KERAS_OP3(FMulAdd, hn::MulAdd(a, b, c))
KERAS_OP3(FMulSub, hn::MulSub(a, b, c))
KERAS_OP3(FNegMulAdd, hn::NegMulAdd(a, b, c))

template <class T> Fn shared_kernel(Op op) {
  switch (op) {
    case Op::copy: return map1<T, FCopy>;
    case Op::neg: return map1<T, FNeg>;
    case Op::abs: return map1<T, FAbs>;
    case Op::square: return map1<T, FSquare>;
    case Op::sqrt: return map1<T, FSqrt>;
    case Op::rsqrt: return map1<T, FRsqrt>;
    case Op::reciprocal: return map1<T, FReciprocal>;
    case Op::floor: return map1<T, FFloor>;
    case Op::ceil: return map1<T, FCeil>;
    case Op::round: return map1<T, FRound>;
    case Op::trunc: return map1<T, FTrunc>;
    case Op::sign: return map1<T, FSign>;
    case Op::add: return map2<T, FAdd>;
    case Op::sub: return map2<T, FSub>;
    case Op::mul: return map2<T, FMul>;
    case Op::maximum: return map2<T, FMax>;
    case Op::minimum: return map2<T, FMin>;
    case Op::mul_add: return map3<T, FMulAdd>;
    case Op::mul_sub: return map3<T, FMulSub>;
    case Op::neg_mul_add: return map3<T, FNegMulAdd>;
    default: return nullptr;
  }
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
