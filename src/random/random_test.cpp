// What lives here: tests of seeds, seed generators and draws against values recorded from Keras 3.15 on JAX.
#include <gtest/gtest.h>

#include <cmath>

#include <keras/core/function.h>
#include <keras/random.h>

#include "core/impl.h"
#include "random/mersenne_twister.h"

namespace keras {
namespace {

using Floats = std::vector<double>;

void expect_values(const Tensor& got, const Floats& want, double tolerance = 0) {
  Floats g = got.to_vector<double>();
  ASSERT_EQ(g.size(), want.size());
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], tolerance) << "element " << i;
}

TEST(Seeds, SetRandomSeedGivesKerasDefaultSeeds) {
  utils::set_random_seed(42);
  EXPECT_EQ(random::default_seed(), 686579304);
  EXPECT_EQ(random::default_seed(), 119540832);
  EXPECT_EQ(random::default_seed(), 26855093);
  EXPECT_EQ(random::numpy_random().permutation(10), (std::vector<int64_t>{8, 1, 5, 0, 7, 2, 9, 4, 3, 6}));
  EXPECT_EQ(utils::get_random_seed(), 42);
  EXPECT_THROW(utils::set_random_seed(-1), ValueError);
}

TEST(Seeds, GlobalGeneratorAfterSetRandomSeed) {
  for (int round = 0; round < 2; ++round) {
    utils::set_random_seed(42);
    expect_values(random::uniform({3}), {0.07332587242126465, 0.5588781833648682, 0.2568659782409668});
    expect_values(random::uniform({3}), {0.610033392906189, 0.5355081558227539, 0.674270749092102});
    expect_values(random::normal({3}), {-1.4429229497909546, -0.9036387801170349, 0.37487736344337463}, 5e-7);
  }
}

TEST(Seeds, StateResumesExactly) {
  utils::set_random_seed(7);
  random::uniform({2});
  random::State state = random::get_state();
  auto draw = [] {
    Floats v = random::uniform({3}).to_vector<double>();
    v.push_back(static_cast<double>(random::default_seed()));
    v.push_back(static_cast<double>(random::numpy_random().interval(1000)));
    return v;
  };
  Floats first = draw();
  EXPECT_NE(draw(), first);
  random::set_state(state);
  EXPECT_EQ(draw(), first);
}

TEST(SeedGenerator, CountsAndShares) {
  random::SeedGenerator g(7), same = g;
  expect_values(random::uniform({2}, {.seed = g}), {0.3307110071182251, 0.2777543067932129});
  expect_values(random::uniform({2}, {.seed = same}), {0.8677558898925781, 0.025617361068725586});
  expect_values(g.state(), {7, 2});
  EXPECT_EQ(g.state().name(), "seed_generator_state");
  EXPECT_EQ(g.state().path(), g.name() + "/seed_generator_state");
  EXPECT_FALSE(g.state().trainable());
  EXPECT_EQ(g.get_config().at("seed"), Value(7));
  EXPECT_EQ(random::SeedGenerator::from_config(g.get_config()).get_config(), g.get_config());
  EXPECT_THROW(random::SeedGenerator(-1), ValueError);
  EXPECT_THROW(random::SeedGenerator(int64_t{1} << 32), ValueError);
  EXPECT_FALSE(random::SeedGenerator(nullptr));
  EXPECT_THROW(random::SeedGenerator(nullptr).next(), RuntimeError);
}

TEST(SeedGenerator, DrawsItsSeedWhenMade) {
  utils::set_random_seed(42);
  random::SeedGenerator a, b;
  expect_values(a.state(), {686579304, 0});
  expect_values(b.state(), {119540832, 0});
  EXPECT_TRUE(a.get_config().at("seed").is_null());
}

TEST(SeedGenerator, MovesInCompiledSteps) {
  random::SeedGenerator g(7);
  Function f([&](const Tensors&) { return Tensors{random::uniform({2}, {.seed = g}), random::uniform({2}, {.seed = g})}; });
  Tensors first = f({});
  expect_values(first[0], {0.3307110071182251, 0.2777543067932129});
  expect_values(first[1], {0.8677558898925781, 0.025617361068725586});
  expect_values(g.state(), {7, 2});
  Tensors second = f({});
  expect_values(g.state(), {7, 4});
  EXPECT_NE(second[0].to_vector<float>(), first[0].to_vector<float>());
}

TEST(Draws, MatchKeras) {
  expect_values(random::uniform({4}, {.seed = 1337}), {0.7493680715560913, 0.5981882810592651, 0.3089413642883301, 0.7591080665588379}, 1e-8);
  expect_values(random::normal({3}, {.seed = 1337}), {0.67250258, 0.24866055, -0.49885330}, 5e-7);
  expect_values(random::normal({3}, {.mean = 2, .stddev = 3, .seed = 1337}), {4.017507553100586, 2.7459816932678223, 0.5034401416778564}, 2e-6);
  expect_values(random::truncated_normal({4}, {.seed = 1337}), {0.6372585296630859, 0.23712655901908875, -0.47432366013526917, 0.6660755276679993}, 5e-7);
  expect_values(random::randint({6}, -3, 100, {.seed = 1}), {5, 20, 16, 26, 32, 21});
  expect_values(random::randint({6}, 0, 200, {.dtype = uint8, .seed = 1}), {104, 115, 183, 151, 44, 84});
  expect_values(random::uniform({4}, {.dtype = float16, .seed = 1337}), {0.58984375, 0.87109375, 0.7880859375, 0.9072265625});
  expect_values(random::normal({4}, {.dtype = bfloat16, .seed = 1337}), {-2.890625, -2.328125, 1.015625, -0.439453125}, 1e-2);
  expect_values(random::uniform({2}, {.seed = 2147483648}), {0.5020995, 0.17779088}, 1e-7);
}

