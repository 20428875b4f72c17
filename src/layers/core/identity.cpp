// What lives here: Identity.
#include <keras/layers/core/identity.h>

#include "layers/layer_impl.h"

namespace keras::layers {

namespace {
struct IdentityImpl : LayerImpl {
  explicit IdentityImpl(const IdentityOptions& o) {
    init_common("Identity", o);
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return c.inputs; }
  Tensors compute_mask(const Call& c, size_t) override { return c.masks; }
};
}  // namespace

Identity::Identity(const IdentityOptions& o) : Layer(make_impl<IdentityImpl>(o)) {}
Layer Identity::from_config(const Dict& c) { return Identity(common_options_from<IdentityOptions>(c)); }

}  // namespace keras::layers
