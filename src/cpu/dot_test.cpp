// What lives here: dots of every form against a slow loop.
#include "cpu/dot.h"

#include <hwy/targets.h>

#include <thread>

#include <keras/base/error.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;
using Act = Epilogue::Act;

std::vector<int64_t> unravel(int64_t i, const std::vector<int64_t>& dims) {
  std::vector<int64_t> at(dims.size());
  for (size_t d = dims.size(); d-- > 0;) at[d] = i % dims[d], i /= dims[d];
  return at;
}

std::vector<double> reference(const DotDesc& d, const Buffer& lhs, const Buffer& rhs, const Buffer* bias, const Buffer* add) {
  std::vector<int64_t> cdims;
  for (const int a : d.lhs_contract) cdims.push_back(d.lhs[a]);
  int64_t depth = 1;
  for (const int64_t c : cdims) depth *= c;
  std::vector<int> lfree, rfree;
  const auto has = [](const std::vector<int>& v, int a) { return std::find(v.begin(), v.end(), a) != v.end(); };
  for (int a = 0; a < d.lhs.rank(); ++a)
    if (!has(d.lhs_contract, a) && !has(d.lhs_batch, a)) lfree.push_back(a);
  for (int a = 0; a < d.rhs.rank(); ++a)
    if (!has(d.rhs_contract, a) && !has(d.rhs_batch, a)) rfree.push_back(a);
  const Shape out = dot_shape(d);
  const auto strides = [](const Shape& s) {
    std::vector<int64_t> v(s.size(), 1);
    for (size_t i = s.size(); i-- > 1;) v[i - 1] = v[i] * s.dims()[i];
    return v;
  };
  const std::vector<int64_t> ls = strides(d.lhs), rs = strides(d.rhs);
  // Contents as double, and where each index of the contracted axes lies.
  std::vector<double> l(static_cast<size_t>(lhs.size())), r(static_cast<size_t>(rhs.size()));
  for (size_t i = 0; i < l.size(); ++i) l[i] = lhs.at(static_cast<int64_t>(i));
  for (size_t i = 0; i < r.size(); ++i) r[i] = rhs.at(static_cast<int64_t>(i));
  std::vector<std::pair<int64_t, int64_t>> steps(static_cast<size_t>(depth));
  for (int64_t k = 0; k < depth; ++k) {
    const auto c = unravel(k, cdims);
    for (size_t j = 0; j < c.size(); ++j) {
      steps[static_cast<size_t>(k)].first += c[j] * ls[static_cast<size_t>(d.lhs_contract[j])];
      steps[static_cast<size_t>(k)].second += c[j] * rs[static_cast<size_t>(d.rhs_contract[j])];
    }
  }
  std::vector<double> y(static_cast<size_t>(out.numel()));
  for (size_t i = 0; i < y.size(); ++i) {
    const auto at = unravel(static_cast<int64_t>(i), out.dims());
    size_t o = 0;
    int64_t l0 = 0, r0 = 0;
    for (size_t b = 0; b < d.lhs_batch.size(); ++b, ++o) {
      l0 += at[o] * ls[static_cast<size_t>(d.lhs_batch[b])];
      r0 += at[o] * rs[static_cast<size_t>(d.rhs_batch[b])];
    }
    for (const int a : lfree) l0 += at[o++] * ls[static_cast<size_t>(a)];
    for (const int a : rfree) r0 += at[o++] * rs[static_cast<size_t>(a)];
    double sum = 0;
    for (const auto& [dl, dr] : steps) sum += l[static_cast<size_t>(l0 + dl)] * r[static_cast<size_t>(r0 + dr)];
    if (d.dtype == DType::Bool) sum = sum != 0;
    if (bias != nullptr) sum += bias->at(at.back());
    if (add != nullptr) sum += add->at(static_cast<int64_t>(i));
    y[i] = testing::activation(d.epilogue, testing::wrapped(d.dtype, sum));
  }
  return y;
}

