// What lives here: keras.quantizers' classes: quantizers as objects that are saved, and what says which ones a layer's weights and inputs
// get. No arithmetic of their own: that is in keras/quantizers.h.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/config.h>
#include <keras/core/tensor.h>
#include <keras/ops/types.h>

namespace keras::quantizers {

/// What brings numbers to fewer bits. Derive from it for one's own, and name it with `register_quantizer` so that saved ones can be read.
class Quantizer {
 public:
  explicit Quantizer(std::string output_dtype = "int8") : output_dtype_(std::move(output_dtype)) {}
  virtual ~Quantizer() = default;
  /// The numbers, of `output_dtype()`, and their scale; along `axis`, or the quantizer's own. The base gives the numbers as they are, and no
  /// scale.
  virtual std::pair<Tensor, Tensor> call(const Tensor& x, const std::optional<Axes>& axis) const;
  std::pair<Tensor, Tensor> operator()(const Tensor& x, const std::optional<Axes>& axis = {}) const { return call(x, axis); }
  const std::string& output_dtype() const { return output_dtype_; }
  virtual std::string class_name() const { return "Quantizer"; }
  /// NotImplementedError where a class of one's own has none.
  virtual Dict get_config() const;
  /// As saved: {"module": "keras.quantizers", "class_name": …, "config": …}.
  Value serialize() const;
  /// From a name or a saved form; null for null. ValueError otherwise, naming the nearest.
  static std::shared_ptr<Quantizer> get(const Value& identifier);

 private:
  std::string output_dtype_;
};

struct AbsMaxQuantizerOptions {
  /// Axes along which the largest value is sought where a call names none; the last one by default.
  std::optional<std::vector<int>> axis{};
  std::pair<double, double> value_range{-127, 127};
  double epsilon = config::epsilon();
  std::string output_dtype = "int8";
};
/// Keras' AbsMaxQuantizer: abs_max_quantize as an object. ValueError when a range doesn't fit into int8.
///
///     auto [numbers, scale] = keras::quantizers::AbsMaxQuantizer({.axis = {{0}}})(kernel);
class AbsMaxQuantizer : public Quantizer {
 public:
  explicit AbsMaxQuantizer(AbsMaxQuantizerOptions options = {});
  static std::shared_ptr<AbsMaxQuantizer> from_config(const Dict& config);
  std::pair<Tensor, Tensor> call(const Tensor& x, const std::optional<Axes>& axis) const override;
  std::string class_name() const override { return "AbsMaxQuantizer"; }
  Dict get_config() const override;
  const AbsMaxQuantizerOptions& options() const { return options_; }

 private:
  AbsMaxQuantizerOptions options_;
};

using QuantizerFactory = std::function<std::shared_ptr<Quantizer>(const Dict& config)>;
/// Makes `class_name` readable from names and saved forms.
void register_quantizer(const std::string& class_name, QuantizerFactory factory, const std::string& package = "Custom");

/// Which quantizers a layer's weights and its inputs get; null: the mode's own, or none.
class QuantizationConfig {
 public:
  virtual ~QuantizationConfig() = default;
  /// "int8", "int4" or "float8".
  virtual std::string mode() const = 0;
  virtual std::string class_name() const = 0;
  virtual Dict get_config() const;
  Value serialize() const;
  const std::shared_ptr<Quantizer>& weight_quantizer() const { return weight_; }
  const std::shared_ptr<Quantizer>& activation_quantizer() const { return activation_; }
  /// From a mode ("int8"), a class' name or a saved form; null for null. ValueError otherwise.
  static std::shared_ptr<QuantizationConfig> get(const Value& identifier);

 protected:
  QuantizationConfig(std::shared_ptr<Quantizer> weight, std::shared_ptr<Quantizer> activation) : weight_(std::move(weight)), activation_(std::move(activation)) {}

 private:
  std::shared_ptr<Quantizer> weight_, activation_;
};

/// Weights and inputs as int8. ValueError for a weight quantizer of another output dtype.
class Int8QuantizationConfig : public QuantizationConfig {
 public:
  explicit Int8QuantizationConfig(std::shared_ptr<Quantizer> weight_quantizer = nullptr);
  Int8QuantizationConfig(std::shared_ptr<Quantizer> weight_quantizer, std::shared_ptr<Quantizer> activation_quantizer);
  std::string mode() const override { return "int8"; }
  std::string class_name() const override { return "Int8QuantizationConfig"; }
};
/// Weights as int4, in groups of `block_size` rows, or whole columns where it is none or -1. ValueError for quantizers of one's own together
/// with groups, and for a weight quantizer of another range or output dtype.
class Int4QuantizationConfig : public QuantizationConfig {
 public:
  explicit Int4QuantizationConfig(std::shared_ptr<Quantizer> weight_quantizer = nullptr, std::shared_ptr<Quantizer> activation_quantizer = nullptr,
                                  std::optional<int64_t> block_size = 128);
  std::string mode() const override { return "int4"; }
  std::string class_name() const override { return "Int4QuantizationConfig"; }
  Dict get_config() const override;
  const std::optional<int64_t>& block_size() const { return block_size_; }

 private:
  std::optional<int64_t> block_size_;
};
/// Products in 8-bit floats.
class Float8QuantizationConfig : public QuantizationConfig {
 public:
  Float8QuantizationConfig() : QuantizationConfig(nullptr, nullptr) {}
  std::string mode() const override { return "float8"; }
  std::string class_name() const override { return "Float8QuantizationConfig"; }
  Dict get_config() const override { return {}; }
};

inline Value serialize(const Quantizer& quantizer) { return quantizer.serialize(); }
inline std::shared_ptr<Quantizer> deserialize(const Value& config) { return Quantizer::get(config); }
inline std::shared_ptr<Quantizer> get(const Value& identifier) { return Quantizer::get(identifier); }

}  // namespace keras::quantizers

namespace keras {
using quantizers::Quantizer;
}  // namespace keras
