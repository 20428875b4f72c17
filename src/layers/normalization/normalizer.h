// What lives here: what the layers that normalise over one axis or several have in common: which axes, weights along them, explanations.
#pragma once
#include <fmt/format.h>
#include <algorithm>

#include <keras/ops/types.h>

#include "layers/layer_impl.h"

namespace keras::layers {

/// The weights after normalising: gamma where `scale`, beta where `center`, with what the options say of them.
template <class Options> void add_gamma_and_beta(LayerImpl& layer, const Options& o, bool scale, bool center, const Shape& shape, Variable& gamma, Variable& beta) {
  if (scale)
    gamma = layer.add_weight(
        {.name = "gamma", .shape = shape, .initializer = o.gamma_initializer, .regularizer = o.gamma_regularizer, .constraint = o.gamma_constraint, .autocast = false});
  if (center)
    beta = layer.add_weight(
        {.name = "beta", .shape = shape, .initializer = o.beta_initializer, .regularizer = o.beta_regularizer, .constraint = o.beta_constraint, .autocast = false});
}

/// Axes to normalise over. Building turns one axis into a list and sorts it as given, and configurations show that, as Keras' do.
struct Normalizer : LayerImpl {
  Axes axis;
  explicit Normalizer(const Axes& a) : axis(a) {}

  void check_axes() const {
    if (axis.all())
      throw ValueError(ErrorText{
          .what = class_name_ + ": axis is missing", .where = where(), .expected = "an axis, or a list of axes", .received = "none"}
                           .str());
  }
  /// The axes of an input within [0, rank), sorted; ValueError naming the layer when they are outside.
  std::vector<int64_t> axes_of(const Shape& input) const {
    for (int a : axis.list())
      if (a >= input.rank() || a < -input.rank())
        throw ValueError(
            ErrorText{.what = fmt::format("{}: axis {} is out of bounds", class_name_, a),
                      .where = where(),
                      .expected = fmt::format("axes of an input of rank {}: {} to {}", input.rank(), -input.rank(), input.rank() - 1),
                      .received = "input " + input.str()}
                .str());
    return axis.resolve(input.rank(), class_name_.c_str());
  }
  /// The shape of weights along the axes, which become a sorted list.
  Shape settle(const Shape& input) {
    axes_of(input);
    std::vector<int> sorted = axis.list();
    std::sort(sorted.begin(), sorted.end());
    axis = Axes(sorted);
    Shape s;
    for (int a : sorted) s.push_back(input[a]);
    return s;
  }
  std::string axes_text(const Shape& input) const {
    std::string s;
    for (int64_t a : axes_of(input)) s += (s.empty() ? "axis " : ", ") + std::to_string(a);
    return s;
  }
  Explanation explain_axes(const Shape& in, const std::string& done) const {
    Explanation e;
    std::vector<int64_t> over = axes_of(in);
    for (int i = 0; i < in.rank(); ++i)
      e.axes.push_back(std::find(over.begin(), over.end(), i) != over.end() ? "kept: the numbers along it are " + done + " together"
                       : i == 0                                             ? "batch, as it came in"
                                                                            : "kept from the input: each place for itself");
    return e;
  }
};

}  // namespace keras::layers
