// What lives here: tests of keras::ops at the edges: division by 0, infinities, NaN, empty axes, positions outside, unknown sizes. Ordinary
// calls are tested beside their families.
// The numbers were computed with Keras 3.15.1 on JAX.
#include "ops/op_check.h"

namespace keras::ops_test {

using namespace ops;

namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
Tensor symbol(const Shape& s, DType dtype = DType::Float32) { return core::make_symbolic({dtype, s}, "input"); }
}  // namespace

TEST(Edges, WholeNumbersOverZero) {
  auto quotient = [](const Tensors& in) { return floor_divide(in[0], in[1]); };
  check("int32", {Tensor{5, -5, 0, 7}, Tensor{0, 0, 0, 2}}, quotient, {int32, Shape{4}, {-2, -2, -1, 3}});
  check("uint8", {Tensor{5, 0}.astype(uint8), Tensor{0, 0}.astype(uint8)}, quotient, {uint8, Shape{2}, {255, 255}});
}

TEST(Edges, NeighboursOfHalfWidthFloats) {
  Tensor x = Tensor::from(std::vector<double>{1, 1, 0, kInf, -2}, Shape{5}).astype(float16),
         to = Tensor{2.0, 0.0, -1.0, 0.0, -2.0}.astype(float16);
  check(
      "nextafter", {x, to}, [](const Tensors& in) { return nextafter(in[0], in[1]); },
      {float16, Shape{5}, {1.0009765625, 0.99951171875, -5.960464477539063e-08, 65504, -2}}, Trace::Yes, 1e-9);
}

TEST(Edges, DtypesOfResults) {
  Tensor bytes = Tensor{100, 100}.astype(int8), bools = Tensor{1, 0}.astype(DType::Bool), whole = Tensor{7, -1};
  check("dot", {bytes, bytes}, [](const Tensors& in) { return dot(in[0], in[1]); }, {int8, Shape{}, {32}});
  EXPECT_EQ(tensordot(bytes, bytes, 1).dtype(), int8);
  EXPECT_EQ(matmul(bytes, bytes).dtype(), int32);
  EXPECT_EQ(relu(bools).dtype(), int32);
  EXPECT_EQ(hard_tanh(bools).dtype(), int32);
  check("relu6", {whole}, [](const Tensors& in) { return relu6(in[0]); }, {float32, Shape{2}, {6, 0}});
  check("threshold", {whole}, [](const Tensors& in) { return threshold(in[0], 0, 2.5); }, {float32, Shape{2}, {7, 2.5}});
  EXPECT_EQ(threshold(whole, 0, 3).dtype(), int32);
  EXPECT_EQ(sparse_categorical_crossentropy(Tensor{0}, wave({1, 3}).astype(float16), true).dtype(), float32);
  EXPECT_EQ(norm(wave({3, 3}).astype(float16), "nuc").dtype(), float16);
}

TEST(Edges, NumbersWithAFractionAreFloat32ToSome) {
  Tensor x = Tensor{1.0, 2.0}.astype(float16);
  check("logaddexp", {x}, [](const Tensors& in) { return logaddexp(in[0], 0.5); },
        {float32, Shape{2}, {1.4740769863128662, 2.20141339302063}});
  EXPECT_EQ(arctan2(x, 0.5).dtype(), float32);
  EXPECT_EQ(arctan2(x, 1).dtype(), float16);
}

TEST(Edges, InfinitiesAndNaN) {
  Tensor a = Tensor::from(std::vector<double>{kInf, kNaN, kNaN, 3}, Shape{4}).astype(float32),
         b = Tensor::from(std::vector<double>{kNaN, -kInf, 1, 4}, Shape{4}).astype(float32);
  check("hypot", {a, b}, [](const Tensors& in) { return hypot(in[0], in[1]); }, {float32, Shape{4}, {kInf, kInf, kNaN, 5}});
  check("heaviside", {Tensor::from(std::vector<double>{kNaN, -1, 0, 2}, Shape{4}).astype(float32)},
        [](const Tensors& in) { return heaviside(in[0], 0.5); }, {float32, Shape{4}, {kNaN, 0, 0.5, 1}});
  check("nanvar", {Tensor::from(std::vector<double>{1, kNaN, 3, kInf, 1, kNaN}, Shape{2, 3}).astype(float32)},
        [](const Tensors& in) { return nanvar(in[0], 1); }, {float32, Shape{2}, {1, kNaN}});
  check("saturate_cast", {Tensor::from(std::vector<double>{kInf, -kInf, 3e9, 1.5}, Shape{4}).astype(float32)},
        [](const Tensors& in) { return saturate_cast(in[0], int32); }, {int32, Shape{4}, {2147483647, -2147483648.0, 2147483647, 1}});
}

TEST(Edges, RunningBools) {
  EXPECT_EQ(cumprod(Tensor{0.5, 2.0, 0.0}, {}, DType::Bool).dtype(), DType::Bool);
  EXPECT_EQ(cumprod(Tensor{0.5, 2.0, 0.0}, {}, DType::Bool).to_vector<int>(), (std::vector<int>{1, 1, 0}));
  EXPECT_EQ(cumsum(symbol({3}), {}, DType::Bool).dtype(), DType::Bool);
  EXPECT_EQ(cumsum(symbol({3}, DType::Bool)).dtype(), int32);
}

