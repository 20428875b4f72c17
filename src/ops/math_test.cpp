// What lives here: tests of segments, Fourier transforms, linear algebra, images and control flow.
// The numbers were computed with Keras 3.15.1 on JAX.
#include "ops/op_check.h"

namespace keras::ops_test {

static constexpr double kInf = std::numeric_limits<double>::infinity();
using namespace ops;

TEST(Ops, Segments) {
  (void)kInf;
  check("ops.segment_sum(a, np.array([0, 2, 2, 0, -1]), num_segments=4)", {wave({5, 2}, 0.8)},
        [](const Tensors& in) {
          return segment_sum(in[0], Tensor{0, 2, 2, 0, -1}, 4);
        },
        {float32, Shape{4, 2}, {-0.99616462, 0.086089432, 0, 0, 0.94119942, -0.0813393, 0, 0}});
  check("ops.segment_max(a, np.array([0, 2, 2, 0, 1]), num_segments=3)", {wave({5, 2}, 0.8)},
        [](const Tensors& in) {
          return segment_max(in[0], Tensor{0, 2, 2, 0, 1}, 3);
        },
        {float32, Shape{3, 2}, {0, 0.71735609, 0.1165492, 0.79366785, 0.99957359, 0.6754632}});
  check("ops.segment_min(a, np.array([0, 2, 2, 0, 1]), num_segments=3)", {wave({5, 2}, 0.8)},
        [](const Tensors& in) {
          return segment_min(in[0], Tensor{0, 2, 2, 0, 1}, 3);
        },
        {float32, Shape{3, 2}, {-0.99616462, -0.63126665, 0.1165492, 0.79366785, -0.058374144, -0.7568025}});
  check("ops.segment_prod(a, np.array([0, 2, 2, 0, 1]), num_segments=3)", {wave({5, 2}, 0.8)},
        [](const Tensors& in) {
          return segment_prod(in[0], Tensor{0, 2, 2, 0, 1}, 3);
        },
        {float32, Shape{3, 2}, {0, -0.45284298, 0.1165492, 0.79366785, -0.058349252, -0.51119226}});
  check("ops.top_k(a, 2)[0]", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return top_k(in[0], 2).first; },
        {float32,
         Shape{2, 3, 2},
         {0.98544973, 0.59847212, 0.98935825, 0.57843977, 0.31909835, -0.16560417, 0.89479119, 0.80378443, 0.94912457, 0.7111612,
          0.45044059, -0.30396461}});
  check("ops.top_k(a, 2)[1]", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return top_k(in[0], 2).second; },
        {int32, Shape{2, 3, 2}, {1, 2, 3, 2, 0, 3, 1, 0, 2, 3, 3, 0}});
  check("ops.in_top_k(np.array([2, 0]), a, 2)", {wave({2, 3}, 1.3, 0.4)},
        [](const Tensors& in) {
          return in_top_k(Tensor{2, 0}, in[0], 2);
        },
        {bool_, Shape{2}, {0, 0}});
  check("ops.logsumexp(a, axis=1)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return logsumexp(in[0], 1); },
        {float32, Shape{2, 4}, {1.1274004, 1.336066, 1.3832347, 1.4301449, 1.2282718, 1.3815935, 1.4219069, 1.3905388}});
  check("ops.logsumexp(a, axis=(0, 1), keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) {
          return logsumexp(in[0], {0, 1}, true);
        },
        {float32, Shape{1, 1, 4}, {1.8722546, 2.0522361, 2.0959051, 2.1036851}});
  check("ops.erf(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return erf(in[0]); },
        {float32, Shape{2, 3}, {0.41817483, 0.83921188, 0.15818609, -0.80490541, -0.6280067, 0.58666408}});
  check("ops.erfinv(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return erfinv(in[0]); },
        {float32, Shape{2, 3}, {0.98548681, 1.0950195, 0.63921207, 0.26110581, 0.091110647, 0.1954671}});
  check("ops.rsqrt(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return rsqrt(in[0]); },
        {float32, Shape{2, 3}, {1.0933119, 1.0669011, 1.2559055, 1.8631779, 3.1231158, 2.142827}});
  check("ops.extract_sequences(a, 4, 3)", {wave({2, 12}, 0.7)}, [](const Tensors& in) { return extract_sequences(in[0], 4, 3); },
        {float32, Shape{2, 3, 4}, {0,           0.64421767,  0.98544973,  0.86320937,  0.86320937,  0.33498815, -0.35078323, -0.87157577,
                                   -0.87157577, -0.98245263, -0.63126665, 0.0168139,   0.85459888,  0.31909835, -0.36647913, -0.87969577,
                                   -0.87969577, -0.97917771, -0.61813712, 0.033623047, 0.033623047, 0.66956979, 0.99060738,  0.84574682}});
}