TEST(Draws, CategoricalShuffleDropout) {
  Tensor logits = {{std::log(0.1f), std::log(0.2f), std::log(0.7f)}, {std::log(0.5f), std::log(0.4f), std::log(0.1f)}};
  expect_values(random::categorical(logits, 5, {.seed = 1337}), {2, 2, 2, 2, 2, 0, 0, 1, 1, 2});
  expect_values(random::shuffle(Tensor({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), 0, 1337), {2, 7, 3, 0, 4, 9, 8, 5, 6, 1});
  expect_values(random::shuffle(Tensor({{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}}), 1, 1337), {2, 3, 0, 1, 7, 4, 5, 6, 11, 10, 9, 8});
  Tensor ones = Tensor::full({3, 4}, 1);
  double k = 1.4285714626312256;
  expect_values(random::dropout(ones, 0.3, {.seed = 1337}), {0, k, k, 0, k, k, k, k, k, k, 0, k}, 2e-7);
  expect_values(random::dropout(ones, 0.3, {.noise_shape = Shape{3, 1}, .seed = 1337}), {0, 0, 0, 0, k, k, k, k, k, k, k, k}, 2e-7);
  expect_values(random::dropout(ones, 0.3, {.noise_shape = Shape{None, 1}, .seed = 1337}), {0, 0, 0, 0, k, k, k, k, k, k, k, k}, 2e-7);
  expect_values(random::dropout(ones, 1.0, {.seed = 1337}), Floats(12, 0.0));
  expect_values(random::dropout(ones, 0.0), Floats(12, 1.0));
}

TEST(Draws, ByRejection) {
  expect_values(random::gamma({4}, 2.0, {.seed = 1337}), {3.664992094039917, 0.4324534833431244, 1.3432856798171997, 2.31670880317688}, 4e-6);
  expect_values(random::gamma({2, 2}, Tensor({0.5, 3.0}), {.seed = 1337}), {2.6060447692871094, 0.9693071246147156, 2.9540949981310405e-05, 3.469846248626709}, 4e-6);
  expect_values(random::beta({4}, 2.0, 0.5, {.seed = 1337}), {0.5220731496810913, 0.9867134094238281, 0.9484052062034607, 0.9829482436180115}, 2e-6);
  expect_values(random::binomial({4}, 20.0, 0.3, {.seed = 1337}), {8, 5, 7, 9});
  expect_values(random::binomial({2, 3}, Tensor({1e3, 20.0, 5.0}), Tensor({0.5, 0.1, 0.9}), {.seed = 1337}), {533, 3, 5, 508, 3, 5});
  EXPECT_EQ(random::gamma({2}, 1.5, {.dtype = float16, .seed = 1}).dtype(), float16);
}

TEST(Draws, DropoutHasTheGradientOfItsMask) {
  Variable x(Tensor::full({3, 4}, 2));
  GradientTape tape;
  Tensor y = random::dropout(x, 0.3, {.seed = 1337});
  Tensor g = tape.gradient(y, std::vector<Variable>{x})[0];
  double k = 1.4285714626312256;
  expect_values(g, {0, k, k, 0, k, k, k, k, k, k, 0, k}, 2e-7);
}

TEST(Draws, ShapesMayBeUnknownWhileAModelIsBuilt) {
  random::SeedGenerator g(1);
  std::vector<ir::Type> types = core::infer({{DType::Float16, {None, 3, None}}}, [&](const Tensors& in) {
    return Tensors{random::dropout(in[0], 0.5, {.seed = g}), random::dropout(in[0], 0.5, {.noise_shape = Shape{None, 1, None}, .seed = g}),
                   random::categorical(random::normal({None, 4}, {.seed = g}), 2, {.seed = g})};
  });
  EXPECT_EQ(types[0].shape, (Shape{None, 3, None}));
  EXPECT_EQ(types[0].dtype, float16);
  EXPECT_EQ(types[1].shape, (Shape{None, 3, None}));
  EXPECT_EQ(types[2].shape, (Shape{None, 2}));
  expect_values(g.state(), {1, 0});  // building draws nothing
}

TEST(Draws, RefuseWhatMakesNoSense) {
  EXPECT_THROW(random::uniform({2}, {.dtype = int32}), ValueError);
  EXPECT_THROW(random::randint({2}, 0, 5, {.dtype = float32}), ValueError);
  EXPECT_THROW(random::categorical(Tensor({1.0, 2.0}), 3), ValueError);
  EXPECT_THROW(random::dropout(Tensor({1.0, 2.0}), 1.5), ValueError);
  EXPECT_THROW(random::dropout(Tensor({1.0, 2.0}), 0.5, {.noise_shape = Shape{3}}), ValueError);
  EXPECT_THROW(random::gamma({2}, Tensor({1.0, 2.0, 3.0})), ValueError);
  EXPECT_THROW(random::Seed(Value("seven")), ValueError);
  EXPECT_THROW(random::shuffle(Tensor({1, 2}), 1), ValueError);
}

}  // namespace
}  // namespace keras
