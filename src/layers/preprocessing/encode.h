// What lives here: how the layers that find categories write them out, and the help that they share. No layer.
#pragma once
#include <array>
#include <string>
#include <vector>

#include <keras/base/string_array.h>

#include "layers/layer_impl.h"

namespace keras::layers {

/// Indices as they are ("int": int32), or "one_hot", "multi_hot", "count" of `depth` in `dtype`; indices outside [0, depth) count nothing.
/// "one_hot" drops a last axis of size 1; the others sum over axis 1, or the only one. `weights` go with "count" and have the indices' shape.
Tensor encode_categories(const Tensor& indices, const std::string& mode, int64_t depth, DType dtype, const Tensor& weights = Tensor());

/// ValueError naming option, value and what is accepted.
void check_option(const LayerImpl& layer, const std::string& option, const std::string& value, const std::vector<std::string>& known);
[[noreturn]] void bad_option(const LayerImpl& layer, const std::string& option, const std::string& expected, const Value& received);
/// Sparse and ragged results are TensorFlow's alone.
void refuse(const LayerImpl& layer, const std::string& option, bool value);

/// A salt: null, a number (twice), or two numbers.
struct Salt {
  bool given = false;
  std::array<uint64_t, 2> key{};
  Salt() = default;
  Salt(const LayerImpl& layer, const Value& option);
  Value config() const { return given ? Value(List{Value(static_cast<int64_t>(key[0])), Value(static_cast<int64_t>(key[1]))}) : Value(); }
  /// The bin of a text.
  int64_t bin(const std::string& text, int64_t bins) const;
};

/// The inside of a handle as `Impl`; TypeError naming what it is instead.
template <class Impl> Impl& inside(const Layer& layer, const char* wanted) {
  if (auto* impl = dynamic_cast<Impl*>(layer.impl().get())) return *impl;
  throw TypeError(ErrorText{.what = "the layer is another one",
                            .where = layer ? "layer \"" + layer.name() + "\"" : "an empty handle",
                            .expected = wanted,
                            .received = layer ? layer.class_name() : "nothing"}
                      .str());
}

}  // namespace keras::layers