TEST(Ops, Fourier) {
  (void)kInf;
  check("ops.rfft(a)[0]", {wave({2, 12}, 0.7)}, [](const Tensors& in) { return rfft(in[0]).first; },
        {float32,
         Shape{2, 7},
         {1.6537554, 4.4092369, -2.2751029, -1.067139, -0.81420636, -0.7273705, -0.70459127, 0.79080147, 0.6845023, 0.94236636, 0.89576626,
          0.88600862, 0.8826589, 0.88178021}});
  check("ops.rfft(a, 9)[1]", {wave({2, 12}, 0.7)}, [](const Tensors& in) { return rfft(in[0], 9).second; },
        {float32,
         Shape{2, 5},
         {0, -4.4947867, 0.01400417, 0.0057562045, 0.0016869893, 0, 2.3663871, -0.0073728333, -0.003030482, -0.00088808639}});
  check("ops.fft((a, b * 2))[1]", {wave({2, 12}, 0.7), wave({2, 12}, 0.7)},
        [](const Tensors& in) {
          return fft({in[0], in[1] * 2}).second;
        },
        {float32, Shape{2, 12}, {3.3075104,  6.7069607,  -3.1529505, -1.5756016, -1.335845, -1.3237374, -1.4091825,  -1.5857449,
                                 -1.9209807, -2.6929548, -5.9474616, 10.929988,  1.5816029, 5.6734881,  -0.96368074, 0.65262711,
                                 1.1755953,  1.498257,   1.7635602,  2.0323789,  2.3684397, 2.930438,   4.7331457,   -2.9354789}});
  check("ops.fft2((a, b * 2))[0]", {wave({2, 12}, 0.7), wave({2, 12}, 0.7)},
        [](const Tensors& in) {
          return fft2({in[0], in[1] * 2}).first;
        },
        {float32, Shape{2, 12}, {2.4445567,   0.70779991, 1.5695786,  0.98908496,  0.67951083,  0.42740297, 0.1771884,  -0.1168263,
                                 -0.53590626, -1.3318305, -4.2350521, 9.4796782,   0.86295372,  16.55673,   -11.708807, -5.3580694,
                                 -3.4781954,  -2.4061596, -1.5863709, -0.81390023, 0.077765048, 1.4322588,  5.2738676,  -9.1072588}});
  check("ops.ifft2((a, b * 2))[1]", {wave({2, 12}, 0.7), wave({2, 12}, 0.7)},
        [](const Tensors& in) {
          return ifft2({in[0], in[1] * 2}).second;
        },
        {float32, Shape{2, 12}, {0.20371306,  0.33310455,   -0.050596476,  0.0098951384, 0.018644124,  0.018609732,
                                 0.014765739, 0.0072716475, -0.0066770725, -0.03845726,  -0.17152628,  0.51585209,
                                 0.071912818, 0.57772779,   -0.4450253,    -0.23430806,  -0.17872585,  -0.15075517,
                                 -0.13219762, -0.1175831,   -0.10464334,   -0.092842862, -0.091219567, 0.043061346}});
  check("ops.irfft((a, b * 2))", {wave({2, 12}, 0.7), wave({2, 12}, 0.7)},
        [](const Tensors& in) {
          return irfft({in[0], in[1] * 2});
        },
        {float32,
         Shape{2, 22},
         {0.10542466,    0.30353242,    -0.31116074,  -0.92438698,  0.16290656,   -0.19708842,  0.070690796, -0.097850844, 0.030358575,
          -0.051268082,  0.00030014326, -0.019137029, -0.029054908, 0.0092110662, -0.065283388, 0.040619571, -0.12534824,  0.088582888,
          -0.30480412,   0.3102141,     0.96005476,   0.043487117,  0.050412532,  -0.15496865,  0.9505946,   0.089127742,  -0.32659131,
          -0.0004058101, -0.1357374,    0.0027045554, -0.068197131, 0.011856608,  -0.025243634, 0.023949558, 0.011493526,  0.040776808,
          0.051496588,   0.068919122,   0.10960102,   0.13619798,   0.25873798,   0.67949575,   -0.64030296, -0.27931848}});
  check("ops.stft(a, 4, 2, 6)[0]", {wave({2, 12}, 0.7)}, [](const Tensors& in) { return stft(in[0], 4, 2, 6).first; },
        {float32, Shape{2, 7, 4}, {0.64421767,  -0.32210883,   -0.32210883,  0.64421767,  1.7391632,    -1.3623065,  0.60859299,
                                   -0.23173624, 0.59120119,    -0.46309465,  0.20688158,  -0.078775078, -1.5381937,  1.2048848,
                                   -0.53826678, 0.20495784,    -1.114086,    0.87267637,  -0.38985696,  0.14844728,  1.1594777,
                                   -0.90823209, 0.40574107,    -0.15449554,  1.1594777,   -0.90823209,  0.40574107,  -0.15449554,
                                   1.1736972,   -1.014148,     0.6950497,    -0.53550053, -0.64677787,  0.50662851,  -0.22632977,
                                   0.086180419, -1.7280941,    1.3536359,    -0.60471952, 0.23026127,   0.059339382, -0.046481214,
                                   0.02076488,  -0.0079067126, 1.7482657,    -1.3694365,  0.61177826,   -0.23294908, 0.53495604,
                                   -0.41903719, 0.1871995,     -0.071280643, 0.53495604,  -0.41903719,  0.1871995,   -0.071280643}});
  check("ops.stft(a, 4, 2, 6, window='hamming', center=False)[1]", {wave({2, 12}, 0.7)},
        [](const Tensors& in) { return stft(in[0], 4, 2, 6, "hamming", false).second; },
        {float32, Shape{2, 4, 4}, {0, -0.34882349, 0.25955808,  0, 0, -0.62405908, 0.50444925, 0, 0, 0.13668445, -0.088078476, 0,
                                   0, 0.67052275,  -0.53439015, 0, 0, -0.30863854, 0.26442298, 0, 0, 0.53458714, -0.41269296,  0,
                                   0, 0.49036306,  -0.40471148, 0, 0, -0.36789599, 0.27511767, 0}});
  check("ops.istft(ops.stft(a, 6, 2, 8), 6, 2, 8, length=12)", {wave({2, 12}, 0.7)},
        [](const Tensors& in) { return istft(stft(in[0], 6, 2, 8), 6, 2, 8, 12); },
        {float32, Shape{2, 12}, {8.7653893e-09, 0.64421761,  0.98544979,  0.86320943, 0.33498818, -0.35078323, -0.87157583, -0.98245263,
                                 -0.63126671,   0.016813865, 0.65698659,  0.98816836, 0.85459888, 0.31909835,  -0.36647916, -0.87969577,
                                 -0.97917783,   -0.61813718, 0.033623055, 0.66956985, 0.99060738, 0.84574687,  0.30311835,  -0.38207144}});
}