void check(const DotDesc& d) {
  const Shape out = dot_shape(d);
  const Buffer lhs = testing::random_buffer(d.dtype, d.lhs.numel(), 1), rhs = testing::random_buffer(d.dtype, d.rhs.numel(), 2);
  const Buffer bias = testing::random_buffer(d.dtype, out.empty() ? 1 : out.back(), 3),
               add = testing::random_buffer(d.dtype, out.numel(), 4);
  std::vector<const Buffer*> in{&lhs, &rhs};
  if (d.epilogue.bias) in.push_back(&bias);
  if (d.epilogue.add) in.push_back(&add);
  const auto kernel = make_dot(d);
  SCOPED_TRACE(std::string(dtype_name(d.dtype)) + " " + d.lhs.str() + " . " + d.rhs.str() + ": " + kernel->describe());
  const Buffer got = testing::run_kernel(*kernel, in, d.dtype, out.numel());
  int64_t depth = 1;
  for (const int a : d.lhs_contract) depth *= d.lhs[a];
  const auto want = reference(d, lhs, rhs, d.epilogue.bias ? &bias : nullptr, d.epilogue.add ? &add : nullptr);
  testing::expect_close(got, want, d.dtype, std::sqrt(static_cast<double>(depth)) + 1, "dot");
  for (size_t i = 0; i < 2; ++i) {
    const size_t bytes = kernel->prepared_bytes(i);
    if (bytes == 0) continue;
    kernel->take_prepared(i);
    const Buffer form = testing::prepared(*kernel, i, i == 0 ? lhs : rhs, bytes);
    in[i] = &form;
    testing::expect_close(testing::run_kernel(*kernel, in, d.dtype, out.numel()), want, d.dtype, std::sqrt(static_cast<double>(depth)) + 1, "dot of a kept operand");
    in[i] = i == 0 ? &lhs : &rhs;
    break;  // the kernel is now made for this one
  }
}

TEST(Dot, MatricesInEveryTransposition) {
  const std::vector<std::array<int64_t, 3>> sizes{{1, 1, 1},    {32, 784, 128}, {32, 128, 10}, {1, 784, 128}, {5, 7, 3},
                                                  {13, 17, 33}, {100, 64, 70},  {1, 300, 1},   {64, 1, 20},   {257, 40, 1},
                                                  {1, 40, 257}, {2, 1030, 40},  {65, 130, 67}, {33, 1, 1},    {128, 256, 300},
                                                  {205, 333, 70}, {71, 50, 517}, {64, 1024, 96}};
  for (const DType dtype : {DType::Float32, DType::Float64, DType::BFloat16, DType::Float16}) {
    for (const auto& [m, k, n] : sizes) {
      if (dtype == DType::Float16 && m * n * k > 300000) continue;
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          check({dtype, ta ? Shape{k, m} : Shape{m, k}, tb ? Shape{n, k} : Shape{k, n}, {ta ? 0 : 1}, {tb ? 1 : 0}, {}, {}, {}});
        }
      }
    }
  }
}

TEST(Dot, IntegersWrapAndBoolsOr) {
  for (const DType dtype :
       {DType::Bool, DType::Int8, DType::UInt8, DType::Int16, DType::UInt16, DType::Int32, DType::UInt32, DType::Int64, DType::UInt64}) {
    check({dtype, {9, 31}, {31, 17}, {1}, {0}, {}, {}, {}});
    check({dtype, {31, 9}, {17, 31}, {0}, {1}, {}, {}, {}});
    check({dtype, {9, 200}, {200}, {1}, {0}, {}, {}, {.bias = dtype != DType::Bool, .add = dtype != DType::Bool}});
  }
  check({DType::Int32, {70, 300}, {300, 80}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Relu}});
}

