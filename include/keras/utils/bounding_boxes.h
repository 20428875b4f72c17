// What lives here: keras.utils.bounding_boxes: boxes (…, 4) between formats, at borders, under transformations, overlaps, deltas to anchors.
// All of it is made of ops: numbers, symbols and compiled steps alike.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <keras/core/tensor.h>

namespace keras::utils::bounding_boxes {

/// Boxes (N, 4) or (batch, N, 4) with the classes of what is in them, (N,) or (batch, N); labels may be absent.
struct Boxes {
  Tensor boxes{};
  Tensor labels{};
};

/// Height and width of the images, in pixels: tensors, so that they may differ per box. Only relative formats need them.
struct ImageSize {
  Tensor height{}, width{};
};

/// From one format into another: "xyxy" (left, top, right, bottom), "yxyx", "xywh", "center_xywh", "center_yxhw", and "rel_xyxy", "rel_yxyx",
/// "rel_xywh", "rel_center_xywh", whose numbers are fractions of the image. Case does not matter. ValueError on an unknown format, on a
/// last axis that is not 4, and on a relative format without a size.
///
///     convert_format({{10, 20, 30, 40}}, "xyxy", "xywh")  // [[10, 20, 20, 20]]
Tensor convert_format(const Tensor& boxes, const std::string& source, const std::string& target, const ImageSize& image = {}, DType dtype = DType::Float32);

/// Cut at the borders of the image; the labels of boxes of which nothing is left become -1. `format`: "xyxy", which needs the size, or
/// "rel_xyxy". NotImplementedError on another.
Boxes clip_to_image_size(const Boxes& boxes, const ImageSize& image = {}, const std::string& format = "xyxy");

/// What is left of "xyxy" boxes in a region, in its coordinates.
Tensor crop(const Tensor& boxes, double top, double left, double height, double width);
/// "xyxy" boxes in an image that grew above and to the left.
Tensor pad(const Tensor& boxes, double top, double left);

/// One transformation per image, all (batch,): degrees, fractions of the image, a factor.
struct AffineOptions {
  Tensor angle{}, translate_x{}, translate_y{}, scale{}, shear_x{}, shear_y{};
  double height = 0, width = 0;
  double center_x = 0.5, center_y = 0.5;
};
/// The smallest "xyxy" boxes (batch, N, 4) around the transformed ones.
Tensor affine_transform(const Tensor& boxes, const AffineOptions& options);

struct IouOptions {
  ImageSize image{};
  /// Pairs with a box whose numbers are all negative get `mask_val`.
  bool use_masking = false;
  double mask_val = -1;
};
/// Overlap over union of all pairs: (M, 4) and (N, 4) give (M, N); either may have a batch axis in front.
Tensor compute_iou(const Tensor& boxes1, const Tensor& boxes2, const std::string& format, const IouOptions& options = {});
/// Complete IoU (Zheng et al., arXiv:2005.03572) of pairs that stand at the same place: (…, 4) and (…, 4) give (…). ValueError on relative
/// formats.
Tensor compute_ciou(const Tensor& boxes1, const Tensor& boxes2, const std::string& format);

struct DeltaOptions {
  /// "center_yxhw" or "center_xywh".
  std::string encoding_format = "center_yxhw";
  /// Four factors that deltas are divided by; empty for none.
  std::vector<double> variance{};
  ImageSize image{};
};
/// Boxes (N, 4) or (batch, N, 4) as seen from anchors (N, 4): offsets over the anchor's size, logarithms of sizes.
Tensor encode_box_to_deltas(const Tensor& anchors, const Tensor& boxes, const std::string& anchor_format, const std::string& box_format,
                            const DeltaOptions& options = {});
/// And back.
Tensor decode_deltas_to_boxes(const Tensor& anchors, const Tensor& deltas, const std::string& anchor_format, const std::string& box_format,
                              const DeltaOptions& options = {});

}  // namespace keras::utils::bounding_boxes