TEST(Edges, OrderAndPlaces) {
  check("digitize", {Tensor{0.0, 1.0, 2.0, 3.0, 4.0}, Tensor{3.0, 2.0, 1.0}}, [](const Tensors& in) { return digitize(in[0], in[1]); },
        {int32, Shape{5}, {3, 2, 1, 0, 0}});
  check("slice", {Tensor{{1, 2}, {3, 4}, {5, 6}}, Tensor{-1, 0}},
        [](const Tensors& in) {
          return slice(in[0], in[1], {1, 2});
        },
        {int32, Shape{1, 2}, {5, 6}});
  check("in_top_k", {Tensor{1, 6, -1}, Tensor{{0.1, 0.9, 0.0}, {0.3, 0.3, 0.4}, {0.1, 0.2, 0.7}}},
        [](const Tensors& in) { return in_top_k(in[0], in[1], 2); }, {DType::Bool, Shape{3}, {1, 0, 1}});
  EXPECT_THROW(histogram(Tensor::empty(DType::Float32, {0}), 3), ValueError);
  EXPECT_THROW(split(count({4, 6}), {4, 2}, 1), ValueError);
  EXPECT_THROW(split(count({4, 6}), {3, 8}, 1), ValueError);
  EXPECT_EQ(vsplit(count({4}), 2)[1].to_vector<int>(), (std::vector<int>{2, 3}));
}

