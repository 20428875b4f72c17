// What lives here: TimeDistributed.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct TimeDistributedOptions {
  KERAS_LAYER_OPTIONS
};

/// Keras' TimeDistributed: one layer, with one set of weights, for every step of (batch, time, …). A mask (batch, time, …) reaches
/// layers that take one, step by step.
///
///     keras::Tensor y = keras::layers::TimeDistributed(keras::layers::Dense(4))(keras::Input({10, 3}));  // (None, 10, 4)
class TimeDistributed : public Layer {
 public:
  explicit TimeDistributed(const Layer& layer, const TimeDistributedOptions& options = {});
  static Layer from_config(const Dict& config);
  Layer layer() const;
};

}  // namespace keras::layers