TEST(Ops, LinearAlgebra) {
  (void)kInf;
  check("ops.det(a)", {wave({2, 3, 3}, 0.77)}, [](const Tensors& in) { return det(in[0]); },
        {float32, Shape{2}, {-4.161269e-08, 7.2018445e-08}});
  check("ops.inv(a)", {wave({2, 3, 3}, 0.77) + eye(3) * 2}, [](const Tensors& in) { return inv(in[0]); },
        {float32,
         Shape{2, 3, 3},
         {0.43745455, -0.27127793, -0.32696119, -0.09617693, 0.61782676, 0.26535511, 0.19213417, 0.11251828, 0.46942195, 0.33361673,
          -0.2634232, -0.21184537, 0.03662939, 0.71054727, 0.26567894, 0.11702889, -0.020268107, 0.35386977}});
  check("ops.solve(a, b)", {wave({3, 3}, 0.77) + eye(3) * 2, wave({3, 2})}, [](const Tensors& in) { return solve(in[0], in[1]); },
        {float32, Shape{3, 2}, {0.00077269971, 0.64335358, 0.36096692, -0.24819782, -0.25294712, -0.27258623}});
  check("ops.solve_triangular(a, b, lower=True)",
        {wave({3, 3}, 0.77) + eye(3) * 2, wave({
                                              3,
                                          })},
        [](const Tensors& in) { return solve_triangular(in[0], in[1], true); }, {float32, Shape{3}, {0, 0.40817317, 0.65381539}});
  check("ops.slogdet(a)[1]", {wave({3, 3}, 0.77) + eye(3) * 2}, [](const Tensors& in) { return slogdet(in[0]).second; },
        {float32, Shape{}, {2.0395896}});
  check("ops.lu_factor(a)[0]", {wave({3, 3}, 0.77)}, [](const Tensors& in) { return lu_factor(in[0]).first; },
        {float32, Shape{3, 3}, {-0.99573517, -0.7790727, -0.12287399, 0, 0.69613522, 0.99952585, -0.74217045, -0.74217051, 5.9604645e-08}});
  check("ops.qr(a)[1]", {wave({4, 3}, 0.77)}, [](const Tensors& in) { return qr(in[0]).second; },
        {float32, Shape{3, 3}, {-1.3786955, -1.027606, -0.096763074, 0, 1.0078939, 1.4471555, 0, 0, 1.3328004e-07}});
  check(
      "ops.svd(a, compute_uv=False)", {wave({4, 3}, 0.77)}, [](const Tensors& in) { return svd(in[0], true, false)[0]; },
      {float32, Shape{3}, {2.053308, 1.3638813, 6.0260184e-08}}, Trace::Yes, 1e-4);
  check(
      "ops.lstsq(a, b)",
      {wave({4, 2}, 0.77), wave(
                               {
                                   4,
                               },
                               0.3)},
      [](const Tensors& in) { return lstsq(in[0], in[1]); }, {float32, Shape{2}, {0.099278346, -0.43940797}}, Trace::Yes, 1e-4);
  check(
      "ops.pinv(a)", {wave({4, 2}, 0.77)}, [](const Tensors& in) { return pinv(in[0]); },
      {float32, Shape{2, 4}, {-0.52997965, 0.501122, 0.56084031, -0.4665837, 0.71689177, 8.3721825e-05, -0.71688676, -0.044231869}},
      Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord=None, axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], std::nullopt, {1, 2});
      },
      {float32, Shape{2}, {2.3813415, 2.4379976}}, Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord=1, axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], 1.0, {1, 2});
      },
      {float32, Shape{2}, {2.1499267, 2.0491688}}, Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord=-1, axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], -1.0, {1, 2});
      },
      {float32, Shape{2}, {1.5974829, 1.5484452}}, Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord=2, axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], 2.0, {1, 2});
      },
      {float32, Shape{2}, {1.7424574, 1.9709589}}, Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord='nuc', axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], "nuc", {1, 2});
      },
      {float32, Shape{2}, {3.3656111, 3.4059339}}, Trace::Yes, 1e-4);
  check(
      "ops.norm(a, ord=np.inf, axis=(1, 2))", {wave({2, 3, 4}, 1.1, 0.3)},
      [](const Tensors& in) {
        return norm(in[0], kInf, {1, 2});
      },
      {float32, Shape{2}, {3.0323234, 2.6233201}}, Trace::Yes, 1e-4);
  check("ops.norm(a, ord=None, axis=1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return norm(in[0], std::nullopt, 1, true); },
        {float32, Shape{2, 1, 4}, {1.0904139, 1.2949096, 1.2660625, 1.0963936, 1.1830842, 1.3405658, 1.1183044, 1.2232834}});
  check("ops.norm(a, ord=1, axis=1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return norm(in[0], 1.0, 1, true); },
        {float32, Shape{2, 1, 4}, {1.6145418, 2.1499267, 2.1309311, 1.5974829, 1.9209062, 2.031584, 1.5484452, 2.0491688}});
  check("ops.norm(a, ord=0, axis=1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return norm(in[0], 0.0, 1, true); }, {float32, Shape{2, 1, 4}, {3, 3, 3, 3, 3, 3, 3, 3}});
  check("ops.norm(a, ord=3, axis=1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return norm(in[0], 3.0, 1, true); },
        {float32, Shape{2, 1, 4}, {1.0189936, 1.1187112, 1.0846913, 1.0194881, 1.0275868, 1.1890297, 1.020192, 1.0477704}});
  check("ops.norm(a, ord=-np.inf, axis=1, keepdims=True)", {wave({2, 3, 4}, 1.1, 0.3)},
        [](const Tensors& in) { return norm(in[0], -kInf, 1, true); },
        {float32, Shape{2, 1, 4}, {0.29552022, 0.46460217, 0.57843977, 0.16560417, 0.30396461, 0.14987721, 0.0079631833, 0.45044059}});
  check("ops.norm(a)", {wave({2, 3, 4}, 1.1, 0.3)}, [](const Tensors& in) { return norm(in[0]); }, {float32, Shape{}, {3.4080229}});
}

