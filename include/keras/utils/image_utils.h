// What lives here: keras.utils for single images: between pixels as files hold them and arrays as models take them. No files.
#pragma once
#include <string_view>

#include <keras/core/tensor.h>
#include <keras/ops/types.h>

namespace keras::utils {

/// An image, (height, width) or (height, width, channels), as an array of rank 3: (height, width, channels), or (channels, height, width)
/// for "channels_first". `data_format` "" is that of keras::config, without a dtype it is floatx. ValueError on another rank.
Tensor img_to_array(const Tensor& img, std::string_view data_format = "", OptDType dtype = {});

/// An array of rank 3 in `data_format` as pixels (height, width, channels), or (height, width) for one channel, uint8; one channel with numbers
/// beyond 255 is int32. `scale`: stretched so that the smallest number is 0 and the largest 255. Computed in `dtype`, without one in floatx.
/// ValueError unless there are 1, 3 or 4 channels.
Tensor array_to_img(const Tensor& x, std::string_view data_format = "", bool scale = true, OptDType dtype = {});

}  // namespace keras::utils
