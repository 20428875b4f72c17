// What lives here: tests of the image layers: what they draw and compute in training against Keras, compiled as at once, saved as Keras saves.
#include <gtest/gtest.h>

#include <keras/core/function.h>
#include <keras/layers/preprocessing/image_mixing.h>
#include <keras/layers/preprocessing/max_num_bounding_boxes.h>
#include <keras/layers/preprocessing/random_color.h>
#include <keras/layers/preprocessing/random_geometry.h>
#include <keras/layers/preprocessing/resizing.h>
#include <keras/random.h>

#include <cmath>

#include "core/impl.h"
#include "io/json.h"
#include "layers/layer_impl.h"
#include "support/check_layer.h"

namespace keras::layers {
namespace {

struct Recorded {
  const char* name;
  Layer (*make)();
  int kind;
  const char* config;
  std::vector<float> first, second;
};
const std::vector<Recorded>& recorded() {
  static const std::vector<Recorded> rows = {
#include "layers/preprocessing/image_layers_test.inc"
  };
  return rows;
}

Tensor images(int kind) {
  static const Shape shapes[] = {{3, 6, 5, 3}, {3, 3, 6, 5}, {2, 24, 20, 3}};
  std::vector<float> v;
  for (int64_t i = 0; i < shapes[kind].numel(); ++i) v.push_back(static_cast<float>(i * 7919 % 256));
  return Tensor::from<float>(v, shapes[kind]);
}
std::vector<float> sampled(const Tensor& t, int kind) {
  std::vector<float> all = t.to_vector<float>(), out;
  for (size_t i = 0; i < all.size(); i += kind == 2 ? 61 : 7) out.push_back(all[i]);
  return out;
}
void expect_close(const std::vector<float>& got, const std::vector<float>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::fabs(got[i] - want[i]) <= tolerance + 1e-5 * std::fabs(want[i])) && ++wrong < 4)
      ADD_FAILURE() << "at " << i << ": " << got[i] << " instead of " << want[i];
  EXPECT_EQ(wrong, 0u) << "of " << got.size();
}

class ImageLayers : public ::testing::TestWithParam<size_t> {};

