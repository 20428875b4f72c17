// What lives here: the layer that CONTRIBUTING.md adds in five steps, built and checked; its text there is the text here, word by word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <keras/layers/layer.h>
#include <keras/ops.h>

#include "io/file.h"
#include "layers/layer_impl.h"
#include "support/check_layer.h"

// ---- 1. include/keras/layers/core/gain.h
namespace keras::layers {

struct GainOptions {
  Initializer initializer = "ones";
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(initializer)
};

/// Multiplies each feature by a number that is learned: (…, d) → (…, d), d parameters.
class Gain : public Layer {
 public:
  explicit Gain(const GainOptions& options = {});
  KERAS_EMPTY_BRACES(Gain)  // Gain({}) too
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers

// ---- 2. src/layers/core/gain.cpp
namespace keras::layers {

namespace {
struct GainImpl : LayerImpl {
  GainOptions o;
  Variable gain;
  explicit GainImpl(const GainOptions& options) : o(options) {
    init_common("Gain", o);
    supports_masking_ = true;
  }
  void build(const std::vector<Shape>& inputs) override {
    gain = add_weight({.name = "gain", .shape = Shape{inputs.at(0).back()}, .initializer = o.initializer});
  }
  Tensors call(const Call& c) override { return {ops::multiply(c.input(), ops::cast(gain, compute_dtype_))}; }
  Dict own_config() const override { return serial::to_config(o); }
};
}  // namespace

Gain::Gain(const GainOptions& options) : Layer(make_impl<GainImpl>(options)) {}
Layer Gain::from_config(const Dict& config) { return Gain(options_from<GainOptions>(config, "Gain")); }

}  // namespace keras::layers

// ---- 4. src/layers/core/gain_test.cpp
namespace keras::layers {
namespace {

using keras::testing::check_layer;

TEST(GainTest, Everything) {
  check_layer([] { return Gain(); }, {.input_shapes = {{2, 3, 4}}, .output_shapes = {{2, 3, 4}}, .count_params = 4, .supports_masking = true});
  EXPECT_EQ(Gain({.initializer = initializers::Constant(3)})(Tensor{{1.0, 2.0}}).to_vector<float>(), (std::vector<float>{3, 6}));
}

}  // namespace
}  // namespace keras::layers

// ---- that both texts are one
namespace keras {
namespace {

const bool registered = [] {
  layers::register_layer("Gain", layers::Gain::from_config);
  return true;
}();

TEST(FiveSteps, AreTheTextOfContributing) {
  std::string here = io::read_text_file(KERAS_SOURCE_DIR "/tests/integration/five_steps_test.cpp"), there = io::read_text_file(KERAS_SOURCE_DIR "/CONTRIBUTING.md");
  size_t at = there.find("## Adding a layer in five steps");
  ASSERT_NE(at, std::string::npos);
  int fences = 0;
  for (size_t open; (open = there.find("```cpp\n", at)) != std::string::npos; ++fences) {
    open += 7;
    size_t close = there.find("```", open);
    std::string code = there.substr(open, close - open);
    // Headers of the imagined files stand at the top of this one.
    while (code.rfind("#", 0) == 0 || code.rfind("//", 0) == 0 || code[0] == '\n') code.erase(0, code.find('\n') + 1);
    EXPECT_THAT(here, ::testing::HasSubstr(code));
    at = close + 3;
  }
  EXPECT_EQ(fences, 3);
}

}  // namespace
}  // namespace keras
