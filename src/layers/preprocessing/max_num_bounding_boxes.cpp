// What lives here: MaxNumBoundingBoxes.
#include <keras/layers/preprocessing/max_num_bounding_boxes.h>

#include "layers/preprocessing/image_layer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct MaxNumBoundingBoxesImpl : ImageLayer {
  int64_t max_number, fill_value;
  MaxNumBoundingBoxesImpl(int64_t n, const MaxNumBoundingBoxesOptions& o) : max_number(n), fill_value(o.fill_value) {
    init_image("MaxNumBoundingBoxes", o);
    if (max_number < 0) option_error("max_number", "a whole number >= 0", max_number);
  }
  Tensor transform(const Tensor& images, const Transformation&, bool) override { return images; }
  /// Axis 1 of a batch, or the only one of `rank` - 1 of a single image, cut or filled up.
  Tensor fitted(const Tensor& x, int axis) const {
    int64_t n = x.shape()[axis];
    if (n < 0)
      throw ValueError(ErrorText{.what = "the number of boxes must be known", .where = where(), .received = x.shape().str()}.str());
    if (n >= max_number) return prims::slice_axis(x, axis, 0, max_number);
    std::vector<PadWidth::Pair> widths(static_cast<size_t>(x.rank()), {0, 0});
    widths[static_cast<size_t>(axis)].second = max_number - n;
    return ops::pad(x, widths, "constant", fill_value);
  }
  Tensors call(const Call& c) override {
    Tensors out{c.input()};
    int axis = c.input().rank() == 4 ? 1 : 0;
    for (size_t i = 1; i <= 2; ++i)
      if (Tensor t = c.tensor(i, i == 1 ? "boxes" : "box_labels"); t.defined()) out.push_back(fitted(t, axis));
    return out;
  }
  Dict own_config() const override { return image_config({{"max_number", max_number}}); }
};
}  // namespace

MaxNumBoundingBoxes::MaxNumBoundingBoxes(int64_t n, const MaxNumBoundingBoxesOptions& o)
    : Layer(make_impl<MaxNumBoundingBoxesImpl>(n, o)) {}
Layer MaxNumBoundingBoxes::from_config(const Dict& c) {
  return MaxNumBoundingBoxes(c.at("max_number").as_int(), options_from<MaxNumBoundingBoxesOptions>(c, "MaxNumBoundingBoxes"));
}

}  // namespace keras::layers
