// What lives here: ActivityRegularization.
#include <keras/layers/regularization/activity_regularization.h>
#include <keras/regularizers.h>

#include "layers/layer_impl.h"

namespace keras::layers {

namespace {
struct ActivityRegularizationImpl : LayerImpl {
  ActivityRegularizationOptions o;
  explicit ActivityRegularizationImpl(const ActivityRegularizationOptions& options) : o(options) {
    init_common("ActivityRegularization", o);
    symbolic_in_compute_dtype_ = true;
    activity_regularizer_ = regularizers::L1L2({.l1 = o.l1, .l2 = o.l2});
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return {c.input()}; }
  /// l1 and l2 say it already.
  Dict config() const override {
    Dict d = LayerImpl::config();
    d.erase("activity_regularizer");
    return d;
  }
  Dict own_config() const override { return serial::to_config(o); }
};
}  // namespace

ActivityRegularization::ActivityRegularization(const ActivityRegularizationOptions& o) : Layer(make_impl<ActivityRegularizationImpl>(o)) {}
Layer ActivityRegularization::from_config(const Dict& c) { return ActivityRegularization(options_from<ActivityRegularizationOptions>(c, "ActivityRegularization")); }

}  // namespace keras::layers