TEST(Dot, BatchesAndManyAxes) {
  for (const DType dtype : {DType::Float32, DType::Float64, DType::BFloat16, DType::Int32}) {
    check({dtype, {3, 4, 5, 6}, {3, 4, 6, 7}, {3}, {2}, {0, 1}, {0, 1}, {}});    // matmul
    check({dtype, {2, 9, 4, 8}, {2, 11, 4, 8}, {3}, {3}, {0, 2}, {0, 2}, {}});   // attention scores, heads inside
    check({dtype, {2, 4, 9, 11}, {2, 11, 4, 8}, {3}, {1}, {0, 1}, {0, 2}, {}});  // attention values
    check({dtype, {2, 3, 4, 5}, {4, 5, 6}, {2, 3}, {0, 1}, {}, {}, {.bias = is_floating(dtype)}});
    check({dtype, {2, 3, 4, 5}, {5, 4, 6}, {2, 3}, {1, 0}, {}, {}, {}});                  // contracted axes crossed
    check({dtype, {4, 3, 5}, {3, 6, 2}, {1}, {0}, {}, {}, {.bias = true, .add = true}});  // free axes around a contracted one
    check({dtype, {7, 5}, {3, 5, 4}, {1}, {1}, {}, {}, {.bias = true}});
    check({dtype, {6, 5, 3}, {6, 5, 3}, {}, {}, {0, 1, 2}, {0, 1, 2}, {.bias = true}});  // product element by element
    check({dtype, {6}, {7}, {}, {}, {}, {}, {}});                                        // outer product
    check({dtype, {6}, {6}, {0}, {0}, {}, {}, {}});                                      // scalar
    check({dtype, {5, 3, 4}, {4, 5, 2}, {2}, {0}, {0}, {1}, {}});
    check({dtype, {3, 4, 5}, {5, 4, 3}, {1}, {1}, {2, 0}, {0, 2}, {}});                  // batch axes crossed
    check({dtype, {4, 6, 8}, {4, 8}, {2}, {1}, {0}, {0}, {.bias = true, .add = true}});  // a matrix times a vector, in batches
    check({dtype, {2, 1, 64, 64}, {2, 1, 64, 64}, {3}, {2}, {0, 1}, {0, 1}, {}});
  }
  check({DType::Float32, {8, 130, 70}, {8, 70, 90}, {2}, {1}, {0}, {0}, {.bias = true, .act = Act::Relu, .add = true}});
}

TEST(Dot, Epilogues) {
  for (const DType dtype : {DType::Float32, DType::Float64, DType::BFloat16, DType::Float16}) {
    for (const Act act : {Act::None, Act::Relu, Act::Relu6, Act::Gelu, Act::GeluTanh, Act::Tanh, Act::Sigmoid, Act::Elu, Act::Swish, Act::HardSwish}) {
      for (const int flags : {0, 1, 2, 3}) {
        const Epilogue e{.bias = (flags & 1) != 0,
                         .act = act,
                         .alpha = act == Act::Elu ? 1.5f
                                  : flags == 3    ? 0.2f
                                                  : 0.0f,
                         .add = (flags & 2) != 0};
        check({dtype, {33, 20}, {20, 45}, {1}, {0}, {}, {}, e});
        check({dtype, {33, 20}, {20, 1}, {1}, {0}, {}, {}, e});
        check({dtype, {1, 20}, {45, 20}, {1}, {1}, {}, {}, e});
      }
      check({dtype, {96, 96}, {100, 96}, {1}, {1}, {}, {}, {.bias = true, .act = act, .alpha = 1}});
    }
  }
}

