// What lives here: ActivityRegularization.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct ActivityRegularizationOptions {
  double l1 = 0.0;
  double l2 = 0.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(l1, l2)
};
/// Keras' ActivityRegularization: gives its input and adds (l1 * sum |x| + l2 * sum x²) / batch size to the loss.
class ActivityRegularization : public Layer {
 public:
  explicit ActivityRegularization(const ActivityRegularizationOptions& options = {});
  KERAS_EMPTY_BRACES(ActivityRegularization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
