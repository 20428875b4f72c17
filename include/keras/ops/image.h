// What lives here: keras.ops.image: images are (…, H, W, C), or (…, C, H, W) with data_format "channels_first".
#pragma once
#include <keras/ops/types.h>

namespace keras::ops::image {

Tensor rgb_to_grayscale(const Tensor& images, std::string_view data_format = "");
Tensor rgb_to_hsv(const Tensor& images, std::string_view data_format = "");
Tensor hsv_to_rgb(const Tensor& images, std::string_view data_format = "");
/// `interpolation`: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
Tensor resize(const Tensor& images, const Sizes& size, std::string_view interpolation = "bilinear", bool antialias = false,
              bool crop_to_aspect_ratio = false, bool pad_to_aspect_ratio = false, std::string_view fill_mode = "constant",
              double fill_value = 0.0, std::string_view data_format = "");
/// `transform` (8) or (B, 8): a0 … c1 of the projective map from output to input coordinates.
Tensor affine_transform(const Tensor& images, const Tensor& transform, std::string_view interpolation = "bilinear",
                        std::string_view fill_mode = "constant", double fill_value = 0, std::string_view data_format = "");
Tensor perspective_transform(const Tensor& images, const Tensor& start_points, const Tensor& end_points,
                             std::string_view interpolation = "bilinear", double fill_value = 0, std::string_view data_format = "");
Tensor extract_patches(const Tensor& images, const Sizes& size, const Sizes& strides = {}, const Sizes& dilation_rate = 1,
                       std::string_view padding = "valid", std::string_view data_format = "");
Tensor extract_patches_3d(const Tensor& volumes, const Sizes& size, const Sizes& strides = {}, const Sizes& dilation_rate = 1,
                          std::string_view padding = "valid", std::string_view data_format = "");
/// `coordinates` (rank, …); `fill_mode`: "constant", "nearest", "wrap", "mirror" or "reflect".
Tensor map_coordinates(const Tensor& inputs, const Tensor& coordinates, int order, std::string_view fill_mode = "constant",
                       double fill_value = 0);
Tensor pad_images(const Tensor& images, std::optional<int64_t> top_padding = {}, std::optional<int64_t> left_padding = {},
                  std::optional<int64_t> bottom_padding = {}, std::optional<int64_t> right_padding = {},
                  std::optional<int64_t> target_height = {}, std::optional<int64_t> target_width = {}, std::string_view data_format = "");
Tensor crop_images(const Tensor& images, std::optional<int64_t> top_cropping = {}, std::optional<int64_t> left_cropping = {},
                   std::optional<int64_t> bottom_cropping = {}, std::optional<int64_t> right_cropping = {},
                   std::optional<int64_t> target_height = {}, std::optional<int64_t> target_width = {}, std::string_view data_format = "");
Tensor gaussian_blur(const Tensor& images, const Sizes& kernel_size = {3, 3}, std::pair<double, double> sigma = {1.0, 1.0},
                     std::string_view data_format = "");
Tensor scale_and_translate(const Tensor& images, const Shape& output_shape, const Tensor& scale, const Tensor& translation,
                           const Axes& spatial_dims, std::string_view method, bool antialias = true);
/// Displaced by smoothed noise: `noise_x` and `noise_y` are standard normal numbers (B, H, W), which the caller draws.
Tensor elastic_transform(const Tensor& images, const Tensor& noise_x, const Tensor& noise_y, double alpha = 20.0, double sigma = 5.0,
                         std::string_view interpolation = "bilinear", std::string_view fill_mode = "reflect", double fill_value = 0.0,
                         std::string_view data_format = "");
/// (B, H, W, C) → (B, H, W, C, 2): the slopes along height and width.
Tensor sobel_edges(const Tensor& images, std::string_view data_format = "");
Tensor ssim(const Tensor& image1, const Tensor& image2, double max_val = 1.0, int64_t filter_size = 11, double filter_sigma = 1.5,
            double k1 = 0.01, double k2 = 0.03, std::string_view data_format = "");

}  // namespace keras::ops::image
