// What lives here: Bidirectional.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct BidirectionalOptions {
  /// How the two outputs become one: "concat", "sum", "mul", "ave", or none: both are returned.
  std::optional<std::string> merge_mode = "concat";
  /// Runs backwards in place of a copy of `layer`; must agree with it in all but go_backwards.
  Layer backward_layer{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(merge_mode)
};

/// Keras' Bidirectional: a copy of a recurrent layer that walks forward and one that walks backwards over the same sequence. With
/// `initial_state`, the first half goes to the forward layer. Masked steps of sequences give zeros.
///
///     keras::Tensor y = keras::layers::Bidirectional(keras::layers::LSTM(10))(keras::Input({5, 3}));  // (None, 20)
class Bidirectional : public Layer {
 public:
  explicit Bidirectional(const Layer& layer, const BidirectionalOptions& options = {});
  static Layer from_config(const Dict& config);
  Layer forward_layer() const;
  Layer backward_layer() const;
  /// Zeroes the states of a stateful pair.
  void reset_state() const;
  void reset_states() const { reset_state(); }
};

}  // namespace keras::layers
