// What lives here: the C library's identifiers, lock, errors and types, for hdf5.cpp alone. The one header that shows the library.
#pragma once
#define H5_USE_110_API
#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/error.h>

namespace keras::io::hdf5 {

/// Holds the library for the time of one call. The lock is taken even where the library has one of its own: most calls here are
/// sequences, and a build without thread safety then needs no other code.
class Session {
 public:
  Session() : lock_(mutex()) {
    H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    static const bool once = [] {
      H5PLset_loading_state(0);  // a filter named by a file must not load code
      return true;
    }();
    (void)once;
  }
  ~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }
  Session(const Session&) = delete;

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex m;
    return m;
  }
  std::lock_guard<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

/// An identifier with its closing function.
class Id {
 public:
  Id() = default;
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Id(Id&& o) noexcept : id_(std::exchange(o.id_, -1)), close_(o.close_) {}
  Id& operator=(Id&& o) noexcept {
    std::swap(id_, o.id_);
    std::swap(close_, o.close_);
    return *this;
  }
  ~Id() { reset(); }
  void reset() {
    if (id_ < 0) return;
    Session session;
    close_(std::exchange(id_, -1));
  }
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// The library's own words on the last failure: the innermost message, which is the most concrete.
inline std::string library_reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
        if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
        return 0;
      },
      &text);
  return text.empty() ? "the library gives no reason" : text;
}

inline ValueError bad_file(const std::string& where, const std::string& why) {
  return ValueError(ErrorText{.what = "not a usable HDF5 file: " + why, .where = where}.str());
}

inline bool boolean_enum(hid_t type) {
  if (H5Tget_nmembers(type) != 2) return false;
  bool found[2] = {};
  for (unsigned i = 0; i < 2; ++i) {
    char* name = H5Tget_member_name(type, i);
    if (!name) return false;
    if (std::string_view(name) == "FALSE") found[0] = true;
    if (std::string_view(name) == "TRUE") found[1] = true;
    H5free_memory(name);
  }
  return found[0] && found[1];
}

inline Id bool_type() {
  Id type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
  for (int8_t v : {0, 1}) H5Tenum_insert(type, v ? "TRUE" : "FALSE", &v);
  return type;
}

inline Id half_type() {
  Id type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

inline Id opaque_pair() { return Id(H5Tcreate(H5T_OPAQUE, 2), H5Tclose); }

/// The type that a dtype has in a file.
inline Id file_type(DType dtype) {
  auto standard = [](hid_t t) { return Id(H5Tcopy(t), H5Tclose); };
  switch (dtype) {
    case DType::Bool: return bool_type();
    case DType::Int8: return standard(H5T_STD_I8LE);
    case DType::Int16: return standard(H5T_STD_I16LE);
    case DType::Int32: return standard(H5T_STD_I32LE);
    case DType::Int64: return standard(H5T_STD_I64LE);
    case DType::UInt8: return standard(H5T_STD_U8LE);
    case DType::UInt16: return standard(H5T_STD_U16LE);
    case DType::UInt32: return standard(H5T_STD_U32LE);
    case DType::UInt64: return standard(H5T_STD_U64LE);
    case DType::Float16: return half_type();
    case DType::BFloat16: return opaque_pair();
    case DType::Float32: return standard(H5T_IEEE_F32LE);
    case DType::Float64: return standard(H5T_IEEE_F64LE);
  }
  return {};
}

inline Id string_type(size_t size, H5T_cset_t cset, H5T_str_t pad) {
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size);
  H5Tset_cset(type, cset);
  H5Tset_strpad(type, pad);
  return type;
}

inline Id space_of(const std::vector<hsize_t>& dims) {
  if (dims.empty()) return Id(H5Screate(H5S_SCALAR), H5Sclose);
  return Id(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
}

inline const char* class_name(H5T_class_t c) {
  switch (c) {
    case H5T_STRING: return "strings";
    case H5T_COMPOUND: return "records (compound)";
    case H5T_REFERENCE: return "references";
    case H5T_VLEN: return "sequences of variable length";
    case H5T_OPAQUE: return "opaque bytes";
    case H5T_ARRAY: return "arrays";
    case H5T_BITFIELD: return "bit fields";
    case H5T_TIME: return "times";
    case H5T_FLOAT: return "floats of an unusual layout";
    case H5T_INTEGER: return "integers of an unusual layout";
    default: return "an unknown type";
  }
}

inline bool native_order(hid_t type) { return H5Tget_order(type) != H5T_ORDER_BE; }

/// The dtype of an integer type that fills its bytes; false for others.
inline bool integer_dtype(hid_t type, DType& out) {
  size_t size = H5Tget_size(type);
  if (H5Tget_precision(type) != size * 8 || H5Tget_offset(type) != 0) return false;
  H5T_order_t order = H5Tget_order(type);
  if (size > 1 && order != H5T_ORDER_LE && order != H5T_ORDER_BE) return false;
  bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  switch (size) {
    case 1: out = is_signed ? DType::Int8 : DType::UInt8; return true;
    case 2: out = is_signed ? DType::Int16 : DType::UInt16; return true;
    case 4: out = is_signed ? DType::Int32 : DType::UInt32; return true;
    case 8: out = is_signed ? DType::Int64 : DType::UInt64; return true;
    default: return false;
  }
}
/// The dtype of an IEEE or bfloat16 type; false for other layouts.
inline bool float_dtype(hid_t type, DType& out) {
  size_t sign, exponent, exponent_bits, mantissa, mantissa_bits, size = H5Tget_size(type);
  H5T_order_t order = H5Tget_order(type);
  if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return false;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) return false;
  if (sign != size * 8 - 1 || mantissa != 0 || exponent != mantissa_bits || H5Tget_norm(type) != H5T_NORM_IMPLIED) return false;
  if (H5Tget_ebias(type) != (size_t{1} << (exponent_bits - 1)) - 1) return false;
  if (size == 2 && exponent_bits == 5 && mantissa_bits == 10) return out = DType::Float16, true;
  if (size == 2 && exponent_bits == 8 && mantissa_bits == 7) return out = DType::BFloat16, true;
  if (size == 4 && exponent_bits == 8 && mantissa_bits == 23) return out = DType::Float32, true;
  if (size == 8 && exponent_bits == 11 && mantissa_bits == 52) return out = DType::Float64, true;
  return false;
}

}  // namespace keras::io::hdf5