TEST(Ops, Places) {
  (void)kInf;
  check("ops.slice(a, np.array([1, 1]), (2, 3))", {wave({3, 4}, 0.5)},
        [](const Tensors& in) {
          return slice(in[0], Tensor{1, 1}, {2, 3});
        },
        {float32, Shape{2, 3}, {0.59847212, 0.14112, -0.35078323, -0.97753012, -0.95892429, -0.7055403}});
  check("ops.slice_update(a, np.array([1, 2]), b)", {wave({3, 4}, 0.5), wave({2, 2}, 0.7)},
        [](const Tensors& in) {
          return slice_update(in[0], Tensor{1, 2}, in[1]);
        },
        {float32,
         Shape{3, 4},
         {0, 0.47942555, 0.84147096, 0.997495, 0.90929741, 0.59847212, 0, 0.64421767, -0.7568025, -0.97753012, 0.98544973, 0.86320937}});
  check("ops.scatter(np.array([[0, 1], [2, 0], [0, 1]]), a, (3, 2))",
        {wave(
            {
                3,
            },
            0.5)},
        [](const Tensors& in) {
          return scatter(Tensor{{0, 1}, {2, 0}, {0, 1}}, in[0], {3, 2});
        },
        {float32, Shape{3, 2}, {0, 0.84147096, 0, 0, 0.47942555, 0}});
  check("ops.scatter_update(a, np.array([[2], [0]]), b)", {wave({3, 4}, 0.5), wave({2, 4}, 0.7)},
        [](const Tensors& in) {
          return scatter_update(in[0], Tensor{{2}, {0}}, in[1]);
        },
        {float32,
         Shape{3, 4},
         {0.33498815, -0.35078323, -0.87157577, -0.98245263, 0.90929741, 0.59847212, 0.14112, -0.35078323, 0, 0.64421767, 0.98544973,
          0.86320937}});
  check("ops.scatter_update(a, np.array([[2], [2]]), b, reduction='add')", {wave({3, 4}, 0.5), wave({2, 4}, 0.7)},
        [](const Tensors& in) {
          return scatter_update(in[0], Tensor{{2}, {2}}, in[1], "add");
        },
        {float32,
         Shape{3, 4},
         {0, 0.47942555, 0.84147096, 0.997495, 0.90929741, 0.59847212, 0.14112, -0.35078323, -0.42181435, -0.68409568, -0.84505033,
          -0.82478356}});
  check("ops.scatter_update(a, np.array([[2], [2]]), b, reduction='max')", {wave({3, 4}, 0.5), wave({2, 4}, 0.7)},
        [](const Tensors& in) {
          return scatter_update(in[0], Tensor{{2}, {2}}, in[1], "max");
        },
        {float32,
         Shape{3, 4},
         {0, 0.47942555, 0.84147096, 0.997495, 0.90929741, 0.59847212, 0.14112, -0.35078323, 0.33498815, 0.64421767, 0.98544973,
          0.86320937}});
  check("ops.scatter_update(a, np.array([[2], [2]]), b, reduction='min')", {wave({3, 4}, 0.5), wave({2, 4}, 0.7)},
        [](const Tensors& in) {
          return scatter_update(in[0], Tensor{{2}, {2}}, in[1], "min");
        },
        {float32,
         Shape{3, 4},
         {0, 0.47942555, 0.84147096, 0.997495, 0.90929741, 0.59847212, 0.14112, -0.35078323, -0.7568025, -0.97753012, -0.95892429,
          -0.98245263}});
  check("ops.scatter_update(a, np.array([[2], [2]]), b, reduction='mul')", {wave({3, 4}, 0.5), wave({2, 4}, 0.7)},
        [](const Tensors& in) {
          return scatter_update(in[0], Tensor{{2}, {2}}, in[1], "mul");
        },
        {float32,
         Shape{3, 4},
         {0, 0.47942555, 0.84147096, 0.997495, 0.90929741, 0.59847212, 0.14112, -0.35078323, 0, 0.22090301, 0.82361442, 0.59834212}});
  check("ops.unstack(a, axis=1)[2]", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return unstack(in[0], {}, 1)[2]; },
        {float32, Shape{2}, {0.14112, 0.57843977}});
  check("ops.saturate_cast(a * 300, 'uint8')", {wave({2, 3}, 1.3, 0.4)},
        [](const Tensors& in) { return saturate_cast(in[0] * 300, uint8); }, {uint8, Shape{2, 3}, {116, 255, 42, 0, 0, 173}});
  check("ops.cast(a * 3, 'int32')", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cast(in[0] * 3, int32); },
        {int32, Shape{2, 3}, {1, 2, 0, -2, -1, 1}});
  check("ops.cast(a > 0, 'float32')", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cast(in[0] > 0, float32); },
        {float32, Shape{2, 3}, {1, 1, 1, 0, 0, 1}});
  check("ops.cast(a, 'bool')", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cast(in[0], bool_); },
        {bool_, Shape{2, 3}, {1, 1, 1, 1, 1, 1}});
}

