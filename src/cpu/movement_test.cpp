// What lives here: data movement against element-by-element references, over item sizes, ranks and empty arrays.
#include "cpu/movement.h"

#include <keras/base/error.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>

namespace keras::cpu {
namespace {

using Index = std::vector<int64_t>;
using Bytes = std::vector<uint8_t>;

const std::vector<DType> kSizes = {DType::UInt8, DType::BFloat16, DType::Float32, DType::Int64};

size_t count(const Shape& s) { return static_cast<size_t>(s.numel()); }
Bytes random_bytes(size_t n, uint32_t seed = 1) {
  std::mt19937 g(seed);
  Bytes b(n);
  for (auto& x : b) x = static_cast<uint8_t>(g());
  return b;
}
size_t flat(const Shape& s, const Index& i) {
  int64_t at = 0;
  for (size_t d = 0; d < s.size(); ++d) at = at * s.dims()[d] + i[d];
  return static_cast<size_t>(at);
}
void each(const Shape& s, const std::function<void(const Index&)>& f) {
  if (s.numel() == 0) return;
  Index i(s.size(), 0);
  for (;;) {
    f(i);
    size_t d = s.size();
    while (d-- > 0) {
      if (++i[d] < s.dims()[d]) break;
      i[d] = 0;
    }
    if (d == static_cast<size_t>(-1)) return;
  }
}
Bytes run(const engine::Kernel& k, std::vector<const void*> in, size_t out_bytes) {
  Bytes out(out_bytes, 0xEE), scratch(k.scratch_bytes());
  std::vector<void*> src;
  for (const void* p : in) src.push_back(const_cast<void*>(p));
  void* dst[] = {out.data()};
  k.run(src.data(), dst, scratch.data());
  return out;
}
// out[i] = in[source(i)]
void check(const engine::Kernel& k, DType t, const Shape& in, const Shape& out, const std::function<Index(const Index&)>& source) {
  const size_t item = dtype_size(t);
  Bytes x = random_bytes(count(in) * item), want(count(out) * item);
  each(out, [&](const Index& i) { std::memcpy(&want[flat(out, i) * item], &x[flat(in, source(i)) * item], item); });
  ASSERT_EQ(run(k, {x.data()}, want.size()), want) << in.str() << " to " << out.str() << " " << dtype_name(t) << ": " << k.describe();
}

TEST(Movement, Transpose) {
  struct Case {
    Shape in;
    std::vector<int> perm;
  };
  const std::vector<Case> cases = {{{}, {}},
                                   {{5}, {0}},
                                   {{3, 4}, {1, 0}},
                                   {{37, 53}, {1, 0}},
                                   {{256, 130}, {1, 0}},
                                   {{1, 7}, {1, 0}},
                                   {{2, 3, 4}, {2, 1, 0}},
                                   {{2, 3, 4}, {0, 2, 1}},
                                   {{2, 3, 4}, {1, 0, 2}},
                                   {{4, 5, 6, 2}, {0, 2, 1, 3}},
                                   {{3, 70, 3}, {0, 2, 1}},
                                   {{3, 3, 700}, {0, 2, 1}},
                                   {{2, 17, 19, 3}, {0, 3, 1, 2}},
                                   {{2, 3, 17, 19}, {0, 2, 3, 1}},
                                   {{3, 0, 2}, {2, 0, 1}},
                                   {{2, 3, 2, 3, 2, 3}, {5, 3, 1, 4, 2, 0}},
                                   {{33, 20, 16}, {1, 0, 2}},
                                   {{40, 50, 60}, {2, 0, 1}},
                                   {{4, 4, 4}, {-1, -3, -2}}};
  for (DType t : kSizes)
    for (const Case& c : cases) {
      Shape out;
      for (int p : c.perm) out.push_back(c.in[p]);
      check(*make_transpose(t, c.in, c.perm), t, c.in, out, [&](const Index& i) {
        Index s(i.size());
        for (size_t d = 0; d < i.size(); ++d) s[static_cast<size_t>(normalize_axis(c.perm[d], c.in.rank()))] = i[d];
        return s;
      });
    }
  EXPECT_THROW(make_transpose(DType::Float32, {2, 3}, {0, 0}), ValueError);
  EXPECT_THROW(make_transpose(DType::Float32, {2, 3}, {0}), ValueError);
  EXPECT_THROW(make_transpose(DType::Float32, {2, None}, {0, 1}), ValueError);
}

TEST(Movement, Broadcast) {
  const std::vector<std::pair<Shape, Shape>> cases = {{{}, {}},
                                                      {{}, {4, 5}},
                                                      {{3}, {2, 3}},
                                                      {{3, 1}, {3, 4}},
                                                      {{2, 1, 3}, {2, 4, 3}},
                                                      {{1, 5, 1}, {3, 5, 7}},
                                                      {{7, 1}, {2, 7, 300}},
                                                      {{1, 1000}, {100, 1000}},
                                                      {{1}, {200, 300}},
                                                      {{0, 1}, {0, 5}},
                                                      {{1}, {0}},
                                                      {{5, 1, 2}, {5, 9, 2}}};
  for (DType t : kSizes)
    for (const auto& [in, out] : cases)
      check(*make_broadcast(t, in, out), t, in, out, [&, in = in, out = out](const Index& i) {
        Index s(in.size());
        for (size_t d = 0; d < s.size(); ++d) s[d] = in.dims()[d] == 1 ? 0 : i[d + out.size() - in.size()];
        return s;
      });
  EXPECT_THROW(make_broadcast(DType::Float32, {2, 3}, {3}), ValueError);
  EXPECT_THROW(make_broadcast(DType::Float32, {2}, {3}), ValueError);
}

TEST(Movement, Slice) {
  struct Case {
    Shape in;
    Index lo, hi, step;
  };
  const std::vector<Case> cases = {{{10}, {2}, {9}, {1}},
                                   {{10}, {2}, {9}, {3}},
                                   {{6, 8}, {1, 2}, {6, 8}, {2, 1}},
                                   {{6, 8}, {0, 1}, {6, 8}, {1, 3}},
                                   {{5, 6, 7}, {1, 1, 1}, {4, 5, 6}, {1, 2, 2}},
                                   {{4, 4}, {2, 2}, {2, 4}, {1, 1}},
                                   {{}, {}, {}, {}},
                                   {{300, 400}, {3, 5}, {299, 395}, {1, 1}},
                                   {{0, 3}, {0, 0}, {0, 2}, {1, 1}},
                                   {{9, 3}, {1, 0}, {9, 2}, {1, 1}}};
  for (DType t : kSizes)
    for (const Case& c : cases) {
      Shape out;
      for (size_t d = 0; d < c.in.size(); ++d) out.push_back((c.hi[d] - c.lo[d] + c.step[d] - 1) / c.step[d]);
      check(*make_slice(t, c.in, c.lo, c.hi, c.step), t, c.in, out, [&](const Index& i) {
        Index s(i);
        for (size_t d = 0; d < s.size(); ++d) s[d] = c.lo[d] + i[d] * c.step[d];
        return s;
      });
    }
  EXPECT_THROW(make_slice(DType::Float32, {4}, {0}, {5}, {1}), ValueError);
  EXPECT_THROW(make_slice(DType::Float32, {4}, {3}, {2}, {1}), ValueError);
  EXPECT_THROW(make_slice(DType::Float32, {4}, {0}, {4}, {0}), ValueError);
}

TEST(Movement, Pad) {
  struct Case {
    Shape in;
    Index lo, hi, inner;
  };
  const std::vector<Case> cases = {{{5}, {2}, {3}, {0}},
                                   {{5}, {-2}, {3}, {0}},
                                   {{5}, {1}, {-3}, {2}},
                                   {{5}, {-3}, {-4}, {3}},
                                   {{3, 4}, {1, 2}, {0, 1}, {0, 0}},
                                   {{3, 4}, {1, -2}, {2, 1}, {1, 2}},
                                   {{2, 3, 4}, {0, 1, 0}, {1, 0, 2}, {0, 0, 0}},
                                   {{0}, {2}, {1}, {0}},
                                   {{3, 0}, {1, 1}, {1, 1}, {0, 1}},
                                   {{4}, {-4}, {2}, {0}},
                                   {{3}, {5}, {-6}, {0}},
                                   {{3}, {-6}, {5}, {0}},
                                   {{}, {}, {}, {}},
                                   {{3}, {-1}, {0}, {2}},
                                   {{2, 30, 40, 3}, {0, 1, 1, 0}, {0, 1, 2, 0}, {0, 0, 0, 0}},
                                   {{1, 4}, {0, 1}, {0, 1}, {5, 0}}};
  for (DType t : kSizes)
    for (const Case& c : cases) {
      const Shape out = pad_shape(c.in, c.lo, c.hi, c.inner);
      const size_t item = dtype_size(t);
      Bytes x = random_bytes(count(c.in) * item), fill = random_bytes(item, 9), want(count(out) * item);
      each(out, [&](const Index& i) {
        Index s(i);
        bool inside = true;
        for (size_t d = 0; d < s.size(); ++d) {
          const int64_t p = i[d] - c.lo[d], step = c.inner[d] + 1;
          inside = inside && p >= 0 && p % step == 0 && p / step < c.in.dims()[d];
          s[d] = p / step;
        }
        std::memcpy(&want[flat(out, i) * item], inside ? &x[flat(c.in, s) * item] : fill.data(), item);
      });
      ASSERT_EQ(run(*make_pad(t, c.in, c.lo, c.hi, c.inner), {x.data(), fill.data()}, want.size()), want)
          << c.in.str() << " to " << out.str();
    }
  EXPECT_THROW(make_pad(DType::Float32, {4}, {-3}, {-2}, {0}), ValueError);
  EXPECT_THROW(make_pad(DType::Float32, {4}, {0}, {0}, {-1}), ValueError);
}

TEST(Movement, Concat) {
  const std::vector<std::pair<std::vector<Shape>, int>> cases = {
      {{{3}, {4}}, 0}, {{{2, 3}, {2, 5}, {2, 1}}, 1}, {{{2, 3}, {4, 3}}, 0}, {{{2, 1, 3}, {2, 0, 3}, {2, 4, 3}}, -2},
      {{{0}, {0}}, 0}, {{{300, 64}, {300, 33}}, 1},   {{{2, 2}}, 1}};
  for (DType t : kSizes)
    for (const auto& [ins, axis] : cases) {
      const size_t item = dtype_size(t);
      const int a = normalize_axis(axis, ins[0].rank());
      Shape out = ins[0];
      out[a] = 0;
      for (const Shape& s : ins) out[a] += s[a];
      std::vector<Bytes> x;
      std::vector<const void*> p;
      for (const Shape& s : ins) x.push_back(random_bytes(count(s) * item, static_cast<uint32_t>(x.size())));
      for (const Bytes& b : x) p.push_back(b.data());
      Bytes want(count(out) * item);
      each(out, [&](const Index& i) {
        Index s(i);
        size_t part = 0;
        while (s[static_cast<size_t>(a)] >= ins[part][a]) s[static_cast<size_t>(a)] -= ins[part++][a];
        std::memcpy(&want[flat(out, i) * item], &x[part][flat(ins[part], s) * item], item);
      });
      ASSERT_EQ(run(*make_concat(t, ins, axis), p, want.size()), want) << out.str();
    }
  EXPECT_THROW(make_concat(DType::Float32, {{2, 3}, {3, 4}}, 0), ValueError);
  EXPECT_THROW(make_concat(DType::Float32, {}, 0), ValueError);
}

TEST(Movement, Reverse) {
  const std::vector<std::pair<Shape, std::vector<int>>> cases = {{{5}, {0}},       {{3, 4}, {0}},    {{3, 4}, {1}},
                                                                 {{3, 4}, {0, 1}}, {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, -1}},
                                                                 {{0, 4}, {0, 1}}, {{4}, {}},        {{50, 60, 33}, {1}}};
  for (DType t : kSizes)
    for (const auto& [in, axes] : cases)
      check(*make_reverse(t, in, axes), t, in, in, [&, in = in, axes = axes](const Index& i) {
        Index s(i);
        for (int a : axes) {
          const auto d = static_cast<size_t>(normalize_axis(a, in.rank()));
          s[d] = in.dims()[d] - 1 - i[d];
        }
        return s;
      });
}

TEST(Movement, Iota) {
  for (int d = 0; d < kNumDTypes; ++d)
    for (int axis = 0; axis < 3; ++axis) {
      const Shape s{3, 4, 5};
      visit_dtype(static_cast<DType>(d), [&](auto tag) {
        using T = decltype(tag);
        Bytes out = run(*make_iota(static_cast<DType>(d), s, axis), {}, count(s) * sizeof(T));
        each(s, [&](const Index& i) {
          T v;
          std::memcpy(&v, &out[flat(s, i) * sizeof(T)], sizeof(T));
          const auto want = static_cast<double>(i[static_cast<size_t>(axis)]);
          ASSERT_EQ(static_cast<double>(v), (std::is_same_v<T, bool> ? static_cast<double>(want != 0) : want));
        });
      });
    }
  run(*make_iota(DType::Float32, {0, 3}, 1), {}, 0);
}

TEST(Movement, DynamicSlices) {
  const Shape in{7, 9}, window{3, 4};
  for (DType t : kSizes)
    for (DType index : {DType::Int32, DType::Int64})
      for (const Index& starts : {Index{1, 2}, Index{-5, 100}, Index{4, 5}}) {
        const Index at = {std::clamp<int64_t>(starts[0], 0, 4), std::clamp<int64_t>(starts[1], 0, 5)};
        const std::vector<int32_t> narrow(starts.begin(), starts.end());
        const void* s = index == DType::Int32 ? static_cast<const void*>(narrow.data()) : starts.data();
        const size_t item = dtype_size(t);
        Bytes x = random_bytes(count(in) * item), u = random_bytes(count(window) * item, 5), want(count(window) * item), updated = x;
        each(window, [&](const Index& i) {
          const size_t there = flat(in, {i[0] + at[0], i[1] + at[1]}) * item, here = flat(window, i) * item;
          std::memcpy(&want[here], &x[there], item);
          std::memcpy(&updated[there], &u[here], item);
        });
        ASSERT_EQ(run(*make_dynamic_slice(t, in, window, index), {x.data(), s}, want.size()), want);
        auto k = make_dynamic_update_slice(t, in, window, index);
        ASSERT_EQ(run(*k, {x.data(), u.data(), s}, x.size()), updated);
        Bytes inplace = x;  // out may be the buffer of in
        void* src[] = {inplace.data(), u.data(), const_cast<void*>(s)};
        void* dst[] = {inplace.data()};
        k->run(src, dst, nullptr);
        ASSERT_EQ(inplace, updated);
      }
  EXPECT_THROW(make_dynamic_slice(DType::Float32, in, {8, 1}, DType::Int32), ValueError);
  EXPECT_THROW(make_dynamic_slice(DType::Float32, in, window, DType::Float32), TypeError);
}

TEST(Movement, RandomTransposesOfAllRanks) {
  std::mt19937 g(3);
  for (int round = 0; round < 200; ++round) {
    const int rank = 1 + static_cast<int>(g() % 5);
    Shape in, out;
    std::vector<int> perm(static_cast<size_t>(rank));
    std::iota(perm.begin(), perm.end(), 0);
    std::shuffle(perm.begin(), perm.end(), g);
    for (int i = 0; i < rank; ++i) in.push_back(1 + static_cast<int64_t>(g() % (rank > 3 ? 6 : 40)));
    for (int p : perm) out.push_back(in[p]);
    const DType t = kSizes[g() % kSizes.size()];
    check(*make_transpose(t, in, perm), t, in, out, [&](const Index& i) {
      Index s(i.size());
      for (size_t d = 0; d < i.size(); ++d) s[static_cast<size_t>(perm[d])] = i[d];
      return s;
    });
  }
}

}  // namespace
}  // namespace keras::cpu
