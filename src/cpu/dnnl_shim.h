// What lives here: the few places where oneDNN's version 2 and version 3 interfaces differ (v3 has no operation descriptors). Only
// .cpp files of this room include it; nothing here knows shapes, kernels or threads of ours.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>

#include <keras/base/dtype.h>

namespace keras::cpu::shim {

using Md = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

inline dnnl::memory::data_type data_type(DType d) {
  switch (d) {
    case DType::Float32: return dnnl::memory::data_type::f32;
    case DType::BFloat16: return dnnl::memory::data_type::bf16;
    case DType::Float16: return dnnl::memory::data_type::f16;
    default: return dnnl::memory::data_type::undef;
  }
}

/// What a convolution is to oneDNN; dilations are Keras' (1 = dense) less one. `bias` may be a zero descriptor.
struct ConvArgs {
  Md src, weights, bias, dst;
  Md forward_weights;  // of the forward pass that a gradient wants to see; zero where `weights` does
  Dims strides, dilations, pad_lo, pad_hi;
};

#if DNNL_VERSION_MAJOR >= 3
inline bool is_zero(const Md& md) { return md.get_ndims() == 0; }
#else
inline bool is_zero(const Md& md) { return md.data.ndims == 0; }
#endif

inline ConvArgs forward_of(ConvArgs c) {
  if (!is_zero(c.forward_weights)) c.weights = c.forward_weights;
  return c;
}

inline constexpr auto kDirect = dnnl::algorithm::convolution_direct;
inline constexpr auto kTraining = dnnl::prop_kind::forward_training;  // its layouts of weights are those of the gradients

// Each maker returns an empty descriptor where the library has no implementation.
#if DNNL_VERSION_MAJOR >= 3

inline dnnl::matmul::primitive_desc matmul_pd(const dnnl::engine& eng, const Md& a, const Md& b, const Md& bias, const Md& c,
                                              const dnnl::primitive_attr& attr) {
  return dnnl::matmul::primitive_desc(eng, a, b, bias, c, attr, true);
}
inline dnnl::convolution_forward::primitive_desc conv_forward_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                 const dnnl::primitive_attr& attr) {
  return dnnl::convolution_forward::primitive_desc(eng, kTraining, kDirect, c.src, c.weights, c.bias, c.dst,
                                                   c.strides, c.dilations, c.pad_lo, c.pad_hi, attr, true);
}
inline dnnl::convolution_backward_data::primitive_desc conv_backward_data_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                             const dnnl::primitive_attr& attr) {
  const auto hint = conv_forward_pd(eng, c, attr);
  if (!hint) return {};
  return dnnl::convolution_backward_data::primitive_desc(eng, kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad_lo,
                                                         c.pad_hi, hint, attr, true);
}
inline dnnl::convolution_backward_weights::primitive_desc conv_backward_weights_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                                   const dnnl::primitive_attr& attr) {
  const auto hint = conv_forward_pd(eng, forward_of(c), attr);
  if (!hint) return {};
  return dnnl::convolution_backward_weights::primitive_desc(eng, kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad_lo,
                                                            c.pad_hi, hint, attr, true);
}
#else

inline dnnl::matmul::primitive_desc matmul_pd(const dnnl::engine& eng, const Md& a, const Md& b, const Md& bias, const Md& c,
                                              const dnnl::primitive_attr& attr) {
  try {
    const auto d = is_zero(bias) ? dnnl::matmul::desc(a, b, c) : dnnl::matmul::desc(a, b, bias, c);
    return dnnl::matmul::primitive_desc(d, attr, eng, true);
  } catch (const dnnl::error&) { return {}; }
}
inline dnnl::convolution_forward::primitive_desc conv_forward_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                 const dnnl::primitive_attr& attr) {
  using Desc = dnnl::convolution_forward::desc;
  const auto kind = kTraining;
  try {
    const auto d = is_zero(c.bias) ? Desc(kind, kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad_lo, c.pad_hi)
                                   : Desc(kind, kDirect, c.src, c.weights, c.bias, c.dst, c.strides, c.dilations, c.pad_lo, c.pad_hi);
    return dnnl::convolution_forward::primitive_desc(d, attr, eng, true);
  } catch (const dnnl::error&) { return {}; }
}
inline dnnl::convolution_backward_data::primitive_desc conv_backward_data_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                             const dnnl::primitive_attr& attr) {
  try {
    const auto hint = conv_forward_pd(eng, c, attr);
    if (!hint) return {};
    const dnnl::convolution_backward_data::desc d(kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad_lo, c.pad_hi);
    return dnnl::convolution_backward_data::primitive_desc(d, attr, eng, hint, true);
  } catch (const dnnl::error&) { return {}; }
}
inline dnnl::convolution_backward_weights::primitive_desc conv_backward_weights_pd(const dnnl::engine& eng, const ConvArgs& c,
                                                                                   const dnnl::primitive_attr& attr) {
  try {
    const auto hint = conv_forward_pd(eng, forward_of(c), attr);
    if (!hint) return {};
    const dnnl::convolution_backward_weights::desc d(kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad_lo, c.pad_hi);
    return dnnl::convolution_backward_weights::primitive_desc(d, attr, eng, hint, true);
  } catch (const dnnl::error&) { return {}; }
}
#endif

}  // namespace keras::cpu::shim
