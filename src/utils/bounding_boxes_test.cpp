// What lives here: tests of keras.utils.bounding_boxes. Numbers are those of Keras 3.15 on JAX.
#include <gtest/gtest.h>

#include <keras/ops.h>
#include <keras/utils/bounding_boxes.h>

namespace keras::utils::bounding_boxes {
namespace {

const Tensor kBoxes = {{10.0, 20.0, 50.0, 60.0}, {70.5, 80.0, 100.0, 120.0}, {-10.0, 5.0, 30.0, 500.0}};
const Tensor kOthers = {{12.0, 25.0, 40.0, 61.0}, {0.0, 0.0, 200.0, 200.0}};
const ImageSize kImage{Tensor(200.0), Tensor(300.0)};

void expect_near(const Tensor& got, const Shape& shape, const std::vector<double>& expected, double tolerance = 1e-5) {
  EXPECT_EQ(got.shape(), shape);
  std::vector<double> v = got.to_vector<double>();
  ASSERT_EQ(v.size(), expected.size());
  for (size_t i = 0; i < v.size(); ++i) EXPECT_NEAR(v[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
}

TEST(BoundingBoxesTest, FormatsThereAndBack) {
  const std::vector<std::pair<const char*, std::vector<double>>> second = {{"xyxy", {70.5, 80, 100, 120}},
                                                                           {"yxyx", {80, 70.5, 120, 100}},
                                                                           {"xywh", {70.5, 80, 29.5, 40}},
                                                                           {"center_xywh", {85.25, 100, 29.5, 40}},
                                                                           {"center_yxhw", {100, 85.25, 40, 29.5}},
                                                                           {"rel_xyxy", {0.235, 0.4, 0.3333333432674408, 0.6}},
                                                                           {"rel_yxyx", {0.4, 0.235, 0.6, 0.3333333432674408}},
                                                                           {"rel_xywh", {0.235, 0.4, 0.09833333641290665, 0.2}},
                                                                           {"REL_center_xywh", {0.2841666638851166, 0.5, 0.09833333641290665, 0.2}}};
  for (const auto& [format, expected] : second) {
    SCOPED_TRACE(format);
    Tensor there = convert_format(kBoxes, "xyxy", format, kImage);
    expect_near(there.rows(1, 2), {1, 4}, expected, 1e-6);
    expect_near(convert_format(there, format, "xyxy", kImage), {3, 4}, kBoxes.to_vector<double>(), 1e-5);
  }
  EXPECT_EQ(convert_format(kBoxes, "rel_xyxy", "rel_xywh", kImage).to_vector<float>()[2], 40.0f);
  EXPECT_THROW(convert_format(kBoxes, "xyxy", "xyzw"), ValueError);
  EXPECT_THROW(convert_format(kBoxes, "xyxy", "rel_xyxy"), ValueError);
  EXPECT_THROW(convert_format(ops::ones({2, 3}), "xyxy", "yxyx"), ValueError);
}

TEST(BoundingBoxesTest, BordersAndTransformations) {
  Boxes clipped = clip_to_image_size({kBoxes, Tensor{0, 1, 2}}, {Tensor(100.0), Tensor(90.0)});
  expect_near(clipped.boxes, {3, 4}, {10, 20, 50, 60, 70.5, 80, 90, 100, 0, 5, 30, 100});
  EXPECT_EQ(clipped.labels.to_vector<int>(), (std::vector<int>{0, 1, 2}));
  clipped = clip_to_image_size({Tensor{{-.1, .2, .5, 1.4}, {1.2, .1, 1.3, .2}}, Tensor{3, 4}}, {}, "rel_xyxy");
  expect_near(clipped.boxes, {2, 4}, {0, .2, .5, 1, 1, .1, 1, .2});
  EXPECT_EQ(clipped.labels.to_vector<int>(), (std::vector<int>{3, -1}));
  EXPECT_THROW(clip_to_image_size({kBoxes}), ValueError);
  EXPECT_THROW(clip_to_image_size({kBoxes}, kImage, "xywh"), NotImplementedError);
  expect_near(crop(kBoxes, 10, 20, 40, 30), {3, 4}, {0, 10, 30, 40, 30, 40, 30, 40, 0, 0, 10, 40});
  expect_near(pad(kBoxes, 3, 4), {3, 4}, {14, 23, 54, 63, 74.5, 83, 104, 123, -6, 8, 34, 503});
  Tensor moved = affine_transform(ops::stack({kBoxes, kBoxes + 1.0}), {.angle = {30.0, -10.0}, .translate_x = {.1, 0}, .translate_y = {0, -.2}, .scale = {1.2, .8},
                                                                      .shear_x = {5.0, 0}, .shear_y = {0, 7.0}, .height = 200, .width = 300});
  expect_near(moved, {2, 3, 4},
              {-25.081119537353516, 58.64118194580078,  46.22467041015625, 124.21040344238281, 82.42341613769531, 90.99501037597656,   142.26611328125,   150.26422119140625,
               -57.27940368652344,  55.05272674560547,  328.3953857421875, 593.4718017578125,  51.26062774658203, -24.322429656982422, 88.33122253417969, 15.935295104980469,
               90.5902099609375,    36.181983947753906, 119.38841247558594, 73.96533966064453, -25.620452880859375, -40.597347259521484, 74.65807342529297, 350.3694763183594},
              1e-4);
}

TEST(BoundingBoxesTest, Overlaps) {
  expect_near(compute_iou(kBoxes, kOthers, "xyxy"), {3, 2}, {0.601965606212616, 0.03999999910593033, 0, 0.029500000178813934, 0.03214285895228386, 0.10843373835086823});
  expect_near(compute_iou(ops::stack({kBoxes, kBoxes + 5.0}), kOthers, "xyxy"), {2, 3, 2},
              {0.601965606212616, 0.03999999910593033, 0, 0.029500000178813934, 0.03214285895228386, 0.10843373835086823, 0.5269320607185364, 0.03999999910593033, 0,
               0.029500000178813934, 0.04144144058227539, 0.12511758506298065});
  expect_near(compute_iou(kBoxes.rows(0, 2), Tensor{{-1.0, -1.0, -1.0, -1.0}, {0.0, 0.0, 200.0, 200.0}}, "xyxy", {.use_masking = true}), {2, 2},
              {-1, 0.03999999910593033, -1, 0.029500000178813934});
  expect_near(compute_iou(kBoxes / 100, kOthers / 100, "rel_yxyx", {.image = kImage}), {3, 2},
              {0.601965606212616, 0.03999999910593033, 0, 0.029500000178813934, 0.03214286267757416, 0.10843374580144882});
  EXPECT_THROW(compute_iou(ops::ones({4}), kOthers, "xyxy"), ValueError);
  expect_near(compute_ciou(kBoxes.rows(0, 2), kOthers, "xyxy"), {2}, {0.5942488312721252, 0.02669570781290531});
  expect_near(compute_ciou(kBoxes.rows(0, 2), kOthers, "xywh"), {2}, {0.6732013821601868, 0.2747310996055603});
  EXPECT_THROW(compute_ciou(kOthers, kOthers, "rel_xyxy"), ValueError);
}

TEST(BoundingBoxesTest, DeltasThereAndBack) {
  Tensor anchors = kBoxes.rows(0, 2), d = encode_box_to_deltas(anchors, kOthers, "xyxy", "xyxy");
  expect_near(d, {2, 4}, {0.07500000298023224, -0.10000000149011612, -0.10536054521799088, -0.3566749691963196, 0.0, 0.5, 1.6094379425048828, 1.9139270782470703});
  expect_near(decode_deltas_to_boxes(anchors, d, "xyxy", "xyxy"), {2, 4}, kOthers.to_vector<double>(), 1e-4);
  DeltaOptions o{.encoding_format = "center_xywh", .variance = {.1, .1, .2, .2}};
  d = encode_box_to_deltas(anchors, kOthers, "xywh", "yxyx", o);
  expect_near(d, {2, 4}, {1.5999999046325684, -4.0, -1.6425203084945679, -3.8107001781463623, -2.049999952316284, -3.3333334922790527, 3.465735912322998, 2.5541281700134277});
  expect_near(decode_deltas_to_boxes(anchors, d, "xywh", "yxyx", o), {2, 4}, kOthers.to_vector<double>(), 1e-4);
  EXPECT_THROW(encode_box_to_deltas(anchors, kOthers, "xyxy", "xyxy", {.encoding_format = "xyxy"}), ValueError);
  EXPECT_THROW(encode_box_to_deltas(anchors, kOthers, "xyxy", "xyxy", {.variance = {.1}}), ValueError);
}

}  // namespace
}  // namespace keras::utils::bounding_boxes
