// What lives here: quantizers and quantization configurations as objects, and their saved forms.
#include <keras/quantizers/quantizer.h>

#include <cmath>

#include <keras/base/error.h>
#include <keras/quantizers.h>

#include "serial/factories.h"

namespace keras::quantizers {

namespace {

using QuantizerFactories = serial::Factories<Quantizer>;

Value whole_number(double v) { return std::floor(v) == v ? Value(static_cast<int64_t>(v)) : Value(v); }
/// The elements of a list, or of a tuple as Keras saves it.
const List& items_of(const Value& v, const char* where) {
  const Value& items = v.is_dict() ? v.get("items") : v;
  if (!items.is_list()) throw ValueError(ErrorText{.what = "this is no list", .where = where, .received = v.str()}.str());
  return items.as_list();
}

QuantizerFactories& factories() {
  auto base = [](const Dict& config) {
    const Value* dtype = config.find("output_dtype");
    return std::make_shared<Quantizer>(dtype && dtype->is_string() ? dtype->as_string() : "int8");
  };
  auto abs_max = [](const Dict& config) -> std::shared_ptr<Quantizer> { return AbsMaxQuantizer::from_config(config); };
  static QuantizerFactories all("quantizer", {{"Quantizer", base}, {"quantizer", base}, {"AbsMaxQuantizer", abs_max}, {"abs_max_quantizer", abs_max}});
  return all;
}

}  // namespace

std::pair<Tensor, Tensor> Quantizer::call(const Tensor& x, const std::optional<Axes>&) const { return {x, {}}; }
Dict Quantizer::get_config() const {
  throw NotImplementedError(ErrorText{.what = "the quantizer has no get_config", .where = class_name(), .fix = "override get_config()"}.str());
}
Value Quantizer::serialize() const { return factories().object(class_name(), get_config()); }
std::shared_ptr<Quantizer> Quantizer::get(const Value& identifier) { return factories().get(identifier); }
void register_quantizer(const std::string& class_name, QuantizerFactory factory, const std::string& package) {
  factories().add(class_name, std::move(factory), package);
}

AbsMaxQuantizer::AbsMaxQuantizer(AbsMaxQuantizerOptions options) : Quantizer(options.output_dtype), options_(std::move(options)) {
  const auto& [low, high] = options_.value_range;
  if (options_.output_dtype == "int8" && (low < -128 || high > 127))
    throw ValueError(ErrorText{.what = "the range doesn't fit into int8", .where = "AbsMaxQuantizer", .expected = "a value_range within [-128, 127]",
                               .received = "[" + whole_number(low).str() + ", " + whole_number(high).str() + "]"}.str());
  dtype_from_name(options_.output_dtype);
}
std::shared_ptr<AbsMaxQuantizer> AbsMaxQuantizer::from_config(const Dict& config) {
  AbsMaxQuantizerOptions o;
  for (const auto& [key, v] : config) {
    if (key == "axis") {
      if (v.is_null()) continue;
      o.axis.emplace();
      if (v.is_int()) o.axis->push_back(static_cast<int>(v.as_int()));
      else
        for (const Value& a : items_of(v, "AbsMaxQuantizer, axis")) o.axis->push_back(static_cast<int>(a.as_int()));
    } else if (key == "value_range") {
      const List& range = items_of(v, "AbsMaxQuantizer, value_range");
      if (range.size() != 2) throw ValueError(ErrorText{.what = "value_range has two numbers", .where = "AbsMaxQuantizer", .received = v.str()}.str());
      o.value_range = {range[0].as_float(), range[1].as_float()};
    } else if (key == "epsilon") {
      o.epsilon = v.as_float();
    } else if (key == "output_dtype") {
      o.output_dtype = v.as_string();
    } else {
      throw ValueError(ErrorText{.what = "unknown configuration entry '" + key + "'" + did_you_mean(key, {"axis", "value_range", "epsilon", "output_dtype"}),
                                 .where = "AbsMaxQuantizer", .received = v.str()}.str());
    }
  }
  return std::make_shared<AbsMaxQuantizer>(std::move(o));
}
std::pair<Tensor, Tensor> AbsMaxQuantizer::call(const Tensor& x, const std::optional<Axes>& axis) const {
  Axes along = axis ? *axis : options_.axis ? Axes(*options_.axis) : Axes(-1);
  return abs_max_quantize(x, along, options_.value_range, dtype_from_name(options_.output_dtype), options_.epsilon);
}
Dict AbsMaxQuantizer::get_config() const {
  Dict d{{"value_range", List{whole_number(options_.value_range.first), whole_number(options_.value_range.second)}},
         {"epsilon", options_.epsilon},
         {"output_dtype", options_.output_dtype}};
  if (options_.axis) {
    List axes;
    for (int a : *options_.axis) axes.push_back(Value(a));
    d.set("axis", std::move(axes));
  }
  return d;
}

// ---- configurations
Dict QuantizationConfig::get_config() const {
  auto saved = [](const std::shared_ptr<Quantizer>& q) { return q ? q->serialize() : Value(); };
  return {{"weight_quantizer", saved(weight_)}, {"activation_quantizer", saved(activation_)}};
}
Value QuantizationConfig::serialize() const {
  return Dict{{"module", "keras.quantizers"}, {"class_name", class_name()}, {"config", get_config()}, {"registered_name", Value()}};
}
std::shared_ptr<QuantizationConfig> QuantizationConfig::get(const Value& identifier) {
  if (identifier.is_null()) return nullptr;
  const Value& cls = identifier.is_string() ? identifier : identifier.get("class_name");
  static const std::vector<std::string> known{"int8", "int4", "float8", "Int8QuantizationConfig", "Int4QuantizationConfig", "Float8QuantizationConfig"};
  if (!cls.is_string())
    throw ValueError(ErrorText{.what = "this is no quantization configuration", .expected = "a mode, or {\"class_name\": …, \"config\": …}", .received = identifier.str()}.str());
  const std::string& name = cls.as_string();
  const Value& saved = identifier.is_dict() ? identifier.get("config") : Value();
  bool fresh = !saved.is_dict();  // a name alone: the class' own defaults
  auto quantizer = [&](const char* key) { return fresh ? nullptr : Quantizer::get(saved.get(key)); };
  if (name == "int8" || name == known[3])
    return fresh ? std::make_shared<Int8QuantizationConfig>() : std::make_shared<Int8QuantizationConfig>(quantizer("weight_quantizer"), quantizer("activation_quantizer"));
  if (name == "int4" || name == known[4]) {
    if (fresh) return std::make_shared<Int4QuantizationConfig>();
    // Files from before there were groups have no block_size.
    const Value& size = saved.get("block_size");
    return std::make_shared<Int4QuantizationConfig>(quantizer("weight_quantizer"), quantizer("activation_quantizer"),
                                                    size.is_int() ? std::optional<int64_t>(size.as_int()) : std::nullopt);
  }
  if (name == "float8" || name == known[5]) return std::make_shared<Float8QuantizationConfig>();
  throw ValueError(ErrorText{.what = "there is no quantization configuration '" + name + "'" + did_you_mean(name, known), .received = identifier.str()}.str());
}

static void need_int8(const std::shared_ptr<Quantizer>& weight, const char* where) {
  if (weight && weight->output_dtype() != "int8")
    throw ValueError(ErrorText{.what = "the weight quantizer gives another dtype", .where = where, .expected = "output_dtype int8", .received = weight->output_dtype()}.str());
}
Int8QuantizationConfig::Int8QuantizationConfig(std::shared_ptr<Quantizer> weight)
    : Int8QuantizationConfig(std::move(weight), std::make_shared<AbsMaxQuantizer>()) {}
Int8QuantizationConfig::Int8QuantizationConfig(std::shared_ptr<Quantizer> weight, std::shared_ptr<Quantizer> activation)
    : QuantizationConfig(std::move(weight), std::move(activation)) {
  need_int8(weight_quantizer(), "Int8QuantizationConfig");
}
Int4QuantizationConfig::Int4QuantizationConfig(std::shared_ptr<Quantizer> weight, std::shared_ptr<Quantizer> activation, std::optional<int64_t> block_size)
    : QuantizationConfig(std::move(weight), std::move(activation)), block_size_(block_size) {
  const char* where = "Int4QuantizationConfig";
  if (block_size_ && *block_size_ != -1 && *block_size_ < 1)
    throw ValueError(ErrorText{.what = "block_size is no size", .where = where, .expected = "none, -1 or a number >= 1", .received = std::to_string(*block_size_)}.str());
  if (block_size_ && *block_size_ > 0 && (weight_quantizer() || activation_quantizer()))
    throw ValueError(ErrorText{.what = "groups and quantizers of one's own exclude each other", .where = where, .received = "block_size " + std::to_string(*block_size_),
                               .fix = "give block_size none, or leave the quantizers out"}.str());
  if (auto* abs_max = dynamic_cast<const AbsMaxQuantizer*>(weight_quantizer().get()); abs_max && abs_max->options().value_range != std::pair<double, double>{-8, 7})
    throw ValueError(ErrorText{.what = "the weight quantizer has another range", .where = where, .expected = "value_range (-8, 7)"}.str());
  need_int8(weight_quantizer(), where);
}
Dict Int4QuantizationConfig::get_config() const {
  Dict d = QuantizationConfig::get_config();
  d.set("block_size", block_size_ ? Value(*block_size_) : Value());
  return d;
}

}  // namespace keras::quantizers
