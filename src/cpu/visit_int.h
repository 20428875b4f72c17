// What lives here: from an integer dtype to its C++ type.
#pragma once
#include <keras/base/dtype.h>

namespace keras::cpu {

/// Calls `f(T{})` with the C++ type of an integer dtype; what is none counts as uint64.
template <class F> decltype(auto) visit_int(DType d, F&& f) {
  switch (d) {
    case DType::Int8: return f(int8_t{});
    case DType::Int16: return f(int16_t{});
    case DType::Int32: return f(int32_t{});
    case DType::Int64: return f(int64_t{});
    case DType::UInt8: return f(uint8_t{});
    case DType::UInt16: return f(uint16_t{});
    case DType::UInt32: return f(uint32_t{});
    default: return f(uint64_t{});
  }
}

}  // namespace keras::cpu
