// What lives here: keras.quantizers' functions: numbers brought to few bits and back. No layer's own way of using them.
#pragma once
#include <optional>
#include <string_view>
#include <utility>

#include <keras/ops/types.h>

namespace keras::quantizers {

/// Scaled by the largest absolute value along `axis` into `value_range` and rounded: the whole numbers, of `dtype`, and the scale, of the
/// inputs' dtype with the axes kept as 1; outputs / scale is about the inputs.
std::pair<Tensor, Tensor> abs_max_quantize(const Tensor& inputs, const Axes& axis, std::pair<double, double> value_range = {-127, 127},
                                           DType dtype = DType::Int8, double epsilon = 1e-7);
/// Whole numbers, scale and zero point of (rows, columns), each column in groups of `block_size` rows: (rows, columns),
/// (groups, columns), (groups, columns).
Tensors abs_max_quantize_grouped_with_zero_point(const Tensor& inputs, int64_t block_size, std::pair<double, double> value_range = {-8, 7},
                                                 DType dtype = DType::Int8, double epsilon = 1e-7);
/// Clamped to [min_vals, max_vals] and rounded to the 2^num_bits levels between, as floats: for training with the loss of bits in sight.
/// The range is one number, or one per element of `axis`. Gradients pass where nothing was clamped; clamped elements give theirs to the
/// end of the range. With `narrow_range` the lowest level is not used.
Tensor fake_quant_with_min_max_vars(const Tensor& inputs, const Tensor& min_vals, const Tensor& max_vals, int num_bits = 8,
                                    bool narrow_range = false, std::optional<int> axis = {});

/// Scales of 8-bit floats from the largest absolute values seen.
Tensor compute_float8_scale(const Tensor& amax, const Tensor& scale, const Tensor& dtype_max, double margin = 0);
/// The history moved on by one, with the largest absolute value of x at its front.
Tensor compute_float8_amax_history(const Tensor& x, const Tensor& amax_history);
/// Divided by the scale, rounded to the 8-bit floats "float8_e4m3fn" or "float8_e5m2", and multiplied again.
Tensor quantize_and_dequantize(const Tensor& inputs, const Tensor& scale, std::string_view quantized_dtype, DType compute_dtype);

/// Values packed along one axis, and how many there were.
struct Packed {
  Tensor values;
  int64_t length = 0;
};
/// Two 4-bit numbers per byte along an axis: (…, n, …) → (…, ceil(n / 2), …), the first of two in the low half. `arr` holds numbers of
/// [-8, 7] as int8 (or of [0, 15] as uint8). TypeError when it is of another dtype than `dtype`, ValueError when that is neither.
Packed pack_int4(const Tensor& arr, int axis = 0, DType dtype = DType::Int8);
/// The `orig_len` numbers back.
Tensor unpack_int4(const Tensor& packed, int64_t orig_len, int axis = 0, DType dtype = DType::Int8);

}  // namespace keras::quantizers
