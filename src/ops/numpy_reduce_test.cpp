// What lives here: tests of reductions, quantiles and running sums.
// The numbers were computed with Keras 3.15.1 on JAX.
#include "ops/op_check.h"

namespace keras::ops_test {

using namespace ops;

TEST(Ops, Reductions) {
  check("ops.sum(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return sum(in[0]); }, {float32, Shape{}, {0.42397493}});
  check("ops.mean(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return mean(in[0]); }, {float32, Shape{}, {0.017665623}});
  check("ops.prod(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return prod(in[0]); }, {float32, Shape{}, {-2.4175357e-08}});
  check("ops.max(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return max(in[0]); }, {float32, Shape{}, {0.98935825}});
  check("ops.min(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return min(in[0]); }, {float32, Shape{}, {-0.99992323}});
  check("ops.var(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return var(in[0]); }, {float32, Shape{}, {0.4836303}});
  check("ops.std(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return std(in[0]); }, {float32, Shape{}, {0.69543535}});
  check("ops.any(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return any(in[0]); }, {bool_, Shape{}, {1}});
  check("ops.all(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return all(in[0]); }, {bool_, Shape{}, {1}});
  check("ops.ptp(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return ptp(in[0]); }, {float32, Shape{}, {1.9892814}});
  check("ops.median(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return median(in[0]); }, {float32, Shape{}, {0.078920193}});
  check("ops.sum(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return sum(in[0], 1); },
        {float32, Shape{2, 4}, {-0.38530469, -0.17902714, 0.22289258, 0.38123363, -0.31333733, 0.057752907, 0.36573023, 0.27403474}});
  check("ops.mean(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return mean(in[0], 1); },
        {float32, Shape{2, 4}, {-0.1284349, -0.059675716, 0.074297532, 0.12707788, -0.10444578, 0.01925097, 0.12191008, 0.091344915}});
  check("ops.prod(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return prod(in[0], 1); },
        {float32, Shape{2, 4}, {-0.094292775, 0.3204321, -0.33026245, 0.072503373, 0.19867221, -0.13235405, -0.0044695116, -0.28431955}});
  check("ops.max(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return max(in[0], 1); },
        {float32, Shape{2, 4}, {0.31909835, 0.98544973, 0.59847212, 0.98935825, 0.80378443, 0.89479119, 0.94912457, 0.7111612}});
  check("ops.min(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return min(in[0], 1); },
        {float32, Shape{2, 4}, {-0.99992323, -0.6998747, -0.95401925, -0.44252044, -0.81315714, -0.98691553, -0.59135753, -0.88756704}});
  check("ops.var(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return var(in[0], 1); },
        {float32, Shape{2, 4}, {0.37983862, 0.5553692, 0.52878457, 0.38454416, 0.45565391, 0.59866828, 0.40200615, 0.4904635}});
  check("ops.std(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return std(in[0], 1); },
        {float32, Shape{2, 4}, {0.61631048, 0.74523097, 0.72717577, 0.62011623, 0.67502141, 0.7737366, 0.63403952, 0.70033097}});
  check("ops.any(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return any(in[0], 1); },
        {bool_, Shape{2, 4}, {1, 1, 1, 1, 1, 1, 1, 1}});
  check("ops.all(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return all(in[0], 1); },
        {bool_, Shape{2, 4}, {1, 1, 1, 1, 1, 1, 1, 1}});
  check("ops.ptp(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return ptp(in[0], 1); },
        {float32, Shape{2, 4}, {1.3190216, 1.6853244, 1.5524914, 1.4318787, 1.6169416, 1.8817067, 1.540482, 1.5987282}});
  check("ops.median(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return median(in[0], 1); },
        {float32, Shape{2, 4}, {0.29552022, -0.46460217, 0.57843977, -0.16560417, -0.30396461, 0.14987721, 0.0079631833, 0.45044059}});
  check("ops.sum(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return sum(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {2.2558932, 1.1002784, -2.9321969}});
  check("ops.mean(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return mean(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.28198665, 0.1375348, -0.36652461}});
  check("ops.prod(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return prod(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.00039205598, -0.021870613, 0.0028194471}});
  check("ops.max(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return max(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.98544973, 0.98935825, 0.45044059}});
  check("ops.min(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return min(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {-0.88756704, -0.99992323, -0.98691553}});
  check("ops.var(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return var(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.40135801, 0.55850911, 0.25918758}});
  check("ops.std(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return std(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.63352823, 0.74733466, 0.50910467}});
  check("ops.any(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return any(in[0], {0, -1}, true);
        },
        {bool_, Shape{1, 3, 1}, {1, 1, 1}});
  check("ops.all(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return all(in[0], {0, -1}, true);
        },
        {bool_, Shape{1, 3, 1}, {1, 1, 1}});
  check("ops.ptp(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return ptp(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {1.8730168, 1.9892814, 1.4373561}});
  check("ops.median(a, axis=(0, -1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return median(in[0], {0, -1}, true);
        },
        {float32, Shape{1, 3, 1}, {0.44699615, 0.36415848, -0.44766107}});
  check("ops.sum(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return sum(in[0], 0); }, {int32, Shape{3}, {-3, -1, 1}});
  check("ops.mean(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return mean(in[0], 0); },
        {float32, Shape{3}, {-1.5, -0.5, 0.5}});
  check("ops.prod(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return prod(in[0], 0); }, {int32, Shape{3}, {0, -2, -2}});
  check("ops.max(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return max(in[0], 0); }, {int32, Shape{3}, {0, 1, 2}});
  check("ops.var(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return var(in[0], 0); },
        {float32, Shape{3}, {2.25, 2.25, 2.25}});
  check("ops.any(a, axis=0)", {count({2, 3}) - 3}, [](const Tensors& in) { return any(in[0], 0); }, {bool_, Shape{3}, {1, 1, 1}});
  check("ops.sum(a > 0)", {count({2, 3}) - 3}, [](const Tensors& in) { return sum(in[0] > 0); }, {int32, Shape{}, {2}});
  check("ops.max(a > 0)", {count({2, 3}) - 3}, [](const Tensors& in) { return max(in[0] > 0); }, {bool_, Shape{}, {1}});
  check("ops.count_nonzero(a, axis=1)", {count({2, 3}) - 3}, [](const Tensors& in) { return count_nonzero(in[0], 1); },
        {int32, Shape{2}, {3, 2}});
  check("ops.argmax(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return argmax(in[0], 1); },
        {int32, Shape{2, 4}, {2, 0, 0, 1, 0, 0, 1, 1}});
  check("ops.argmin(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return argmin(in[0]); }, {int32, Shape{}, {4}});
  check("ops.argmax(a, axis=-1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return argmax(in[0], -1, true); },
        {int32, Shape{2, 3, 1}, {1, 3, 0, 1, 2, 3}});
  check("ops.max(a, axis=2, initial=0.9)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return max(in[0], 2, false, 0.9); },
        {float32, Shape{2, 3}, {0.98544973, 0.98935825, 0.89999998, 0.89999998, 0.94912457, 0.89999998}});
  check("ops.average(a, axis=1, weights=b + 2)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return average(in[0], 1, in[1] + 2); }, {float32, Shape{2}, {0.53469652, -0.27803737}});
  check("ops.average(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return average(in[0]); }, {float32, Shape{}, {0.092201702}});
  check(
      "ops.mean(ops.cast(a, 'float16'), axis=1)", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) { return cast(mean(cast(in[0], float16), 1), float16); },
      {float16, Shape{2, 4}, {-0.12854004, -0.059661865, 0.074401855, 0.12695312, -0.10443115, 0.019363403, 0.12194824, 0.091247559}},
      Trace::Yes, 2e-3);
}

TEST(Ops, Quantiles) {
  check("ops.quantile(a, 0.3, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return quantile(in[0], 0.3, 1); },
        {float32, Shape{2, 4}, {-0.22265713, -0.55871117, -0.034543809, -0.27637067, -0.50764161, -0.30483985, -0.23176509, -0.084762439}});
  check("ops.quantile(a, [0.1, 0.5, 1.0], axis=(0, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return quantile(in[0], Tensor{0.1, 0.5, 1.0}, {0, 2});
        },
        {float32,
         Shape{3, 3},
         {-0.57603443, -0.869187, -0.96388817, 0.44699615, 0.36415848, -0.44766107, 0.98544973, 0.98935825, 0.45044059}});
  check("ops.percentile(a, 40.0, method='nearest')", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return percentile(in[0], 40.0, {}, "nearest"); }, {float32, Shape{}, {-0.30396461}});
  check("ops.quantile(a, 0.3, axis=-1, method='lower', keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return quantile(in[0], 0.3, -1, "lower", true); },
        {float32, Shape{2, 3, 1}, {-0.44252044, -0.99992323, -0.95401925, -0.88756704, -0.81315714, -0.98691553}});
  check("ops.quantile(a, 0.3, method='higher')", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return quantile(in[0], 0.3, {}, "higher"); }, {float32, Shape{}, {-0.46460217}});
  check("ops.median(a, axis=(0, 1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return median(in[0], {0, 1}, true);
        },
        {float32, Shape{1, 1, 4}, {-0.0042221993, -0.15736249, 0.29320148, 0.14241821}});
}

TEST(Ops, WithoutNaN) {
  check("ops.nansum(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nansum(log(in[0]), 1); },
        {float32, Shape{2}, {-2.909616, -0.54742086}});
  check("ops.nanmean(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanmean(log(in[0]), 1); },
        {float32, Shape{2}, {-0.969872, -0.54742086}});
  check("ops.nanprod(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanprod(log(in[0]), 1); },
        {float32, Shape{2}, {-0.015457312, -0.54742086}});
  check("ops.nanmax(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanmax(log(in[0]), 1); },
        {float32, Shape{2}, {-0.0083701052, -0.54742086}});
  check("ops.nanmin(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanmin(log(in[0]), 1); },
        {float32, Shape{2}, {-1.9581447, -0.54742086}});
  check("ops.nanvar(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanvar(log(in[0]), 1); },
        {float32, Shape{2}, {0.63396186, 0}});
  check("ops.nanstd(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanstd(log(in[0]), 1); },
        {float32, Shape{2}, {0.7962172, 0}});
  check("ops.nanmedian(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanmedian(log(in[0]), 1); },
        {float32, Shape{2}, {-0.94310111, -0.54742086}});
  check("ops.nanargmax(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanargmax(log(in[0]), 1); },
        {int32, Shape{2}, {1, 2}});
  check("ops.nanargmin(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nanargmin(log(in[0]), 1); },
        {int32, Shape{2}, {2, 2}});
  check("ops.nanquantile(ops.log(a), 0.25, axis=0)", {wave({2, 3}, 1.3, 0.4)},
        [](const Tensors& in) { return nanquantile(log(in[0]), 0.25, 0); }, {float32, Shape{3}, {-0.94310111, -0.0083701052, -1.6054637}});
  check("ops.nancumsum(ops.log(a), axis=1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return nancumsum(log(in[0]), 1); },
        {float32, Shape{2, 3}, {-0.94310111, -0.95147121, -2.909616, 0, 0, -0.54742086}});
}

TEST(Ops, Running) {
  check(
      "ops.cumsum(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return cumsum(in[0], 1); },
      {float32, Shape{2, 3, 4}, {0.29552022,    0.98544973,  0.59847212, -0.44252044, -0.70440304, 0.52084756,  1.1769118,    0.54683781,
                                 -0.38530469,   -0.17902714, 0.22289258, 0.38123363,  0.80378443,  0.89479119,  0.0079631833, -0.88756704,
                                 -0.0093727112, 1.0446684,   0.95708776, -0.17640585, -0.31333733, 0.057752907, 0.36573023,   0.27403474}});
  check("ops.cumsum(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cumsum(in[0]); },
        {float32, Shape{6}, {0.38941833, 1.3810831, 1.5222031, 0.60603714, -0.025229514, 0.55321026}});
  check("ops.cumprod(a, axis=0)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cumprod(in[0], 0); },
        {float32, Shape{2, 3}, {0.38941833, 0.99166483, 0.14112, -0.35677183, -0.62600493, 0.081629425}});
  check("ops.diff(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return diff(in[0], 1, 1); },
        {float32,
         Shape{2, 2, 4},
         {-1.2954434, -1.4500519, -0.020032346, 1.4318787, 1.3190216, -0.23527253, -1.532459, -1.1549624, -1.6169416, -0.744914, 0.94116139,
          1.5987282, 0.50919253, -1.1367928, -1.540482, -0.26072061}});
  check("ops.diff(a, n=2)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return diff(in[0], 2); },
        {float32,
         Shape{2, 3, 2},
         {-1.0769072, -0.65401489, 0.50772089, -0.63212347, 0.76482856, 1.0425596, -0.97783476, -0.0087022185, -0.16378695, -1.0372107,
          1.0785089, 0.64624012}});
  check("ops.trapezoid(a, dx=0.5)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return trapezoid(in[0], Tensor(), 0.5); },
        {float32, Shape{2}, {0.62846696, -0.40006489}});
  check("ops.trapezoid(a, b)",
        {wave({2, 3}, 1.3, 0.4), wave(
                                     {
                                         3,
                                     },
                                     0.5)},
        [](const Tensors& in) { return trapezoid(in[0], in[1]); }, {float32, Shape{2}, {0.53612304, -0.38050222}});
}

TEST(Ops, ReductionOfUnknownSizes) {
  Tensor x = core::make_symbolic({DType::Float32, Shape{None, 3, None}}, "x");
  EXPECT_EQ(mean(x, 0).shape(), (Shape{3, None}));
  EXPECT_EQ(sum(x, {1, 2}, true).shape(), (Shape{None, 1, 1}));
  EXPECT_EQ(median(x, -1).shape(), (Shape{None, 3}));
  EXPECT_EQ(argmax(x, 1).dtype(), int32);
}
TEST(Ops, ReductionErrors) {
  EXPECT_NE(message_of<ValueError>([] { sum(Tensor{1.0, 2.0}, 3); }).find("3"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { sum(Tensor{{1.0, 2.0}}, {0, 0}); }).find("twice"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { quantile(Tensor{1.0, 2.0}, 0.5, {}, "liner"); }).find("did you mean 'linear'"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { max(Tensor::empty(float32, {0, 3}), 0); }).find("empty"), std::string::npos);
}

}  // namespace keras::ops_test