TEST_P(ImageLayers, AsRecorded) {
  const Recorded& r = recorded()[GetParam()];
  SCOPED_TRACE(r.name);
  utils::set_random_seed(77);
  Layer layer = r.make();
  Tensor x = images(r.kind);
  expect_close(sampled(layer(x, {.training = true}), r.kind), r.first, 2e-3);
  expect_close(sampled(layer(x, {.training = true}), r.kind), r.second, 2e-3);

  // The configuration, and the layer made from it.
  Dict config = layer.config(), want = io::parse_json(r.config, "recorded").as_dict();
  want.set("name", layer.name());
  EXPECT_EQ(io::to_json(config, 1), io::to_json(want, 1));
  bool saved_shear = layer.class_name() == "RandomShear";
  Layer again = deserialize(serialize(layer));
  EXPECT_EQ(io::to_json(again.config(), 1), io::to_json(want, 1)) << saved_shear;
  utils::set_random_seed(77);
  if (layer.class_name() != "RandomGrayscale")  // Keras does not save its seed
    expect_close(sampled(again(x, {.training = true}), r.kind), r.first, 2e-3);

  // Compiled, with the state moving on from call to call. AugMix picks its layers when it is traced.
  utils::set_random_seed(77);
  Layer compiled = r.make();
  Function step([&](const Tensors& in) { return Tensors{compiled(in[0], {.training = true})}; });
  expect_close(sampled(step({x})[0], r.kind), r.first, 2e-3);
  if (layer.class_name() != "AugMix") expect_close(sampled(step({x})[0], r.kind), r.second, 2e-3);

  // Shapes by rules alone, also of an unknown batch and of one image.
  Tensor y = layer(x, {.training = true});
  Shape unknown = x.shape();
  unknown[0] = None;
  Shape expected = y.shape();
  expected[0] = None;
  EXPECT_EQ(layer.compute_output_shape(unknown), expected);
  Tensor one = x.row(0);
  EXPECT_EQ(layer.compute_output_shape(one.shape()), y.row(0).shape());
  if (layer.class_name() != "CutMix") { EXPECT_EQ(Tensor(layer(one, {.training = true})).shape(), y.row(0).shape()); }
  // Inference draws nothing that would change the images, but for the layers that always act.
  if (y.shape() == x.shape() && layer.class_name() != "AutoContrast" && layer.class_name().find("Adaptive") == std::string::npos) {
    EXPECT_EQ(Tensor(layer(x, {.training = false})).to_vector<float>(), x.to_vector<float>());
  }
  EXPECT_NE(layer.explain(x.shape()).find("height"), std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(All, ImageLayers, ::testing::Range<size_t>(0, recorded().size()));

TEST(ImageLayersTest, TrainingIsTheDefault) {
  Tensor x = images(0);
  RandomBrightness layer({0.4, 0.4});
  EXPECT_NE(Tensor(layer(x)).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(Tensor(layer(x, {.training = false})).to_vector<float>(), x.to_vector<float>());
}
TEST(ImageLayersTest, WholeNumbers) {
  Tensor x = images(0).astype(DType::UInt8);
  EXPECT_EQ(Tensor(Resizing(3, 4)(x)).dtype(), DType::UInt8);
  EXPECT_EQ(Tensor(RandomFlip("vertical", {.seed = 1})(x)).dtype(), DType::Float32);
  EXPECT_EQ(Tensor(CenterCrop(3, 4)(x)).dtype(), DType::Float32);
}
TEST(ImageLayersTest, LabelsGoAlong) {
  Tensor x = images(0), labels{{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}};
  for (const Layer& layer : {Layer(MixUp(0.4, {.seed = 26})), Layer(CutMix(1.0, {.seed = 27}))}) {
    Output out = layer(x, labels, {.training = true});
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ(out[1].shape(), labels.shape());
    std::vector<float> y = out[1].to_vector<float>();
    for (size_t row = 0; row < 3; ++row) EXPECT_NEAR(y[row * 3] + y[row * 3 + 1] + y[row * 3 + 2], 1.0, 1e-6);
  }
}
TEST(ImageLayersTest, NumberOfBoxes) {
  MaxNumBoundingBoxes layer(3, {.bounding_box_format = "xyxy"});
  Tensor boxes = Tensor::full({3, 2, 4}, 5), labels = Tensor::full({3, 2}, 1);
  Output out = layer(images(0), boxes, labels);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].shape(), (Shape{3, 3, 4}));
  EXPECT_EQ(out[2].row(0).to_vector<float>(), (std::vector<float>{1, 1, -1}));
  EXPECT_EQ(MaxNumBoundingBoxes(1)(images(0), boxes, labels)[1].shape(), (Shape{3, 1, 4}));
  Layer again = deserialize(serialize(layer));
  EXPECT_EQ(io::to_json(again.config(), 1), io::to_json(layer.config(), 1));
  EXPECT_EQ(layer.config().at("max_number").as_int(), 3);
}
TEST(ImageLayersTest, Mistakes) {
  EXPECT_THROW(RandomFlip("diagonal"), ValueError);
  EXPECT_THROW(RandomRotation(1.5), ValueError);
  EXPECT_THROW(RandomRotation(0.5, {.fill_mode = "mirror"}), ValueError);
  EXPECT_THROW(RandomTranslation({0.1, 1.5}, 0.1), ValueError);
  EXPECT_THROW(RandomZoom(-1.0), ValueError);
  EXPECT_THROW(RandomShear(-0.1, 0), ValueError);
  EXPECT_THROW(RandomContrast(2), ValueError);
  EXPECT_THROW(RandomContrast(0.5, {.value_range = 3}), ValueError);
  EXPECT_THROW(RandomGaussianBlur(1.0, {.kernel_size = 2}), ValueError);
  EXPECT_THROW(RandomErasing(1.0, {.fill_value = "x"}), ValueError);
  EXPECT_THROW(Resizing(0, 3), ValueError);
  EXPECT_THROW(Resizing(3, 3, {.interpolation = "cubic"}), ValueError);
  EXPECT_THROW(Resizing(3, 3, {.data_format = "last"}), ValueError);
  EXPECT_THROW(Resizing(3, 3)(Tensor{1.0, 2.0}), ValueError);
}
TEST(ImageLayersTest, Gradients) {
  testing::check_layer([] { return Resizing(3, 4); },
                       {.input_shapes = {{2, 5, 6, 2}}, .output_shapes = {{2, 3, 4, 2}}, .count_params = 0, .supports_masking = false});
  testing::check_layer([] { return Resizing(3, 4, {.interpolation = "lanczos3", .antialias = true}); },
                       {.input_shapes = {{2, 5, 6, 2}}, .output_shapes = {{2, 3, 4, 2}}});
  testing::check_layer([] { return CenterCrop(3, 4); },
                       {.input_shapes = {{2, 5, 6, 2}}, .output_shapes = {{2, 3, 4, 2}}, .count_params = 0});
}

}  // namespace
}  // namespace keras::layers