TEST(Ops, Images) {
  (void)kInf;
  check("ops.image.rgb_to_grayscale(a)", {wave({1, 4, 5, 3}, 0.4) * 0.4f + 0.5f},
        [](const Tensors& in) { return image::rgb_to_grayscale(in[0]); },
        {float32, Shape{1, 4, 5, 1}, {0.62409687, 0.88754845, 0.6567018,  0.22595198, 0.14462765, 0.51644039, 0.8672232,
                                      0.74962819, 0.31362244, 0.11523736, 0.40747035, 0.81764126, 0.82266539, 0.41613567,
                                      0.11649303, 0.30586714, 0.74275213, 0.86999536, 0.52532548, 0.1482947}});
  check("ops.image.rgb_to_hsv(a)", {wave({1, 4, 5, 3}, 0.4) * 0.4f + 0.5f}, [](const Tensors& in) { return image::rgb_to_hsv(in[0]); },
        {float32,
         Shape{1, 4, 5, 3},
         {0.57619137, 0.36462954,  0.78694248, 0.29134819, 0.04013034,  0.89982945, 0.08933913, 0.3811225,   0.77018529, 0.063774846,
          0.63045764, 0.32299182,  0.61518657, 0.58974993, 0.24749333,  0.58135104, 0.44350836, 0.69764537,  0.51825893, 0.087386817,
          0.89574331, 0.095515311, 0.30015647, 0.84183955, 0.072380885, 0.60752624, 0.4302693,  0.66481298,  0.37012681, 0.17086855,
          0.58616996, 0.51844591,  0.59260392, 0.55497044, 0.17786871,  0.89624298, 0.10497222, 0.2163056,   0.88626313, 0.078254908,
          0.54933405, 0.54310143,  0.92674428, 0.30166432, 0.14497319,  0.59148413, 0.58431691, 0.48018575,  0.56758237, 0.26335862,
          0.86517811, 0.12567008,  0.12829253, 0.89991713, 0.08318381,  0.47742894, 0.65250021, 0.038717929, 0.52379572, 0.21060207}});
  check("ops.image.hsv_to_rgb(a)", {wave({1, 4, 5, 3}, 0.4) * 0.4f + 0.5f}, [](const Tensors& in) { return image::hsv_to_rgb(in[0]); },
        {float32,
         Shape{1, 4, 5, 3},
         {0.27089131, 0.78694248,  0.78694248, 0.86371899, 0.086519212, 0.67960525, 0.36215261, 0.17445627,  0.47665036, 0.097273186,
          0.11935917, 0.095812112, 0.24749333, 0.23331255, 0.21120632,  0.31629869, 0.69764537, 0.44191542,  0.8200925,  0.10106862,
          0.89574331, 0.58915597,  0.156735,   0.5670864,  0.12118211,  0.16886941, 0.14891779, 0.17086855,  0.16431144, 0.15235853,
          0.40952873, 0.59260392,  0.33555704, 0.45842683, 0.14011435,  0.89624298, 0.69455945, 0.12828456,  0.51472253, 0.15056524,
          0.22039844, 0.24475732,  0.12046221, 0.11887483, 0.10826662,  0.44923204, 0.48018575, 0.32356179,  0.19658108, 0.31428358,
          0.86517811, 0.78446448,  0.10078946, 0.51133442, 0.1716961,   0.18608481, 0.34097773, 0.096960701, 0.10028961, 0.087661542}});
  check(
      "ops.image.sobel_edges(a)", {wave({1, 4, 5, 3}, 0.4) * 0.4f + 0.5f}, [](const Tensors& in) { return image::sobel_edges(in[0]); },
      {float32,
       Shape{1, 4, 5, 3, 2},
       {1.5939348,    2.5630984,   1.9804072,   2.6868267,   2.291034,    2.6231813,  2.8650076,   0.99397635,  3.0549221,   0.14380318,
        3.0782878,    -0.7290737,  2.9314156,   -1.4868455,  2.6374931,   -2.0098772, 2.2429247,   -2.2155936,  1.8100036,   -2.0715165,
        1.4070789,    -1.6003922,  1.0977633,   -0.87660146, 0.64552033,  -1.0762529, 0.49904937,  -0.67694956, 0.51060653,  -0.40758774,
        -0.56524456,  3.2445793,   -0.50018275, 3.5178299,   -0.35615313, 3.5514488,  -0.37052369, 1.7782891,   -0.1530329,  0.73446494,
        0.088618517,  -0.42531538, 0.31627905,  -1.5179476,  0.49400625,  -2.3709292, 0.59374011,  -2.8495932,  0.59973609,  -2.8783691,
        0.51104665,   -2.452714,   0.34167436,  -1.6398292,  0.3069877,   -1.7266319, 0.096803278, -1.1469008,  -0.12866405, -0.7018553,
        -0.55739856,  2.928452,    -0.55527425, 3.3472829,   -0.46548438, 3.5534074,  -0.4908334,  2.3557024,   -0.31165934, 1.4957767,
        -0.083281398, 0.39970034,  0.15824491,  -0.7594797,  0.37478805,  -1.7987545, 0.5321601,   -2.5540457,  0.60551584,  -2.9061091,
        0.58327425,   -2.7993617,  0.46894625,  -2.2506568,  0.42818403,  -2.1689723, 0.24924219,  -1.5485284,  0.030950427, -0.99936175,
        -1.3075711,   2.0114813,   -1.7111814,  2.3892355,   -2.0814509,  2.6265993,  -2.6452928,  2.0015163,   -2.9363885,  1.4722314,
        -3.0796494,   0.710513,    -3.0524569,  -0.16337955, -2.8591051,  -1.0114779, -2.5301192,  -1.6998864,  -2.1174393,  -2.11992,
        -1.686218,    -2.205265,   -1.3045363,  -1.9424469,  -0.83304781, -1.8481019, -0.58731854, -1.3777577,  -0.48568174, -0.92671275}});
  check("ops.image.resize(a, (6, 3), interpolation='nearest', antialias=False)", {wave({1, 4, 5, 2}, 0.4)},
        [](const Tensors& in) {
          return image::resize(in[0], {6, 3}, "nearest", false);
        },
        {float32, Shape{1, 6, 3, 2}, {0,           0.38941833,  0.99957359, 0.90929741, -0.058374144, -0.44252044, -0.7568025,  -0.9516021,
                                      -0.63126665, -0.27941549, 0.79366785, 0.96791965, -0.7568025,   -0.9516021,  -0.63126665, -0.27941549,
                                      0.79366785,  0.96791965,  0.98935825, 0.85459888, -0.17432678,  -0.54402113, -0.97917771, -0.82282859,
                                      -0.53657293, -0.16560417, 0.85916179, 0.99060738, 0.4863987,    0.10775365,  -0.53657293, -0.16560417,
                                      0.85916179,  0.99060738,  0.4863987,  0.10775365}});
  check("ops.image.resize(a, (6, 3), interpolation='bilinear', antialias=True)", {wave({1, 4, 5, 2}, 0.4)},
        [](const Tensors& in) {
          return image::resize(in[0], {6, 3}, "bilinear", true);
        },
        {float32, Shape{1, 6, 3, 2}, {0.30743831, 0.62197006, 0.86483407, 0.78672683, 0.25612766,  -0.10930238, -0.27597398, -0.150213,
                                      0.15933013, 0.27248785, 0.37980086, 0.32777867, -0.58015072, -0.67135215, -0.48028281, -0.27990741,
                                      0.26717615, 0.48895147, 0.53679121, 0.33282298, -0.21671896, -0.43253249, -0.67801523, -0.61468112,
                                      0.30431587, 0.37149066, 0.29626065, 0.19319387, -0.11125869, -0.24559656, -0.20739463, 0.15911481,
                                      0.74334937, 0.85707647, 0.69179547, 0.39939588}});
  check("ops.image.resize(a, (6, 3), interpolation='bicubic', antialias=False)", {wave({1, 4, 5, 2}, 0.4)},
        [](const Tensors& in) {
          return image::resize(in[0], {6, 3}, "bicubic", false);
        },
        {float32, Shape{1, 6, 3, 2}, {0.25549981, 0.63814849, 1.1068653,  0.98750192, 0.10000785,  -0.32097855, -0.39583978, -0.26061448,
                                      0.20524058, 0.36546817, 0.46175987, 0.37799713, -0.67080909, -0.83236116, -0.68260401, -0.39781964,
                                      0.45156756, 0.70458782, 0.75510728, 0.52881396, -0.30801252, -0.61473823, -0.85403609, -0.72625834,
                                      0.3443622,  0.4459798,  0.39969307, 0.25286421, -0.21598706, -0.36476386, -0.42858788, -0.014879124,
                                      0.92715454, 1.0915699,  0.7263754,  0.36547416}});
  check("ops.image.resize(a, (6, 3), interpolation='lanczos3', antialias=True)", {wave({1, 4, 5, 2}, 0.4)},
        [](const Tensors& in) {
          return image::resize(in[0], {6, 3}, "lanczos3", true);
        },
        {float32, Shape{1, 6, 3, 2}, {0.44561362, 0.82778287, 1.1332452,  0.98553151, 0.15224271,  -0.30785456, -0.45572969, -0.27510798,
                                      0.23665811, 0.42376336, 0.58058131, 0.49866912, -0.74880153, -0.92807424, -0.77375257, -0.49634406,
                                      0.34059969, 0.66622221, 0.73789281, 0.43615791, -0.4058522,  -0.70938814, -0.95200461, -0.81040365,
                                      0.46220794, 0.56721711, 0.46381274, 0.29222235, -0.21751828, -0.41305187, -0.42664871, 0.027370717,
                                      0.91739362, 1.1105274,  0.91063005, 0.55850047}});
  check("ops.image.resize(a, (2, 2), crop_to_aspect_ratio=True)", {wave({1, 4, 6, 2}, 0.4)},
        [](const Tensors& in) {
          return image::resize(in[0], {2, 2}, "bilinear", false, true);
        },
        {float32, Shape{1, 2, 2, 2}, {0.30055308, 0.51400858, 0.60002875, 0.42874658, -0.40212721, -0.58352947, -0.53536868, -0.33035448}});
  check("ops.image.affine_transform(a, np.array([1.1, 0.2, -0.3, 0.1, 0.9, 0.4, 0, 0], 'float32'), fill_mode='reflect')",
        {wave({1, 4, 4, 1}, 0.4)},
        [](const Tensors& in) {
          return image::affine_transform(in[0], Tensor{1.1, 0.2, -0.3, 0.1, 0.9, 0.4, 0.0, 0.0}, "bilinear", "reflect");
        },
        {float32,
         Shape{1, 4, 4, 1},
         {0.39982945, 0.61944366, 0.69313294, 0.51410341, 0.68218935, 0.36857033, -0.067433417, -0.43696603, -0.27440977, -0.60366893,
          -0.69942993, -0.61550879, -0.96235162, -0.78257942, -0.45534098, -0.27941549}});
  check(
      "ops.image.affine_transform(a, np.array([1.1, 0.2, -0.3, 0.1, 0.9, 0.4, 0, 0], 'float32'), interpolation='nearest', fill_value=3.0)",
      {wave({1, 4, 4, 1}, 0.4)},
      [](const Tensors& in) {
        return image::affine_transform(in[0], Tensor{1.1, 0.2, -0.3, 0.1, 0.9, 0.4, 0.0, 0.0}, "nearest", "constant", 3.0);
      },
      {float32,
       Shape{1, 4, 4, 1},
       {0, 0.90929741, 0.6754632, 0.33498815, 0.99957359, 0.90929741, -0.7568025, -0.9516021, -0.058374144, -0.44252044, -0.7568025,
        -0.27941549, -0.99616462, -0.88345468, -0.27941549, 3}});
  check(
      "ops.image.perspective_transform(a, np.array([[0, 0], [3, 0], [0, 3], [3, 3]], 'float32'), np.array([[0.2, 0.1], [2.5, 0.3], [0.1, "
      "2.8], [3.2, 3.1]], 'float32'))",
      {wave({4, 4, 1}, 0.4)},
      [](const Tensors& in) {
        return image::perspective_transform(in[0], Tensor{{0, 0}, {3, 0}, {0, 3}, {3, 3}},
                                            Tensor{{0.2, 0.1}, {2.5, 0.3}, {0.1, 2.8}, {3.2, 3.1}});
      },
      {float32,
       Shape{4, 4, 1},
       {0, 0.30476657, 0.4905532, 0.090694845, 0.61331552, 0.75510263, 0.60573429, 0.24054447, -0.29024854, -0.51140231, -0.74158812,
        -0.86124074, -0.75416613, -0.8154822, -0.66166747, -0.37855363}},
      Trace::Yes, 1e-3);
  check("ops.image.extract_patches(a, (2, 3), strides=2, padding='same')", {wave({1, 5, 4, 2}, 0.4)},
        [](const Tensors& in) {
          return image::extract_patches(in[0], {2, 3}, 2, 1, "same");
        },
        {float32,
         Shape{1, 3, 2, 12},
         {0,
          0.38941833,
          0.71735609,
          0.93203908,
          0.99957359,
          0.90929741,
          -0.058374144,
          -0.44252044,
          -0.7568025,
          -0.9516021,
          -0.99616462,
          -0.88345468,
          0.99957359,
          0.90929741,
          0.6754632,
          0.33498815,
          0,
          0,
          -0.99616462,
          -0.88345468,
          -0.63126665,
          -0.27941549,
          0,
          0,
          0.1165492,
          0.49411336,
          0.79366785,
          0.96791965,
          0.98935825,
          0.85459888,
          -0.17432678,
          -0.54402113,
          -0.82782644,
          -0.98093623,
          -0.97917771,
          -0.82282859,
          0.98935825,
          0.85459888,
          0.58491719,
          0.22288992,
          0,
          0,
          -0.97917771,
          -0.82282859,
          -0.53657293,
          -0.16560417,
          0,
          0,
          0.23150982,
          0.5920735,
          0.85916179,
          0.99060738,
          0.96565777,
          0.78825206,
          0,
          0,
          0,
          0,
          0,
          0,
          0.96565777,
          0.78825206,
          0.4863987,
          0.10775365,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0}});
  check("ops.image.map_coordinates(a, np.array([[0.5, 1.2, -0.4], [0.3, 3.9, 4.5]], 'float32'), 1, 'mirror')", {wave({4, 5}, 0.4)},
        [](const Tensors& in) {
          return image::map_coordinates(in[0], Tensor{{0.5, 1.2, -0.4}, {0.3, 3.9, 4.5}}, 1, "mirror");
        },
        {float32, Shape{3}, {0.47798634, -0.45458177, 0.47930491}});
  check("ops.image.pad_images(a, 1, 2, target_height=8, target_width=7)", {wave({1, 5, 4, 2}, 0.4)},
        [](const Tensors& in) { return image::pad_images(in[0], 1, 2, {}, {}, 8, 7); },
        {float32,
         Shape{1, 8, 7, 2},
         {0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0.38941833,
          0.71735609,
          0.93203908,
          0.99957359,
          0.90929741,
          0.6754632,
          0.33498815,
          0,
          0,
          0,
          0,
          0,
          0,
          -0.058374144,
          -0.44252044,
          -0.7568025,
          -0.9516021,
          -0.99616462,
          -0.88345468,
          -0.63126665,
          -0.27941549,
          0,
          0,
          0,
          0,
          0,
          0,
          0.1165492,
          0.49411336,
          0.79366785,
          0.96791965,
          0.98935825,
          0.85459888,
          0.58491719,
          0.22288992,
          0,
          0,
          0,
          0,
          0,
          0,
          -0.17432678,
          -0.54402113,
          -0.82782644,
          -0.98093623,
          -0.97917771,
          -0.82282859,
          -0.53657293,
          -0.16560417,
          0,
          0,
          0,
          0,
          0,
          0,
          0.23150982,
          0.5920735,
          0.85916179,
          0.99060738,
          0.96565777,
          0.78825206,
          0.4863987,
          0.10775365,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0}});
  check("ops.image.crop_images(a, 1, 2, 2, 1)", {wave({1, 5, 4, 2}, 0.4)},
        [](const Tensors& in) { return image::crop_images(in[0], 1, 2, 2, 1); },
        {float32, Shape{1, 2, 1, 2}, {-0.99616462, -0.88345468, 0.98935825, 0.85459888}});
  check("ops.image.gaussian_blur(a, (3, 3), (0.7, 1.2), data_format='channels_last')", {wave({1, 5, 4, 2}, 0.4)},
        [](const Tensors& in) {
          return image::gaussian_blur(in[0], {3, 3}, {0.7, 1.2});
        },
        {float32, Shape{1, 5, 4, 2}, {0.0059124082, 0.041001633,  0.066037461,  0.093900457,  0.10693861,  0.1030935,   0.080890529,
                                      0.057853967,  0.03276401,   0.077716932,  0.11248176,   0.14143437,  0.14805762,  0.13130578,
                                      0.097979978,  0.059149668,  -0.039834328, -0.083403282, -0.11796099, -0.14385964, -0.14704597,
                                      -0.12701708,  -0.093151636, -0.052528188, 0.046768773,  0.088805147, 0.1230379,   0.14579427,
                                      0.14553291,   0.12229507,   0.088005543,  0.045727562,  0.049879126, 0.075812109, 0.099177495,
                                      0.10758787,   0.099012487,  0.074805215,  0.049576655,  0.015716463}});
  check("ops.image.ssim(a, b)", {wave({1, 12, 12, 1}, 0.4), wave({1, 12, 12, 1}, 0.41)},
        [](const Tensors& in) { return image::ssim(in[0], in[1]); }, {float32, Shape{1}, {0.15717074}});
}

