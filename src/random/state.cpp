// What lives here: the library's own random state: the generators that stand for Python's and NumPy's, the global seed generator.
#include <mutex>
#include <random>

#include <keras/random.h>

#include "core/impl.h"
#include "prims/build.h"
#include "random/mersenne_twister.h"

namespace keras {

namespace random {
namespace {

struct Globals {
  std::mutex mutex;
  PythonRandom python;
  NumpyRandomState numpy;
  SeedGenerator generator{nullptr};
  std::optional<int64_t> seed;
  // Without a set_random_seed every process is different, as Python's are.
  Globals() {
    std::random_device entropy;
    python.seed(static_cast<int64_t>(entropy()) << 31 ^ static_cast<int64_t>(entropy()));
    numpy.seed(static_cast<int64_t>(entropy()));
  }
};
Globals& globals() {
  static Globals g;
  return g;
}

}  // namespace

int64_t default_seed() {
  Globals& g = globals();
  std::lock_guard lock(g.mutex);
  return g.python.default_seed();
}
NumpyRandomState& numpy_random() { return globals().numpy; }
PythonRandom& python_random() { return globals().python; }

SeedGenerator global_seed_generator() {
  Globals& g = globals();
  {
    std::lock_guard lock(g.mutex);
    if (g.generator) return g.generator;
  }
  SeedGenerator fresh;  // draws a default seed, which takes the lock
  std::lock_guard lock(g.mutex);
  if (!g.generator) g.generator = fresh;
  return g.generator;
}

static Tensor words(const std::array<uint32_t, 2>& w) { return Tensor::from<uint32_t>(std::span<const uint32_t>(w), Shape{2}); }

State get_state() {
  core::EagerScope eager;
  Globals& g = globals();
  std::lock_guard lock(g.mutex);
  State s;
  s.python = g.python.state();
  s.numpy = g.numpy.state();
  s.random_seed = g.seed;
  if (g.generator) {
    Tensor value = g.generator.state().value();
    s.global_seed_generator = {value.data<uint32_t>()[0], value.data<uint32_t>()[1]};
  }
  return s;
}
void set_state(const State& s) {
  core::EagerScope eager;
  Globals& g = globals();
  std::lock_guard lock(g.mutex);
  g.python.set_state(s.python);
  g.numpy.set_state(s.numpy);
  g.seed = s.random_seed;
  if (!s.global_seed_generator) {
    g.generator = SeedGenerator(nullptr);
    return;
  }
  if (!g.generator) g.generator = SeedGenerator((*s.global_seed_generator)[0]);
  g.generator.state().assign(words(*s.global_seed_generator));
}

// ---- seed generators
struct SeedGenerator::Impl {
  std::optional<int64_t> given;
  std::string name;
  Variable state;
};

static uint32_t seed_word(int64_t seed) {
  if (seed < 0 || seed > 0xffffffffLL)
    throw ValueError(ErrorText{.what = "a seed is out of range", .expected = "a whole number from 0 to 4294967295", .received = std::to_string(seed)}.str());
  return static_cast<uint32_t>(seed);
}

SeedGenerator::SeedGenerator(std::optional<int64_t> seed, std::string name) : impl_(std::make_shared<Impl>()) {
  impl_->given = seed;
  impl_->name = name.empty() ? core::unique_name("seed_generator") : std::move(name);
  uint32_t first = seed_word(seed ? *seed : default_seed());
  impl_->state = Variable(words({first, 0}), {.name = "seed_generator_state", .trainable = false, .path_prefix = impl_->name});
}
const SeedGenerator::Impl& SeedGenerator::impl() const {
  if (!impl_) throw RuntimeError("an empty SeedGenerator was used: it was made from nullptr and never given a seed");
  return *impl_;
}
const Variable& SeedGenerator::state() const { return impl().state; }
const std::string& SeedGenerator::name() const { return impl().name; }

Tensor SeedGenerator::next(bool ordered) const {
  const Variable& state = impl().state;
  Tensor key = state.value();
  auto number = [](uint32_t v) { return Tensor::from<uint32_t>(std::vector<uint32_t>{v}, Shape{}); };
  if (ordered) state.assign(prims::add(key, words({0, 1})));
  else state.assign(prims::ew(ir::Ew::mod, prims::mul(prims::add(key, number(1)), number(5387)), number(933199)));
  return key;
}

Dict SeedGenerator::get_config() const { return {{"seed", Value(impl().given)}, {"name", impl().name}}; }
SeedGenerator SeedGenerator::from_config(const Dict& config) {
  const Value* seed = config.find("seed");
  const Value* name = config.find("name");
  return SeedGenerator(seed && !seed->is_null() ? std::optional<int64_t>(seed->as_int()) : std::nullopt,
                       name && !name->is_null() ? name->as_string() : std::string());
}
Value SeedGenerator::serialize() const {
  return Dict{{"module", "keras.random"}, {"class_name", "SeedGenerator"}, {"config", get_config()}, {"registered_name", Value()}};
}

Seed::Seed(SeedGenerator generator) : has_generator_(true), generator_(std::move(generator)) {}
Seed::Seed(const Value& config) {
  if (config.is_null()) return;
  if (config.is_dict() && config.get("class_name") == Value("SeedGenerator")) *this = SeedGenerator::from_config(config.get("config").as_dict());
  else if (config.is_number()) number_ = config.as_int();
  else throw ValueError(ErrorText{.what = "this can't be a seed", .expected = "null, a whole number or a saved SeedGenerator", .received = config.str()}.str());
}
Tensor Seed::key() const {
  if (const int64_t* n = number()) return words({seed_word(*n), 0});
  if (const SeedGenerator* g = generator()) return g->next();
  return global_seed_generator().next(/*ordered=*/false);
}
Value Seed::serialize() const {
  if (const int64_t* n = number()) return *n;
  if (const SeedGenerator* g = generator()) return *g ? g->serialize() : Value();
  return {};
}

}  // namespace random

namespace utils {

void set_random_seed(int64_t seed) {
  random::Globals& g = random::globals();
  std::lock_guard lock(g.mutex);
  random::NumpyRandomState numpy(seed);  // checks the range before anything changes
  g.numpy = numpy;
  g.python.seed(seed);
  g.generator = random::SeedGenerator(nullptr);
  g.seed = seed;
}
std::optional<int64_t> get_random_seed() {
  random::Globals& g = random::globals();
  std::lock_guard lock(g.mutex);
  return g.seed;
}

}  // namespace utils
}  // namespace keras
