// What lives here: dtype tables and Keras 3's promotion lattice. Nothing about tensors.
#include <keras/base/dtype.h>
#include <keras/base/error.h>

#include <array>

namespace keras {

static constexpr std::array<const char*, kNumDTypes> kNames = {"bool",  "int8",   "int16",  "int32",   "int64",    "uint8",  "uint16",
                                                                "uint32", "uint64", "float16", "bfloat16", "float32", "float64"};
static constexpr std::array<size_t, kNumDTypes> kSizes = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8};

const char* dtype_name(DType dtype) { return kNames[static_cast<size_t>(dtype)]; }
size_t dtype_size(DType dtype) { return kSizes[static_cast<size_t>(dtype)]; }

DType dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<DType>(i);
  if (name == "half") return DType::Float16;
  if (name == "double") return DType::Float64;
  if (name == "float") return DType::Float32;
  if (name == "int") return DType::Int32;
  std::vector<std::string> known(kNames.begin(), kNames.end());
  throw ValueError(ErrorText{.what = "Unknown dtype '" + std::string(name) + "'" + did_you_mean(name, known),
                             .expected = "one of bool, int8 … int64, uint8 … uint64, float16, bfloat16, float32, float64"}
                       .str());
}

// The lattice: bool < unsigned < signed of the next width < floats; two 16-bit floats meet in float32.
DType result_type(DType a, DType b) {
  if (a == b) return a;
  if (a == DType::Bool) return b;
  if (b == DType::Bool) return a;
  if (is_floating(a) || is_floating(b)) {
    if (!is_floating(a)) return b;
    if (!is_floating(b)) return a;
    if ((a == DType::Float16 && b == DType::BFloat16) || (a == DType::BFloat16 && b == DType::Float16)) return DType::Float32;
    return a > b ? a : b;
  }
  bool ua = is_unsigned(a), ub = is_unsigned(b);
  if (ua == ub) return dtype_size(a) >= dtype_size(b) ? a : b;
  DType u = ua ? a : b, s = ua ? b : a;
  if (dtype_size(s) > dtype_size(u)) return s;
  switch (u) {
    case DType::UInt8: return DType::Int16;
    case DType::UInt16: return DType::Int32;
    case DType::UInt32: return DType::Int64;
    default: return DType::Float32;  // no integer holds both
  }
}

DType result_type(const std::vector<DType>& dtypes) {
  DType r = DType::Bool;
  for (DType d : dtypes) r = result_type(r, d);
  return r;
}

DType result_type_with_scalar(DType a, char kind) {
  if (kind == 'b') return a;
  if (kind == 'i') return a == DType::Bool ? DType::Int32 : a;
  return is_floating(a) ? a : DType::Float32;
}

half_t::half_t(float f) {
  uint32_t x = std::bit_cast<uint32_t>(f);
  uint32_t sign = (x >> 16) & 0x8000u;
  x &= 0x7fffffffu;
  if (x > 0x7f800000u) {
    bits = static_cast<uint16_t>(sign | 0x7e00u);
  } else if (x >= 0x477ff000u) {
    bits = static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
  } else if (x < 0x38800000u) {                     // subnormal half: let float addition round
    float magic = std::bit_cast<float>(0x3f000000u);
    uint32_t r = std::bit_cast<uint32_t>(std::bit_cast<float>(x) + magic) - 0x3f000000u;
    bits = static_cast<uint16_t>(sign | r);
  } else {
    uint32_t odd = (x >> 13) & 1;
    x += 0xc8000fffu + odd;
    bits = static_cast<uint16_t>(sign | (x >> 13));
  }
}

half_t::operator float() const {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    float f = static_cast<float>(mantissa) * 5.9604644775390625e-08f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

}  // namespace keras