TEST(Dot, LargeOnesAreCutIntoPieces) {
  check({DType::Float32, {300, 260}, {260, 310}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Gelu}});
  check({DType::Float32, {64, 300}, {500, 300}, {1}, {1}, {}, {}, {.bias = true, .add = true}});
  check({DType::Float32, {1, 700}, {700, 900}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Tanh}});
  check({DType::Float32, {9000, 40}, {9000, 50}, {0}, {0}, {}, {}, {.bias = true, .act = Act::Relu}});  // k in pieces
  check({DType::Float64, {8200, 20}, {8200, 30}, {0}, {0}, {}, {}, {.add = true}});
  check({DType::Float64, {200, 600}, {600, 210}, {1}, {0}, {}, {}, {.bias = true}});
  check({DType::BFloat16, {256, 200}, {200, 256}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Relu}});
  check({DType::Float32, {900, 500}, {500}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Sigmoid}});
}

TEST(Dot, EmptySizes) {
  for (const DType dtype : {DType::Float32, DType::BFloat16, DType::Int32}) {
    check({dtype, {3, 0}, {0, 4}, {1}, {0}, {}, {}, {.bias = true}});
    check({dtype, {3, 0}, {0, 4}, {1}, {0}, {}, {}, {}});
    check({dtype, {0, 5}, {5, 4}, {1}, {0}, {}, {}, {.bias = true}});
    check({dtype, {3, 5}, {5, 0}, {1}, {0}, {}, {}, {}});
    check({dtype, {0, 3, 5}, {0, 5, 4}, {2}, {1}, {0}, {0}, {}});
  }
}

// Our own loops as older CPUs run them.
TEST(Dot, EveryInstructionSet) {
  for (const int64_t target : std::vector<int64_t>{HWY_AVX2, HWY_SSE4, 0}) {
    if (target != 0 && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target == 0 ? HWY_STATIC_TARGET : target);
    hwy::GetChosenTarget().DeInit();
    for (const DType dtype : {DType::Float32, DType::Float64}) {
      for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{{1, 70, 33}, {29, 31, 37}, {70, 600, 19}, {9, 5, 1}}) {
        for (const int t : {0, 1, 2, 3}) {
          const bool ta = (t & 1) != 0, tb = (t & 2) != 0;
          check({dtype,
                 ta ? Shape{k, m} : Shape{m, k},
                 tb ? Shape{n, k} : Shape{k, n},
                 {ta ? 0 : 1},
                 {tb ? 1 : 0},
                 {},
                 {},
                 {.bias = true, .act = t == 0 ? Act::Relu : Act::Tanh, .add = true}});
        }
      }
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }
}

TEST(Dot, NanStaysNan) {
  const auto kernel = make_dot({DType::Float32, {64, 200}, {200, 200}, {1}, {0}, {}, {}, {.bias = true, .act = Act::Relu}});
  Buffer a = testing::random_buffer(DType::Float32, 64 * 200, 1), b = testing::random_buffer(DType::Float32, 200 * 200, 2),
         c = testing::random_buffer(DType::Float32, 200, 3);
  a.set(5, NAN);
  const Buffer y = testing::run_kernel(*kernel, {&a, &b, &c}, DType::Float32, 64 * 200);
  EXPECT_TRUE(std::isnan(y.at(7)));
  EXPECT_FALSE(std::isnan(y.at(207)));
}

TEST(Dot, ActivationsAreExactNearZeroAndFarOut) {
  const std::vector<double> xs{0,  1e-30, -1e-30, 1e-8, -1e-8, 1e-4, -1e-4, 0.3, -0.3, 1,   -1,   3,
                               -3, 5.5,   -5.5,   9,    -9,    20,   -20,   88,  -88,  1e4, -1e4, 1e30};
  for (const Act act : {Act::Gelu, Act::GeluTanh, Act::Tanh, Act::Sigmoid, Act::Elu, Act::Swish}) {
    const Epilogue e{.act = act, .alpha = 1};
    Buffer y(DType::Float32, static_cast<int64_t>(xs.size()));
    for (size_t i = 0; i < xs.size(); ++i) y.set(static_cast<int64_t>(i), xs[i]);
    apply_epilogue(e, DType::Float32, y.data(), nullptr, nullptr, 1, y.size(), y.size());
    for (size_t i = 0; i < xs.size(); ++i) {
      const double w = testing::activation(e, static_cast<double>(static_cast<float>(xs[i])));
      const double far = act == Act::GeluTanh && xs[i] < -3 ? 1e-7
                         : act == Act::Gelu && xs[i] < -3   ? std::abs(w) * 1e-5
                                                            : 0;  // exp of a rounded square
      EXPECT_NEAR(y.at(static_cast<int64_t>(i)), w, std::abs(w) * 8e-7 + far + 1e-37)
          << "activation " << static_cast<int>(act) << " of " << xs[i];
    }
  }
}

