// What lives here: the data types of tensors, their names and sizes, 16-bit float storage, Keras 3's promotion.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keras {

enum class DType : uint8_t {
  Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, BFloat16, Float32, Float64
};
inline constexpr int kNumDTypes = 13;

// Short names for signatures: `keras::float32`.
inline constexpr DType bool_ = DType::Bool, int8 = DType::Int8, int16 = DType::Int16, int32 = DType::Int32,
                       int64 = DType::Int64, uint8 = DType::UInt8, uint16 = DType::UInt16, uint32 = DType::UInt32,
                       uint64 = DType::UInt64, float16 = DType::Float16, bfloat16 = DType::BFloat16,
                       float32 = DType::Float32, float64 = DType::Float64;

/// Keras' name of a dtype: "float32".
const char* dtype_name(DType dtype);
/// The dtype of a Keras name; ValueError with the nearest name otherwise.
DType dtype_from_name(std::string_view name);
/// Bytes of one element.
size_t dtype_size(DType dtype);
constexpr bool is_floating(DType d) { return d >= DType::Float16; }
constexpr bool is_integer(DType d) { return d >= DType::Int8 && d <= DType::UInt64; }
constexpr bool is_signed_integer(DType d) { return d >= DType::Int8 && d <= DType::Int64; }
constexpr bool is_unsigned(DType d) { return d >= DType::UInt8 && d <= DType::UInt64; }

/// Keras 3's promotion of two dtypes (`keras.backend.result_type`): int32 + float16 → float16, float16 + bfloat16 → float32.
DType result_type(DType a, DType b);
DType result_type(const std::vector<DType>& dtypes);
/// Promotion with a weak Python scalar: `kind` is 'b', 'i' or 'f'. (float16 with 'f' stays float16, int32 with 'f' is float32.)
DType result_type_with_scalar(DType a, char kind);

/// Storage of one IEEE half; arithmetic happens in float.
struct half_t {
  uint16_t bits = 0;
  half_t() = default;
  half_t(float f);
  operator float() const;
};
/// Storage of one bfloat16 (round to nearest even from float).
struct bfloat16_t {
  uint16_t bits = 0;
  bfloat16_t() = default;
  bfloat16_t(float f) {
    uint32_t u = std::bit_cast<uint32_t>(f);
    bits = (u & 0x7fffffffu) > 0x7f800000u ? static_cast<uint16_t>((u >> 16) | 0x40)
                                           : static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

template <class T> struct dtype_of;
template <> struct dtype_of<bool> { static constexpr DType value = DType::Bool; };
template <> struct dtype_of<int8_t> { static constexpr DType value = DType::Int8; };
template <> struct dtype_of<int16_t> { static constexpr DType value = DType::Int16; };
template <> struct dtype_of<int32_t> { static constexpr DType value = DType::Int32; };
template <> struct dtype_of<int64_t> { static constexpr DType value = DType::Int64; };
template <> struct dtype_of<long long> { static constexpr DType value = DType::Int64; };
template <> struct dtype_of<uint8_t> { static constexpr DType value = DType::UInt8; };
template <> struct dtype_of<uint16_t> { static constexpr DType value = DType::UInt16; };
template <> struct dtype_of<uint32_t> { static constexpr DType value = DType::UInt32; };
template <> struct dtype_of<uint64_t> { static constexpr DType value = DType::UInt64; };
template <> struct dtype_of<half_t> { static constexpr DType value = DType::Float16; };
template <> struct dtype_of<bfloat16_t> { static constexpr DType value = DType::BFloat16; };
template <> struct dtype_of<float> { static constexpr DType value = DType::Float32; };
template <> struct dtype_of<double> { static constexpr DType value = DType::Float64; };
template <class T> inline constexpr DType dtype_of_v = dtype_of<T>::value;

/// Calls `f(T{})` with the C++ type that stores `dtype`.
template <class F> decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Bool: return f(bool{});
    case DType::Int8: return f(int8_t{});
    case DType::Int16: return f(int16_t{});
    case DType::Int32: return f(int32_t{});
    case DType::Int64: return f(int64_t{});
    case DType::UInt8: return f(uint8_t{});
    case DType::UInt16: return f(uint16_t{});
    case DType::UInt32: return f(uint32_t{});
    case DType::UInt64: return f(uint64_t{});
    case DType::Float16: return f(half_t{});
    case DType::BFloat16: return f(bfloat16_t{});
    case DType::Float32: return f(float{});
    case DType::Float64: break;
  }
  return f(double{});
}

}  // namespace keras
