// What lives here: what a dot or a convolution does to its result before it leaves the cache: bias, residual, activation. No
// kernel of its own, no oneDNN.
#pragma once
#include <cstdint>

#include <keras/base/dtype.h>

namespace keras::cpu {

/// y = act(y + bias + add), bias along the last axis of the output, add of the output's shape.
struct Epilogue {
  enum class Act : uint8_t { None, Relu, Relu6, Gelu, GeluTanh, Tanh, Sigmoid, Elu, Swish, HardSwish };
  bool bias = false;
  Act act = Act::None;
  /// Relu: slope below zero (0 for the plain one). Elu: Keras' alpha. Ignored by the others.
  float alpha = 0;
  /// An input of the output's shape is added before the activation.
  bool add = false;

  bool empty() const { return !bias && !add && act == Act::None; }
  friend bool operator==(const Epilogue&, const Epilogue&) = default;
};

/// The epilogue on `rows` rows of `cols` elements, `ld` elements from row to row (the same in y and add). A null bias or add is left
/// out. NaN stays NaN. 16-bit floats compute in float32; integers take Act::None, Relu and Relu6 only.
void apply_epilogue(const Epilogue& e, DType dtype, void* y, const void* bias, const void* add, int64_t rows, int64_t cols, int64_t ld);
/// TypeError where the dtype has no such activation.
void check_epilogue(const Epilogue& e, DType dtype, const char* where);

/// 16-bit floats to float32 and back (round to nearest even); `dtype` is Float16 or BFloat16.
void widen(DType dtype, const void* from, float* to, int64_t n);
void narrow(DType dtype, const float* from, void* to, int64_t n);

}  // namespace keras::cpu
