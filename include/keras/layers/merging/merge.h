// What lives here: layers that make one tensor out of several: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot, and
// their function forms.
#pragma once
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

struct MergeOptions {
  KERAS_LAYER_OPTIONS
};
// The elementwise ones take a list of tensors of one batch size whose other axes broadcast, a lower rank being filled up after the
// batch axis. ValueError where they do not. Where all inputs have masks, the output's is their union.

/// Keras' Add: the sum of the inputs. `Add()({a, b, c})`.
class Add : public Layer {
 public:
  explicit Add(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Add)
  static Layer from_config(const Dict& config);
};
/// Keras' Subtract: the first of two inputs minus the second.
class Subtract : public Layer {
 public:
  explicit Subtract(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Subtract)
  static Layer from_config(const Dict& config);
};
/// Keras' Multiply: the product of the inputs. What is masked counts as 1; where everything is, the output is 0.
class Multiply : public Layer {
 public:
  explicit Multiply(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Multiply)
  static Layer from_config(const Dict& config);
};
/// Keras' Average: the mean of the inputs.
class Average : public Layer {
 public:
  explicit Average(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Average)
  static Layer from_config(const Dict& config);
};
/// Keras' Maximum: the largest of the inputs that are not masked, element by element.
class Maximum : public Layer {
 public:
  explicit Maximum(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Maximum)
  static Layer from_config(const Dict& config);
};
/// Keras' Minimum: the smallest of the inputs that are not masked, element by element.
class Minimum : public Layer {
 public:
  explicit Minimum(const MergeOptions& options = {});
  KERAS_EMPTY_BRACES(Minimum)
  static Layer from_config(const Dict& config);
};

struct ConcatenateOptions {
  int64_t axis = -1;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(axis)
};
/// Keras' Concatenate: the inputs one after the other along `axis` (the batch is axis 0); all other axes must agree. A masked input
/// gives the output a mask, in which the inputs without one count as not masked.
class Concatenate : public Layer {
 public:
  explicit Concatenate(const ConcatenateOptions& options = {});
  explicit Concatenate(int64_t axis, ConcatenateOptions options = {});
  static Layer from_config(const Dict& config);
};

struct DotOptions {
  /// Makes each vector along the contracted axes one of length 1 before: the cosine of two vectors.
  bool normalize = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(normalize)
};
/// Keras' Dot: sums products along one axis of each of two inputs, per sample. `axes`: one number for both, or one for each; the batch
/// is axis 0 and can't be contracted. (batch, a…, n) and (batch, n, b…) with axes {last, 1} give (batch, a…, b…); two vectors give
/// (batch, 1).
class Dot : public Layer {
 public:
  explicit Dot(const Axes& axes, const DotOptions& options = {});
  static Layer from_config(const Dict& config);
};

// ---- the layers as functions
Tensor add(const Tensors& inputs, const MergeOptions& options = {});
Tensor subtract(const Tensors& inputs, const MergeOptions& options = {});
Tensor multiply(const Tensors& inputs, const MergeOptions& options = {});
Tensor average(const Tensors& inputs, const MergeOptions& options = {});
Tensor maximum(const Tensors& inputs, const MergeOptions& options = {});
Tensor minimum(const Tensors& inputs, const MergeOptions& options = {});
Tensor concatenate(const Tensors& inputs, int64_t axis = -1, ConcatenateOptions options = {});
Tensor dot(const Tensors& inputs, const Axes& axes = -1, const DotOptions& options = {});

}  // namespace keras::layers
