// What lives here: the functions of keras.quantizers, composed of ops.
#include <keras/quantizers.h>

#include <cmath>

#include <keras/ops.h>

namespace keras::quantizers {

namespace {

Tensor as_dtype(const Tensor& x, DType dtype) { return x.dtype() == dtype && !x.weak() ? x : ops::cast(x, dtype); }

void check_dtype(DType dtype, const char* where) {
  if (dtype != DType::Int8 && dtype != DType::UInt8)
    throw ValueError(
        ErrorText{.what = "packed numbers are bytes", .where = where, .expected = "int8 or uint8", .received = dtype_name(dtype)}.str());
}

/// Range and step of the levels, moved so that 0 is one of them.
struct Nudged {
  Tensor min, max, scale, inverse;
};
Nudged nudge(const Tensor& low, const Tensor& high, int num_bits, bool narrow_range) {
  DType t = result_type(low.dtype(), DType::Float32);
  Tensor a = as_dtype(low, t), b = as_dtype(high, t);
  double most = std::exp2(num_bits) - 1, least = narrow_range ? 1 : 0;
  Tensor range = ops::subtract(b, a), scale = range / (most - least), inverse = (most - least) / range;
  Tensor zero = ops::round(ops::clip(least - a / scale, least, most));
  return {(least - zero) * scale, (most - zero) * scale, scale, inverse};
}

/// x (float32, already inside the range) rounded to floats of `mantissa` bits whose smallest normal number is 2^least.
Tensor rounded_to_bits(const Tensor& x, int mantissa, int least) {
  uint32_t dropped = 23u - static_cast<uint32_t>(mantissa), half = (1u << (dropped - 1)) - 1;
  auto constant = [](uint32_t v) { return Tensor::full({}, static_cast<double>(v), DType::UInt32); };
  Tensor bits = ops::view(x, DType::UInt32);
  Tensor odd = ops::bitwise_and(ops::right_shift(bits, constant(dropped)), constant(1));
  Tensor up = ops::add(bits, ops::add(odd, constant(half)));
  Tensor normal = ops::view(ops::bitwise_and(up, constant(~((1u << dropped) - 1))), DType::Float32);
  double step = std::exp2(least - mantissa);
  return ops::where(ops::less(ops::abs(x), std::exp2(least)), ops::round(x / step) * step, normal);
}

}  // namespace

std::pair<Tensor, Tensor> abs_max_quantize(const Tensor& inputs, const Axes& axis, std::pair<double, double> value_range, DType dtype,
                                           double epsilon) {
  Tensor largest = ops::max(ops::abs(inputs), axis, true);
  Tensor scale = as_dtype(ops::divide(value_range.second, ops::add(largest, epsilon)), inputs.dtype());
  Tensor levels = ops::clip(ops::round(ops::multiply(inputs, scale)), value_range.first, value_range.second);
  return {ops::cast(levels, dtype), scale};
}

Tensors abs_max_quantize_grouped_with_zero_point(const Tensor& inputs, int64_t block_size, std::pair<double, double> value_range,
                                                 DType dtype, double epsilon) {
  const Shape& s = inputs.shape();
  if (s.rank() != 2 || !s.is_static() || s.numel() == 0)
    throw ValueError(ErrorText{.what = "a matrix with numbers is needed",
                               .where = "abs_max_quantize_grouped_with_zero_point",
                               .expected = "(rows, columns)",
                               .received = s.str()}
                         .str());
  if (block_size < 1)
    throw ValueError(ErrorText{.what = "a group has at least one row",
                               .where = "abs_max_quantize_grouped_with_zero_point",
                               .expected = "`block_size` of 1 or more",
                               .received = std::to_string(block_size)}
                         .str());
  auto [low, high] = value_range;
  int bits = static_cast<int>(std::log2(high - low + 1));
  double least = -std::exp2(bits - 1), levels = std::exp2(bits) - 1;
  int64_t rows = s[0], columns = s[1], groups = (rows + block_size - 1) / block_size, missing = groups * block_size - rows;
  Tensor padded = missing ? ops::pad(inputs, {{0, missing}, {0, 0}}) : inputs;
  Tensor grouped = ops::reshape(padded, {groups, block_size, columns});
  // A single group is looked at as it is, several with the zeros that fill up the last one: as Keras does.
  Tensor seen = groups > 1 ? grouped : ops::reshape(inputs, {1, rows, columns});
  Tensor bottom = ops::min(seen, 1), top = ops::max(seen, 1), flat = ops::equal(bottom, top);
  bottom = ops::where(flat, bottom - 1, bottom), top = ops::where(flat, top + 1, top);
  Tensor range = top - bottom;
  if (epsilon > 0) range = range + epsilon;
  Tensor scale = range / levels;
  scale = ops::where(ops::less_equal(scale, 0), 1e-8, scale);
  Tensor zero = ops::cast(ops::clip(ops::round(ops::negative(bottom) / scale) + least, least, least + levels), DType::Int8);
  Tensor q = ops::round(grouped / ops::expand_dims(scale, 1)) + ops::expand_dims(zero, 1);
  q = ops::reshape(ops::cast(ops::clip(q, low, high), dtype), {groups * block_size, columns});
  return {missing ? ops::get_item(q, {Slice{0, rows}}) : q, scale, zero};
}

Tensor fake_quant_with_min_max_vars(const Tensor& inputs, const Tensor& min_vals, const Tensor& max_vals, int num_bits, bool narrow_range,
                                    std::optional<int> axis) {
  int channel = axis ? normalize_axis(*axis, inputs.rank(), "fake_quant_with_min_max_vars") : -1;
  static_assert(sizeof(int) >= 4);
  if (num_bits < 1 || num_bits > 31)
    throw ValueError(ErrorText{.what = "a number of bits out of range",
                               .where = "fake_quant_with_min_max_vars",
                               .expected = "`num_bits` from 1 to 31",
                               .received = std::to_string(num_bits)}
                         .str());
  auto quantized = ops::custom_gradient([=](const Tensors& in) {
    const Tensor &x = in[0], &low = in[1], &high = in[2];
    // Ranges per channel stand along their axis.
    Shape place(std::vector<int64_t>(x.shape().size(), 1));
    auto along = [&](const Tensor& t) {
      if (channel < 0 || t.numel() == 1) return t.rank() > x.rank() ? ops::reshape(t, Shape{}) : t;
      Shape to = place;
      to[channel] = t.shape()[-1];
      return ops::reshape(t, to);
    };
    Nudged n = nudge(along(low), along(high), num_bits, narrow_range);
    Tensor zero = ops::floor(ops::negative(n.min) * n.inverse + 0.5);
    Tensor clamped = ops::clip(as_dtype(x, n.min.dtype()), n.min, n.max);
    Tensor level = ops::floor((clamped - n.min) * n.inverse - zero + 0.5);
    Tensor y = as_dtype(level * n.scale, x.dtype());
    auto gradient = [=](const Tensors& upstream) {
      const Tensor& up = upstream[0];
      Axes others;
      if (channel >= 0) {
        std::vector<int> list;
        for (int i = 0; i < x.rank(); ++i)
          if (i != channel) list.push_back(i);
        others = list;
      }
      auto share = [&](const Tensor& where, const Tensor& of) {
        Tensor part = ops::where(where, up, 0.0);
        bool all = channel < 0 || of.numel() == 1;
        return as_dtype(ops::reshape(all ? ops::sum(part) : ops::sum(part, others), of.shape()), of.dtype());
      };
      Tensor below = ops::less_equal(x, n.min), above = ops::greater_equal(x, n.max);
      Tensor inside = ops::logical_and(ops::greater_equal(x, n.min), ops::less_equal(x, n.max));
      return Tensors{ops::where(inside, up, 0.0), share(below, low), share(above, high)};
    };
    return ops::WithGradient{{y}, gradient};
  });
  auto firm = [](const Tensor& t) { return t.weak() ? ops::cast(t, DType::Float32) : t; };
  return quantized({inputs, firm(min_vals), firm(max_vals)})[0];
}

Tensor compute_float8_scale(const Tensor& amax, const Tensor& scale, const Tensor& dtype_max, double margin) {
  Tensor before = ops::reciprocal(scale);
  Tensor factor = ops::divide(ops::divide(dtype_max, amax), std::exp2(margin));
  factor = ops::where(ops::greater(amax, 0.0), factor, before);
  return ops::reciprocal(ops::where(ops::isfinite(amax), factor, before));
}
Tensor compute_float8_amax_history(const Tensor& x, const Tensor& amax_history) {
  Tensor update = ops::reshape(ops::cast(ops::max(ops::abs(x)), amax_history.dtype()), {1});
  return ops::scatter_update(ops::roll(amax_history, -1), Tensor::full({1, 1}, 0, DType::Int32), update);
}
Tensor quantize_and_dequantize(const Tensor& inputs, const Tensor& scale, std::string_view quantized_dtype, DType compute_dtype) {
  bool narrow = quantized_dtype == "float8_e4m3fn";
  if (!narrow && quantized_dtype != "float8_e5m2")
    throw ValueError(ErrorText{.what = "unknown type of 8-bit floats",
                               .where = "quantize_and_dequantize",
                               .expected = "'float8_e4m3fn' or 'float8_e5m2'",
                               .received = "'" + std::string(quantized_dtype) + "'"}
                         .str());
  double most = narrow ? 448 : 57344;
  Tensor factor = ops::cast(scale, compute_dtype);
  Tensor x = ops::clip(ops::divide(inputs, factor), -most, most);
  x = rounded_to_bits(ops::cast(x, DType::Float32), narrow ? 3 : 2, narrow ? -6 : -14);
  return ops::multiply(ops::cast(x, compute_dtype), factor);
}

Packed pack_int4(const Tensor& arr, int axis, DType dtype) {
  check_dtype(dtype, "pack_int4");
  if (arr.dtype() != dtype)
    throw TypeError(ErrorText{.what = "a tensor of another dtype than the packed one",
                              .where = "pack_int4",
                              .expected = dtype_name(dtype),
                              .received = dtype_name(arr.dtype())}
                        .str());
  int at = normalize_axis(axis, arr.rank(), "pack_int4");
  int64_t length = arr.shape()[at];
  std::vector<PadWidth::Pair> widths(arr.shape().size(), {0, 0});
  widths[static_cast<size_t>(at)].second = length % 2;
  Tensor nibbles = ops::bitwise_and(ops::cast(length % 2 ? ops::pad(arr, widths) : arr, DType::Int32), 15);
  // (…, n, …) → (…, n / 2, 2, …)
  Shape pairs = nibbles.shape();
  pairs[at] /= 2;
  pairs.insert(at + 1, 2);
  Tensor both = ops::reshape(nibbles, pairs);
  Tensor byte = ops::take(both, 0, at + 1) + ops::take(both, 1, at + 1) * 16;
  if (dtype == DType::Int8) byte = ops::where(ops::greater(byte, 127), byte - 256, byte);
  return {ops::cast(byte, dtype), length};
}
Tensor unpack_int4(const Tensor& packed, int64_t orig_len, int axis, DType dtype) {
  check_dtype(dtype, "unpack_int4");
  if (packed.dtype() != DType::Int8 && packed.dtype() != DType::UInt8)
    throw TypeError(ErrorText{.what = "packed numbers are bytes",
                              .where = "unpack_int4",
                              .expected = "int8 or uint8",
                              .received = dtype_name(packed.dtype())}
                        .str());
  int at = normalize_axis(axis, packed.rank(), "unpack_int4");
  Tensor byte = ops::bitwise_and(ops::cast(packed, DType::Int32), 255);
  Tensor both = ops::stack({ops::bitwise_and(byte, 15), ops::right_shift(byte, 4)}, at + 1);
  if (dtype == DType::Int8) both = ops::bitwise_xor(both, 8) - 8;
  Shape whole = packed.shape();
  whole[at] = whole[at] < 0 ? None : whole[at] * 2;
  Tensor all = ops::cast(ops::reshape(both, whole), dtype);
  std::vector<Index> cut(static_cast<size_t>(at), Slice{});
  cut.emplace_back(Slice{0, orig_len});
  return ops::get_item(all, cut);
}

}  // namespace keras::quantizers
