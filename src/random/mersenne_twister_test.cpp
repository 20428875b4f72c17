// What lives here: tests of Python's and NumPy's generators against numbers that CPython and NumPy drew.
#include "random/mersenne_twister.h"

#include <gtest/gtest.h>

namespace keras::random {
namespace {

using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;

struct NumpyRun {
  int64_t seed;
  Ints permutation;
  Doubles sample, gauss;
  Ints wide;
  Doubles uniform, normal;
  Ints choice, choice_once, words, full;
  Ints shuffled;
};

// One call after the other after np.random.seed(seed).
const NumpyRun kNumpyRuns[] = {
    {0, {2, 8, 4, 9, 1, 6, 7, 3, 0, 5}, {0.4375872112626925, 0.8917730007820798},
     {-0.10321885179355784, 0.41059850193837233, 0.144043571160878}, {379644119884, 712260534804, 332161587267},
     {-1.5643535014922965, -1.8989080127983713}, {3.90854701392595, 1.9686243082413295}, {0, 2, 3, 0, 1}, {0, 1, 2, 4, 6},
     {2748439840, 2499755969, 615697673}, {689414380451123839, 4770616165856172575}, {0, 1, 5, 3, 4, 2}},
    {42, {8, 1, 5, 0, 7, 2, 9, 4, 3, 6}, {0.15599452033620265, 0.05808361216819946},
     {0.2790412922001377, 1.0105152848065264, -0.580878134023515}, {88551408795, 874505391412, 90224662775},
     {0.1597250932105787, -0.5438542990097903}, {-0.050339614356295526, -1.0256622406688476}, {3, 3, 6, 5, 5}, {0, 1, 4, 3, 2},
     {2544401215, 2004731384, 199502978}, {6639728501140754226, 3326087021954824212}, {2, 4, 5, 3, 1, 0}},
    {123, {4, 0, 7, 5, 8, 3, 1, 6, 9, 2}, {0.41092437270901894, 0.5796942970226101},
     {-0.2864514709599152, -1.041968961197559, -1.4796451457528315}, {335263763704, 706084223579, 896522863679},
     {1.158960088435252, 0.20128589032038136}, {3.1425641387507075, 1.4726937609880877}, {0, 5, 0, 1, 3}, {0, 3, 1, 2, 5},
     {1553870454, 1605464926, 980383131}, {-4897373076893673503, 9001924127078459048}, {4, 5, 0, 1, 2, 3}},
    {4294967295, {6, 9, 5, 1, 8, 0, 7, 4, 2, 3}, {0.5043860941616843, 0.6954989667692568},
     {-0.8751756260760788, 0.5298336495168448, 1.0541589291758977}, {710062034116, 589191204436, 192988057951},
     {-0.08365300953835009, 0.44943577380289224}, {2.005507448720241, 0.4399397114978274}, {1, 3, 4, 3, 1}, {0, 2, 4, 5, 6},
     {838216449, 2579325800, 2116043223}, {214642623894320596, 6987775928764300205}, {3, 5, 4, 0, 1, 2}},
};

TEST(NumpyRandomState, DrawsWhatNumpyDraws) {
  for (const auto& run : kNumpyRuns) {
    SCOPED_TRACE(run.seed);
    NumpyRandomState r(run.seed);
    EXPECT_EQ(r.permutation(10), run.permutation);
    EXPECT_EQ(r.random_sample(2), run.sample);
    const auto gauss = r.standard_normal(3);
    for (size_t i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(gauss[i], run.gauss[i]);
    EXPECT_EQ(r.randint(-5, 1000000000000, 3), run.wide);
    const auto uniform = r.uniform(-2, 3, 2);
    for (size_t i = 0; i < 2; ++i) EXPECT_DOUBLE_EQ(uniform[i], run.uniform[i]);
    const auto normal = r.normal(1, 2, 2);
    for (size_t i = 0; i < 2; ++i) EXPECT_DOUBLE_EQ(normal[i], run.normal[i]);
    EXPECT_EQ(r.choice(7, 5), run.choice);
    EXPECT_EQ(r.choice(7, 5, false), run.choice_once);
    EXPECT_EQ(r.randint(0, int64_t{1} << 32, 3), run.words);
    EXPECT_EQ(r.randint(INT64_MIN, INT64_MAX, 2), run.full);
    Ints items{0, 1, 2, 3, 4, 5};
    r.shuffle(items);
    EXPECT_EQ(items, run.shuffled);
  }
}

TEST(NumpyRandomState, RandintOfTheSeedPage) {
  NumpyRandomState r(123);
  EXPECT_EQ(r.randint(1, 10, 2 * 2 * 3), (Ints{3, 3, 7, 2, 4, 7, 2, 1, 2, 1, 1, 4}));
  EXPECT_EQ(r.randint(1, 5, 3 * 4), (Ints{3, 2, 1, 1, 1, 1, 2, 4, 4, 3, 1, 4}));
}

TEST(NumpyRandomState, SeedsByListAndRefillsItsState) {
  NumpyRandomState r;
  r.seed(std::vector<uint32_t>{1, 2, 3});
  EXPECT_EQ(r.randint(0, 1000, 4), (Ints{606, 153, 963, 93}));
  r.seed(42);
  for (int i = 0; i < 2000; ++i) r.randint(0, 5);
  EXPECT_EQ(r.random_sample(), 0.6070940360887808);
}

TEST(NumpyRandomState, ContinuesFromASavedState) {
  NumpyRandomState r(7);
  r.standard_normal();  // leaves one number kept
  const auto words = r.state();
  NumpyRandomState other(1);
  other.set_state(words);
  EXPECT_EQ(r, other);
  EXPECT_EQ(r.standard_normal(5), other.standard_normal(5));
  EXPECT_EQ(r.permutation(50), other.permutation(50));
  EXPECT_THROW(other.set_state({1, 2, 3}), ValueError);
}

TEST(NumpyRandomState, RefusesBadRanges) {
  NumpyRandomState r;
  EXPECT_THROW(r.seed(-1), ValueError);
  EXPECT_THROW(r.seed(int64_t{1} << 32), ValueError);
  EXPECT_THROW(r.seed(std::vector<uint32_t>{}), ValueError);
  EXPECT_THROW(r.randint(5, 5), ValueError);
  EXPECT_THROW(r.choice(0, 1), ValueError);
  EXPECT_THROW(r.choice(3, 4, false), ValueError);
  EXPECT_THROW(r.permutation(-1), ValueError);
  EXPECT_TRUE(r.permutation(0).empty());
  EXPECT_EQ(r.interval(0), 0u);
}

struct PythonRun {
  int64_t seed;
  uint64_t word0, word1;
  double random;
  int64_t randint;
  uint64_t bits50, bits7;
  double uniform;
  Ints shuffled;
  int64_t default_seed, wide;
};

const PythonRun kPythonRuns[] = {
    {0, 3626764237, 1654615998, 0.7579544029403025, 3, 291512489160500, 123, 1.045098885474434,
     {1, 0, 4, 5, 3, 2, 7, 6}, 541903390, 587304630495965466},
    {42, 2746317213, 478163327, 0.025010755222666936, -2, 251312473193360, 17, 1.9458848566560496,
     {7, 2, 5, 6, 0, 3, 4, 1}, 249817735, 3127088741924030710},
    {-42, 2746317213, 478163327, 0.025010755222666936, -2, 251312473193360, 17, 1.9458848566560496,
     {7, 2, 5, 6, 0, 3, 4, 1}, 249817735, 3127088741924030710},
    {1099511627783, 2635837658, 3209733218, 0.8149162973309487, 10, 794429665648628, 60, 0.003377823475994912,
     {0, 5, 1, 7, 6, 3, 4, 2}, 482566400, -453542858321697367},
    {123456789012345678, 1860431118, 3007192613, 0.5097220614261003, -4, 1082361331512211, 16, 2.2208661641671945,
     {0, 4, 1, 3, 7, 6, 5, 2}, 756324571, 1819859478442054039},
};

TEST(PythonRandom, DrawsWhatPythonDraws) {
  for (const auto& run : kPythonRuns) {
    SCOPED_TRACE(run.seed);
    PythonRandom r(run.seed);
    EXPECT_EQ(r.getrandbits(32), run.word0);
    EXPECT_EQ(r.next_u32(), run.word1);
    EXPECT_EQ(r.random(), run.random);
    EXPECT_EQ(r.randint(-10, 10), run.randint);
    EXPECT_EQ(r.getrandbits(50), run.bits50);
    EXPECT_EQ(r.getrandbits(7), run.bits7);
    EXPECT_EQ(r.uniform(-1, 3), run.uniform);
    Ints items{0, 1, 2, 3, 4, 5, 6, 7};
    r.shuffle(items);
    EXPECT_EQ(items, run.shuffled);
    EXPECT_EQ(r.randint(1, 1000000000), run.default_seed);
    EXPECT_EQ(r.randint(-(int64_t{1} << 62), int64_t{1} << 62), run.wide);
  }
}

TEST(PythonRandom, DefaultSeedsOfKeras) {
  PythonRandom r(42);
  for (uint32_t seed : {686579304u, 119540832u, 26855093u, 796233791u, 295310486u, 262950629u}) EXPECT_EQ(r.default_seed(), seed);
}

TEST(PythonRandom, ContinuesFromASavedState) {
  PythonRandom r(3);
  for (int i = 0; i < 1000; ++i) r.next_u32();
  PythonRandom other;
  other.set_state(r.state());
  EXPECT_EQ(r, other);
  EXPECT_EQ(r.random(), other.random());
  EXPECT_THROW(other.set_state({}), ValueError);
  EXPECT_THROW(r.randint(2, 1), ValueError);
  EXPECT_THROW(r.getrandbits(65), ValueError);
}

}  // namespace
}  // namespace keras::random