TEST(Ops, Control) {
  // The same loop eagerly and inside a compiled function.
  auto power_of = [](const Tensors& in) {
    return fori_loop(0, 5, [&](const Tensor& i, const Tensors& v) { return Tensors{v[0] * in[0] + cast(i, float32)}; },
                     {zeros_like(in[0])});
  };
  Tensor x{1.5, -0.5};
  std::vector<float> eager = power_of({x})[0].to_vector<float>();
  EXPECT_EQ(Function(power_of)({x})[0].to_vector<float>(), eager);
  EXPECT_FLOAT_EQ(eager[0], 16.375f);
  auto halved = [](const Tensors& in) {
    return while_loop([](const Tensors& v) { return all(v[0] > 1.0); },
                      [](const Tensors& v) {
                        return Tensors{v[0] / 2.0, v[1] + 1};
                      },
                      {in[0], Tensor(0)}, 20);
  };
  EXPECT_EQ(halved({Tensor{40.0, 9.0}})[1].item(), 4);
  EXPECT_EQ(Function(halved)({Tensor{40.0, 9.0}})[1].item(), 4);
  auto [carry, ys] = scan([](const Tensors& c, const Tensors& s) { return std::pair<Tensors, Tensors>({c[0] + s[0]}, {c[0] * s[0]}); },
                          {Tensor{0.0, 1.0}}, {count({3, 2}, float32)});
  EXPECT_EQ(carry[0].to_vector<float>(), (std::vector<float>{6, 10}));
  EXPECT_EQ(ys[0].to_vector<float>(), (std::vector<float>{0, 1, 0, 6, 8, 25}));
  Tensor squares = map([](const Tensor& row) { return sum(row * row); }, count({3, 2}, float32));
  EXPECT_EQ(squares.to_vector<float>(), (std::vector<float>{1, 13, 41}));
  auto larger = [](const Tensors& in) {
    return Tensors{cond(
        sum(in[0]) > 0, [&] { return in[0] * 2; }, [&] { return in[0] - 1; })};
  };
  EXPECT_EQ(larger({Tensor{1.0, 2.0}})[0].to_vector<float>(), (std::vector<float>{2, 4}));
  EXPECT_EQ(Function(larger)({Tensor{-1.0, -2.0}})[0].to_vector<float>(), (std::vector<float>{-2, -3}));
  Tensors sums = associative_scan([](const Tensors& a, const Tensors& b) { return Tensors{a[0] + b[0]}; }, {count({7}, float32)});
  EXPECT_EQ(sums[0].to_vector<float>(), (std::vector<float>{0, 1, 3, 6, 10, 15, 21}));
  EXPECT_NE(message_of<ValueError>([] {
              fori_loop(0, 2, [](const Tensor&, const Tensors& v) { return Tensors{concatenate({v[0], v[0]})}; }, {Tensor{1.0}});
            }).find("shape"),
            std::string::npos);
}
TEST(Ops, DirectionalDerivative) {
  auto [y, d] = jvp([](const Tensors& x) { return Tensors{sin(x[0]) * x[1]}; }, {Tensor{0.5, 1.0}, Tensor{2.0, 3.0}},
                    {Tensor{1.0, 0.0}, Tensor{0.0, 1.0}});
  EXPECT_NEAR(y[0].to_vector<float>()[1], 3 * std::sin(1.0), 1e-6);
  EXPECT_NEAR(d[0].to_vector<float>()[0], 2 * std::cos(0.5), 1e-6);
  EXPECT_NEAR(d[0].to_vector<float>()[1], std::sin(1.0), 1e-6);
}
// Lengths that are small, composite, prime and large: there and back again.
TEST(Ops, FourierLengths) {
  for (int64_t n : {1, 2, 7, 60, 67, 128, 210, 1000}) {
    Tensor x = wave({2, n}, 0.37);
    Tensor y = irfft(rfft(x), n);
    EXPECT_LT(max(abs(x - y)).item(), 2e-5) << n;
    auto [re, im] = fft({x, wave({2, n}, 0.2)});
    EXPECT_NEAR(get_item(re, {0, 0}).item(), sum(get_item(x, {0})).item(), 1e-3) << n;
  }
}
TEST(Ops, Decompositions) {
  Tensor a = wave({2, 4, 3}, 0.9);
  auto [q, r] = qr(a);
  EXPECT_LT(max(abs(matmul(q, r) - a)).item(), 1e-5);
  Tensors usv = svd(a, false);
  EXPECT_LT(max(abs(matmul(usv[0] * expand_dims(usv[1], -2), usv[2]) - a)).item(), 1e-5);
  Tensor s = matmul(transpose(a, {0, 2, 1}), a) + eye(3);
  auto [w, v] = eigh(s);
  EXPECT_LT(max(abs(matmul(s, v) - v * expand_dims(w, -2))).item(), 1e-4);
  Tensor l = cholesky(s);
  EXPECT_LT(max(abs(matmul(l, transpose(l, {0, 2, 1})) - s)).item(), 1e-4);
  EXPECT_LT(max(abs(matmul(s, inv(s)) - eye(3))).item(), 1e-4);
  EXPECT_LT(max(abs(matmul(matmul(a, pinv(a)), a) - a)).item(), 1e-4);
  EXPECT_EQ(matrix_rank(a).to_vector<int>(), (std::vector<int>{2, 2}));
  EXPECT_NE(message_of<ValueError>([] { cholesky(Tensor{{1.0, 2.0}, {2.0, 1.0}}); }).find("positive definite"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { inv(wave({2, 3})); }).find("square"), std::string::npos);
}
TEST(Ops, RefusesWhatKerasRefuses) {
  Tensor x = wave({1, 8, 8, 8, 1}), image = core::make_symbolic({DType::Float32, Shape{None, 6, 3}}, "image");
  EXPECT_THROW(image::extract_patches_3d(x, {2, 2}), TypeError);
  EXPECT_THROW(image::extract_patches(x, {2, 2, 2, 2}), ValueError);
  EXPECT_THROW(image::crop_images(image, 1, 1, 1, 1), ValueError);
  EXPECT_EQ(image::crop_images(image, 1, 1, {}, 1, 4).shape(), (Shape{4, 4, 3}));
  EXPECT_THROW(stft(wave({16}), 4, 0, 8), ValueError);
  EXPECT_THROW(istft({wave({3, 5}), wave({3, 5})}, 4, -1, 8), ValueError);
}
}  // namespace keras::ops_test
