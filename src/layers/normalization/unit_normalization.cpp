// What lives here: UnitNormalization.
#include <keras/layers/normalization/unit_normalization.h>
#include <keras/ops.h>

#include "layers/normalization/normalizer.h"

namespace keras::layers {

namespace {
struct UnitNormalizationImpl : Normalizer {
  explicit UnitNormalizationImpl(const UnitNormalizationOptions& o) : Normalizer(o.axis) {
    init_common("UnitNormalization", o);
    check_axes();
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override {
    axes_of(c.input().shape());
    return {ops::normalize(c.input(), axis, 2, 1e-12)};
  }
  Dict own_config() const override { return {{"axis", to_value(axis)}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    return explain_axes(in.at(0), "brought to length 1");
  }
};
}  // namespace

UnitNormalization::UnitNormalization(const UnitNormalizationOptions& o) : Layer(make_impl<UnitNormalizationImpl>(o)) {}
Layer UnitNormalization::from_config(const Dict& c) {
  return UnitNormalization(options_from<UnitNormalizationOptions>(c, "UnitNormalization"));
}

}  // namespace keras::layers
