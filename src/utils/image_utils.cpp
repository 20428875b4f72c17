// What lives here: single images between pixels and arrays.
#include <keras/utils/image_utils.h>

#include <keras/config.h>
#include <keras/ops.h>

#include "core/impl.h"

namespace keras::utils {

namespace {

bool channels_first(std::string_view data_format, const char* where) {
  std::string format(data_format.empty() ? std::string_view(config::image_data_format()) : data_format);
  if (format != "channels_first" && format != "channels_last")
    throw ValueError(ErrorText{
        .what = "unknown `data_format`", .where = where, .expected = "\"channels_last\" or \"channels_first\"", .received = format}
                         .str());
  return format == "channels_first";
}

}  // namespace

Tensor img_to_array(const Tensor& img, std::string_view data_format, OptDType dtype) {
  bool first = channels_first(data_format, "img_to_array");
  if (img.rank() != 2 && img.rank() != 3)
    throw ValueError(ErrorText{.what = "an image of another rank",
                               .where = "img_to_array",
                               .expected = "(height, width) or (height, width, channels)",
                               .received = img.shape().str()}
                         .str());
  Tensor x = ops::cast(img, dtype.value_or(config::floatx_dtype()));
  if (x.rank() == 2) return ops::expand_dims(x, first ? 0 : 2);
  return first ? ops::transpose(x, {2, 0, 1}) : x;
}

Tensor array_to_img(const Tensor& array, std::string_view data_format, bool scale, OptDType dtype) {
  bool first = channels_first(data_format, "array_to_img");
  if (array.rank() != 3)
    throw ValueError(ErrorText{
        .what = "an array of another rank", .where = "array_to_img", .expected = "one image, rank 3", .received = array.shape().str()}
                         .str());
  Tensor x = ops::cast(array, dtype.value_or(config::floatx_dtype()));
  if (first) x = ops::transpose(x, {1, 2, 0});
  int64_t channels = x.shape()[2];
  if (channels != 1 && channels != 3 && channels != 4)
    throw ValueError(ErrorText{.what = "pixels of another number of channels",
                               .where = "array_to_img",
                               .expected = "1, 3 or 4 channels",
                               .received = std::to_string(channels)}
                         .str());
  if (scale) {
    x = ops::subtract(x, ops::min(x));
    double top = ops::max(x).item();
    if (top != 0) x = ops::divide(x, top);
    x = ops::multiply(x, 255);
  }
  if (channels > 1) return ops::cast(x, DType::UInt8);
  bool wide = x.numel() > 0 && ops::max(x).item() > 255;
  return ops::cast(ops::squeeze(x, 2), wide ? DType::Int32 : DType::UInt8);
}

}  // namespace keras::utils