// What Keras gives: gelu(inf) = inf, and NaN stays.
TEST(Dot, GeluAtTheEnds) {
  const Epilogue e{.act = Act::Gelu};
  Buffer y(DType::Float32, 11);
  for (int64_t i = 0; i < 11; ++i) y.set(i, i % 3 == 0 ? static_cast<double>(INFINITY) : i % 3 == 1 ? static_cast<double>(NAN) : -14.0);
  apply_epilogue(e, DType::Float32, y.data(), nullptr, nullptr, 1, 11, 11);
  for (int64_t i = 0; i < 11; ++i) {
    if (i % 3 == 0) EXPECT_EQ(y.at(i), static_cast<double>(INFINITY)) << i;
    else if (i % 3 == 1) EXPECT_TRUE(std::isnan(y.at(i))) << i;
    else EXPECT_NEAR(y.at(i), 0, 1e-37) << i;
  }
}

// Tiles whose last columns are few, sums in several parts of k, everything added: the way through memory gives what whole tiles give.
TEST(Dot, NarrowEdgesOfKeptMatrices) {
  for (const DType dtype : {DType::Float32, DType::Float64}) {
    for (const int64_t n : {1, 3, 10, 16, 23, 40, 61}) {
      for (const Act act : {Act::None, Act::Relu6, Act::Gelu}) {
        check({dtype, {29, 700}, {700, n}, {1}, {0}, {}, {}, {.bias = true, .act = act, .add = true}});
        check({dtype, {100, 50}, {n, 50}, {1}, {1}, {}, {}, {.bias = n % 2 == 0, .act = act, .add = n % 3 == 0}});
      }
    }
  }
}

TEST(Dot, OneKernelFromManyThreads) {
  const auto kernel = make_dot({DType::Float32, {96, 96}, {100, 96}, {1}, {1}, {}, {}, {}});
  const Buffer a = testing::random_buffer(DType::Float32, 96 * 96, 1), b = testing::random_buffer(DType::Float32, 96 * 100, 2);
  const Buffer want = testing::run_kernel(*kernel, {&a, &b}, DType::Float32, 9600);
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Buffer scratch(DType::UInt8, static_cast<int64_t>(kernel->scratch_bytes())), y(DType::Float32, 9600);
      void* in[] = {a.data(), b.data()};
      void* out[] = {y.data()};
      for (int i = 0; i < 50; ++i) {
        std::memset(y.data(), 0, y.bytes());
        kernel->run(in, out, scratch.data());
        if (std::memcmp(y.data(), want.data(), y.bytes()) != 0) ++bad;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(bad.load(), 0);
}

TEST(Dot, RefusesWhatDoesNotFit) {
  EXPECT_THROW(make_dot({DType::Float32, {3, 4}, {5, 6}, {1}, {0}, {}, {}, {}}), ValueError);
  EXPECT_THROW(make_dot({DType::Float32, {3, 4}, {4, 6}, {2}, {0}, {}, {}, {}}), ValueError);
  EXPECT_THROW(make_dot({DType::Int32, {3, 4}, {4, 6}, {1}, {0}, {}, {}, {.act = Act::Tanh}}), TypeError);
}

}  // namespace
}  // namespace keras::cpu
