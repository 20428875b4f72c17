// What lives here: keras.ops' neural network family: activations, convolutions and pools, encodings, crossentropies, normalisation,
// attention. `data_format` is "channels_last", "channels_first" or "" for config::image_data_format().
#pragma once
#include <keras/ops/types.h>

namespace keras::ops {

// ---- activations
Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor sparse_sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor swish(const Tensor& x);
Tensor log_sigmoid(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.2);
Tensor hard_sigmoid(const Tensor& x);
Tensor hard_silu(const Tensor& x);
Tensor hard_swish(const Tensor& x);
Tensor hard_tanh(const Tensor& x);
Tensor elu(const Tensor& x, double alpha = 1.0);
Tensor selu(const Tensor& x);
Tensor gelu(const Tensor& x, bool approximate = true);
Tensor celu(const Tensor& x, double alpha = 1.0);
Tensor glu(const Tensor& x, int axis = -1);
Tensor tanh_shrink(const Tensor& x);
Tensor hard_shrink(const Tensor& x, double threshold = 0.5);
Tensor soft_shrink(const Tensor& x, double threshold = 0.5);
Tensor squareplus(const Tensor& x, double b = 4);
Tensor sparse_plus(const Tensor& x);
/// Over one axis, several, or all.
Tensor softmax(const Tensor& x, const Axes& axis = -1);
Tensor log_softmax(const Tensor& x, const Axes& axis = -1);
Tensor sparsemax(const Tensor& x, int axis = -1);
Tensor threshold(const Tensor& x, double threshold, double default_value);
/// abs·cos(angle) and abs·sin(angle): the complex numbers of given length and angle.
std::pair<Tensor, Tensor> polar(const Tensor& abs_, const Tensor& angle);

// ---- convolution and pooling; `padding` is "valid" or "same"
Tensor max_pool(const Tensor& inputs, const Sizes& pool_size, const Sizes& strides = {}, std::string_view padding = "valid",
                std::string_view data_format = "");
Tensor average_pool(const Tensor& inputs, const Sizes& pool_size, const Sizes& strides = {}, std::string_view padding = "valid",
                    std::string_view data_format = "");
/// Windows that divide the input into `output_size` parts.
Tensor adaptive_average_pool(const Tensor& inputs, const Sizes& output_size, std::string_view data_format = "");
Tensor adaptive_max_pool(const Tensor& inputs, const Sizes& output_size, std::string_view data_format = "");
/// Kernel (spatial…, in / groups, out); groups follow from the shapes.
Tensor conv(const Tensor& inputs, const Tensor& kernel, const Sizes& strides = 1, std::string_view padding = "valid",
            std::string_view data_format = "", const Sizes& dilation_rate = 1);
/// Kernel (spatial…, out, in).
Tensor conv_transpose(const Tensor& inputs, const Tensor& kernel, const Sizes& strides = 1, std::string_view padding = "valid",
                      const std::optional<Sizes>& output_padding = {}, std::string_view data_format = "", const Sizes& dilation_rate = 1);
/// Kernel (spatial…, in, multiplier).
Tensor depthwise_conv(const Tensor& inputs, const Tensor& kernel, const Sizes& strides = 1, std::string_view padding = "valid",
                      std::string_view data_format = "", const Sizes& dilation_rate = 1);
Tensor separable_conv(const Tensor& inputs, const Tensor& depthwise_kernel, const Tensor& pointwise_kernel, const Sizes& strides = 1,
                      std::string_view padding = "valid", std::string_view data_format = "", const Sizes& dilation_rate = 1);
/// Sliding blocks of (N, C, H, W) as columns (N, C·kh·kw, L), and their sum back.
Tensor unfold(const Tensor& x, const Sizes& kernel_size, const Sizes& dilation = 1, const Sizes& padding = 0, const Sizes& stride = 1);
Tensor fold(const Tensor& x, const Sizes& output_size, const Sizes& kernel_size, const Sizes& dilation = 1, const Sizes& padding = 0,
            const Sizes& stride = 1);

// ---- encodings and crossentropies
/// Numbers outside [0, num_classes) give zeros.
Tensor one_hot(const Tensor& x, int64_t num_classes, int axis = -1, OptDType dtype = {});
Tensor multi_hot(const Tensor& inputs, int64_t num_classes, int axis = -1, OptDType dtype = {});
Tensor categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false, int axis = -1);
Tensor sparse_categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false, int axis = -1);
Tensor binary_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false);

// ---- normalisation
/// Mean and variance.
std::pair<Tensor, Tensor> moments(const Tensor& x, const Axes& axes, bool keepdims = false, bool synchronized = false);
/// Divided by the norm of the given order; `epsilon` absent: Keras' default.
Tensor normalize(const Tensor& x, const Axes& axis = -1, double order = 2, std::optional<double> epsilon = {});
Tensor batch_normalization(const Tensor& x, const Tensor& mean, const Tensor& variance, int axis, const Tensor& offset = Tensor(),
                           const Tensor& scale = Tensor(), double epsilon = 1e-3);
Tensor layer_normalization(const Tensor& x, const Tensor& gamma = Tensor(), const Tensor& beta = Tensor(), const Axes& axis = -1,
                           std::optional<double> epsilon = {});
Tensor rms_normalization(const Tensor& x, const Tensor& scale = Tensor(), const Axes& axis = -1, std::optional<double> epsilon = {});

// ---- sequences, images, attention
/// Loss per sequence; targets (B, U), outputs (B, T, classes) as logits.
Tensor ctc_loss(const Tensor& target, const Tensor& output, const Tensor& target_length, const Tensor& output_length,
                int64_t mask_index = 0);
/// Decoded sequences (paths, B, T), padded with -1, and scores. `strategy`: "greedy" or "beam_search".
std::pair<Tensor, Tensor> ctc_decode(const Tensor& inputs, const Tensor& sequence_lengths, std::string_view strategy = "greedy",
                                     int64_t beam_width = 100, int64_t top_paths = 1, bool merge_repeated = true, int64_t mask_index = 0);
/// Peak signal-to-noise ratio.
Tensor psnr(const Tensor& x1, const Tensor& x2, double max_val);
/// Query (B, T, N, H), key and value (B, S, K, H) with N a multiple of K; `mask` is True where attention is allowed.
Tensor dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias = Tensor(),
                             const Tensor& mask = Tensor(), std::optional<double> scale = {}, bool is_causal = false,
                             std::optional<double> attn_logits_soft_cap = {});

}  // namespace keras::ops