TEST(Edges, DifferencesAndRanges) {
  EXPECT_EQ(diff(Tensor{1.0, 2.0}, 5).shape(), (Shape{0}));
  EXPECT_THROW(diff(Tensor{1.0, 2.0}, -1), ValueError);
  EXPECT_EQ(arange(0.0, 3.0, 0.5, DType::Int8).to_vector<int>(), (std::vector<int>{0, 0, 0, 0, 0, 0}));
  EXPECT_THROW(vander(Tensor{1.0, 2.0}, -1), ValueError);
  EXPECT_THROW(eye(-1), ValueError);
  EXPECT_THROW(broadcast_to(Tensor{1.0, 2.0}, {2, None}), ValueError);
  EXPECT_EQ(linspace_with_step(Tensor{1.0, 2.0}, Tensor{3.0, 4.0}, 1).second.shape(), Shape{});
  EXPECT_EQ(view(Tensor{1, 256}, DType::Bool).to_vector<int>(), (std::vector<int>{1, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(Edges, ProductsAndNorms) {
  check("correlate", {Tensor{1.0, 2.0}, Tensor{1.0, 2.0, 3.0, 4.0, 5.0}}, [](const Tensors& in) { return correlate(in[0], in[1], "same"); },
        {float32, Shape{5}, {14, 11, 8, 5, 2}});
  EXPECT_EQ(corrcoef(Tensor{{1.0, 2.0, 4.0}}).shape(), Shape{});
  check("normalize", {Tensor{{1.0, 2.0}, {3.0, 4.0}}}, [](const Tensors& in) { return normalize(in[0], {}, 1); },
        {float32, Shape{2, 2}, {1 / 6.0, 1 / 3.0, 0.5, 2 / 3.0}});
  EXPECT_THROW(normalize(wave({2, 3}), {}, 3), ValueError);
  EXPECT_THROW(normalize(wave({2, 3}), -1, kInf), ValueError);
  // A matrix on the right is one for the whole batch.
  Tensor a = Tensor::from(std::vector<double>{2, 0, 0, 4, 1, 0, 0, 2, 1, 1, 0, 1}, Shape{3, 2, 2}).astype(float32);
  check("solve", {a, Tensor{{2.0, 4.0}, {4.0, 8.0}}}, [](const Tensors& in) { return solve(in[0], in[1]); },
        {float32, Shape{3, 2, 2}, {1, 2, 1, 2, 2, 4, 2, 4, -2, -4, 4, 8}});
  // To solve_triangular it is a vector for each.
  Tensor diagonal = Tensor::from(std::vector<double>{2, 0, 0, 4, 1, 0, 0, 2}, Shape{2, 2, 2}).astype(float32);
  check("solve_triangular", {diagonal, Tensor{{2.0, 4.0}, {4.0, 8.0}}}, [](const Tensors& in) { return solve_triangular(in[0], in[1], true); },
        {float32, Shape{2, 2}, {1, 1, 4, 4}});
}

// Without a window every frame is as long as the transform.
TEST(Edges, TransformsWithoutAWindow) {
  check("stft", {wave({12})}, [](const Tensors& in) { return stft(in[0], 3, 4, 6, "", false).first; },
        {float32, Shape{2, 4}, {0.17616159, -0.27609402, 0.12359912, 0.12882823, 0.06332111, -2.04216337, -0.18138433, -0.15704060}});
  check("istft", {wave({12})}, [](const Tensors& in) { return istft(stft(in[0], 3, 4, 6, "", false), 3, 4, 6, {}, "", false); },
        {float32,
         Shape{10},
         {0.0, 1.2622064, 1.36394608, 0.21167989, -1.13520372, -1.43838644, -0.41912314, 0.98547995, 1.48403716, 0.61817777}});
}

// In a compiled step, where the size is given.
TEST(Edges, DistinctElementsOfAGivenSize) {
  Tensor x{{3.0, 1.0, 3.0}, {2.0, 1.0, 3.0}};
  for (int64_t size : {2, 3, 5})
    for (const Tensor& fill : {Tensor(), Tensor(-1)}) {
      auto all = [&](const Tensors& in) {
        Unique u = unique(in[0], true, true, true, true, {}, size, fill);
        return Tensors{u.values, u.index, u.inverse, u.counts};
      };
      Tensors want = all({x}), got = Function(all)({x});
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(got[i].shape(), want[i].shape()) << i;
        EXPECT_EQ(got[i].to_vector<double>(), want[i].to_vector<double>()) << "result " << i << ", size " << size;
      }
    }
}

// Gradients where the product is 0.
TEST(Edges, GradientsOfRunningProducts) {
  Tensor weights{1.0, -2.0, 0.5, 3.0};
  auto gradient = [&](const Tensor& x) {
    return Function([&](const Tensors& in) { return gradients(sum(multiply(cumprod(in[0]), weights)), in); })({x})[0].to_vector<float>();
  };
  EXPECT_EQ(gradient(Tensor{0.0, 1.0, 2.0, 3.0}), (std::vector<float>{18, 0, 0, 0}));
  EXPECT_EQ(gradient(Tensor{1.0, 2.0, 0.0, 3.0}), (std::vector<float>{-3, -2, 19, 0}));
  EXPECT_EQ(gradient(Tensor{2.0, 0.0, 0.0, 3.0}), (std::vector<float>{1, -4, 0, 0}));
}

TEST(Edges, FactorsOfMatricesThatAreNotSquare) {
  auto factors = [](const Tensors& in) { return lu_factor(in[0]).first; };
  auto gradient = [](const Tensors& in) {
    Tensor weights = wave(in[0].shape(), 1.0, std::acos(-1.0) / 2);
    return gradients(sum(multiply(lu_factor(in[0]).first, weights)), in)[0];
  };
  Tensor wide = wave({2, 3}, 1.3, 0.4), tall = wave({3, 2}, 1.3, 0.4);
  check("wide", {wide}, factors, {float32, Shape{2, 3}, {-0.91616583, -0.63126671, 0.57843983, -0.42505223, 0.72334349, 0.38698715}});
  check("tall", {tall}, factors, {float32, Shape{3, 2}, {-0.63126671, 0.57843983, -0.61688399, 1.34849513, -0.22355051, -0.58350623}});
  EXPECT_EQ(lu_factor(tall).second.to_vector<int>(), (std::vector<int>{2, 2}));
  Function of_wide([&](const Tensors& in) { return Tensors{gradient(in)}; });
  same_numbers(of_wide({wide})[0], {float32, Shape{2, 3}, {1.71005869, -0.65364361, 0.2836622, 1.72686422, 0.26246962, -0.29557559}},
               "wide", 1e-5);
  Function of_tall([&](const Tensors& in) { return Tensors{gradient(in)}; });
  same_numbers(of_tall({tall})[0], {float32, Shape{3, 2}, {-0.13544935, -0.86724925, 1.22819901, 0.21035463, 1.19100797, 0.05233502}},
               "tall", 1e-5);
}

// What Keras says of shapes that it doesn't know or doesn't look at.
TEST(Edges, SymbolicCalls) {
  EXPECT_EQ(tensordot(symbol({None, 3, 4}), symbol({3, 4}), 1).shape(), (Shape{None, 3, 4}));
  EXPECT_EQ(vdot(symbol({3}), symbol({4})).shape(), Shape{});
  EXPECT_EQ(corrcoef(symbol({3, None})).shape(), (Shape{3, None}));
  EXPECT_EQ(cross(symbol({4, None}), symbol({4, None})).shape(), Shape{4});
  EXPECT_EQ(polar(symbol({1, 2}), symbol({3, 4})).first.shape(), (Shape{1, 2}));
  EXPECT_EQ(lu_factor(symbol({None, 4, 3})).second.dtype(), float32);
  EXPECT_EQ(scatter(symbol({2, None}, int32), symbol({None}), {4}).shape(), Shape{4});
  EXPECT_EQ(conv(symbol({2, 6, 6, 4}), symbol({None, 1, 4, 3}), 1, "same").shape(), (Shape{2, 6, 6, 3}));
  EXPECT_EQ(slogdet(symbol({2, 3, None})).second.shape(), Shape{2});
  EXPECT_THROW(fft({symbol({2, None}), symbol({2, None})}), ValueError);
  EXPECT_THROW(fft2({symbol({None, 4}), symbol({None, 4})}), ValueError);
  EXPECT_THROW(qr(symbol({None, 3})), ValueError);
  EXPECT_THROW(fold(symbol({2, 13, 20}), {5, 6}, 2), ValueError);
}

}  // namespace keras::ops_test
