// What lives here: FeatureSpace: which layers a table's columns pass through, and in what order their results stand.
#include <keras/utils/feature_space.h>

#include <algorithm>

#include <keras/layers/core/identity.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/preprocessing/category.h>
#include <keras/layers/preprocessing/lookup.h>
#include <keras/layers/preprocessing/normalization.h>
#include <keras/layers/preprocessing/rescaling.h>
#include <keras/ops.h>

#include "core/impl.h"

namespace keras::utils {

namespace {

using Table = FeatureSpace::Table;
using Column = FeatureSpace::Column;
constexpr const char* kWhere = "FeatureSpace";
constexpr const char* kModule = "keras.src.layers.preprocessing.feature_space";

[[noreturn]] void refuse_features(const std::string& what, const std::string& expected = "", const std::string& received = "", const std::string& fix = "") {
  throw ValueError(ErrorText{.what = what, .where = kWhere, .expected = expected, .received = received, .fix = fix}.str());
}
void need_mode(const std::string& mode, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), mode) != known.end()) return;
  std::string all;
  for (const std::string& k : known) all += (all.empty() ? "" : ", ") + k;
  refuse_features("output_mode is unknown" + did_you_mean(mode, known), "one of " + all, mode);
}
std::string part_name(const std::string& given, const char* kind) { return (given.empty() ? core::unique_name(kind) : given) + "_preprocessor"; }

const Column& column_of(const Table& table, const std::string& name) {
  auto at = table.find(name);
  if (at != table.end()) return at->second;
  std::string there;
  for (const auto& [n, c] : table) there += (there.empty() ? "" : ", ") + n;
  refuse_features("the table has no column '" + name + "'", "", there);
}
Shape shape_of(const Column& c) {
  return std::visit([](const auto& v) -> Shape {
    if constexpr (std::is_same_v<std::decay_t<decltype(v)>, Tensor>) return v.shape();
    else return v.shape;
  }, c);
}
Column reshaped(const Column& c, const Shape& shape) {
  if (const Tensor* t = std::get_if<Tensor>(&c)) return ops::reshape(*t, shape);
  return StringArray(shape, std::get<StringArray>(c).values);
}
/// (rows, n) from (), (rows,) and what has it already.
Column with_axis(const Column& c) {
  Shape s = shape_of(c);
  if (s.rank() == 0) return reshaped(c, {1, 1});
  return s.rank() == 1 ? reshaped(c, {s[0], 1}) : c;
}
Tensor through(const Layer& layer, const Column& c, const std::string& dtype, const std::string& name) {
  if (const Tensor* t = std::get_if<Tensor>(&c)) return layer(dtype == "float32" && !is_floating(t->dtype()) ? ops::cast(*t, DType::Float32) : *t);
  const StringArray& text = std::get<StringArray>(c);
  const std::string& cls = layer.class_name();
  if (cls == "StringLookup") return layers::StringLookup(layer)(text);
  if (cls == "TextVectorization") return layers::TextVectorization(layer)(text);
  if (cls == "Hashing") return layers::Hashing(layer)(text);
  refuse_features("the column '" + name + "' holds strings, which its layer doesn't take", "StringLookup, TextVectorization or Hashing", cls);
}
/// What `adapt` of a layer gets: one number or string per row of (n, 1), as Keras' data set does.
Column for_adapt(const Column& c) {
  Shape s = shape_of(c);
  return s.rank() <= 2 ? reshaped(c, {s.numel(), 1}) : c;
}
Value saved_part(const char* cls, Dict config) {
  return Dict{{"module", kModule}, {"class_name", cls}, {"config", std::move(config)}, {"registered_name", cls}};
}

}  // namespace

// ---- features and crosses
FeatureSpace::Feature::Feature(std::string dtype, Layer preprocessor, std::string output_mode)
    : dtype_(std::move(dtype)), output_mode_(std::move(output_mode)), preprocessor_(std::move(preprocessor)) {
  need_mode(output_mode_, {"int", "one_hot", "float"});
  if (!preprocessor_) refuse_features("a feature needs a preprocessor");
}
Dict FeatureSpace::Feature::get_config() const {
  Value layer = layers::serialize(preprocessor_);
  if (preprocessor_.class_name() == "Identity") {
    Dict d = layer.as_dict();
    d.set("module", kModule), d.set("class_name", "TFDIdentity"), d.set("registered_name", "TFDIdentity"), d.erase("build_config");
    layer = d;
  }
  return {{"dtype", dtype_}, {"preprocessor", layer}, {"output_mode", output_mode_}};
}
std::string FeatureSpace::Cross::name() const {
  std::string all;
  for (const std::string& n : feature_names) all += (all.empty() ? "" : "_X_") + n;
  return all;
}
FeatureSpace::Cross FeatureSpace::cross(std::vector<std::string> feature_names, int64_t crossing_dim, const std::string& output_mode) {
  need_mode(output_mode, {"int", "one_hot"});
  return {std::move(feature_names), crossing_dim, output_mode};
}

using Feature = FeatureSpace::Feature;
Feature FeatureSpace::float_(const std::string& name) { return {"float32", layers::Identity({.name = part_name(name, "float"), .dtype = "float32"}), "float"}; }
Feature FeatureSpace::float_rescaled(double scale, double offset, const std::string& name) {
  return {"float32", layers::Rescaling(scale, {.offset = offset, .name = part_name(name, "float_rescaled")}), "float"};
}
Feature FeatureSpace::float_normalized(const std::string& name) { return {"float32", layers::Normalization({.name = part_name(name, "float_normalized")}), "float"}; }
Feature FeatureSpace::float_discretized(int64_t num_bins, const std::optional<std::vector<double>>& bin_boundaries, const std::string& output_mode, const std::string& name) {
  layers::DiscretizationOptions o{.bin_boundaries = bin_boundaries, .name = part_name(name, "float_discretized")};
  if (!bin_boundaries) o.num_bins = num_bins;
  return {"float32", layers::Discretization(o), output_mode};
}
Feature FeatureSpace::integer_categorical(std::optional<int64_t> max_tokens, int64_t num_oov_indices, const std::string& output_mode, const std::string& name) {
  return {"int32", layers::IntegerLookup({.max_tokens = max_tokens, .num_oov_indices = num_oov_indices, .name = part_name(name, "integer_categorical")}), output_mode};
}
Feature FeatureSpace::string_categorical(std::optional<int64_t> max_tokens, int64_t num_oov_indices, const std::string& output_mode, const std::string& name) {
  return {"string", layers::StringLookup({.max_tokens = max_tokens, .num_oov_indices = num_oov_indices, .name = part_name(name, "string_categorical")}), output_mode};
}
Feature FeatureSpace::string_hashed(int64_t num_bins, const std::string& output_mode, const std::string& name) {
  return {"string", layers::Hashing(num_bins, {.name = part_name(name, "string_hashed")}), output_mode};
}
Feature FeatureSpace::integer_hashed(int64_t num_bins, const std::string& output_mode, const std::string& name) {
  return {"int32", layers::Hashing(num_bins, {.name = part_name(name, "integer_hashed")}), output_mode};
}

// ---- the space
FeatureSpace::FeatureSpace(Features features, Options options) : features_(std::move(features)), options_(std::move(options)) {
  name_ = options_.name ? *options_.name : core::unique_name("feature_space");
  if (features_.empty()) refuse_features("there are no features");
  need_mode(options_.output_mode, {"concat", "dict"});
  static const std::vector<std::string> kinds{"float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical", "string_categorical", "integer_hashed", "string_hashed"};
  for (auto& [name, f] : features_) {
    if (std::count_if(features_.begin(), features_.end(), [&, &n = name](const auto& e) { return e.first == n; }) > 1) refuse_features("two features have the name '" + name + "'");
    if (f.preprocessor_) continue;
    if (f.kind_ == "float") f = float_(name);
    else if (f.kind_ == "float_rescaled") f = float_rescaled(1, 0, name);
    else if (f.kind_ == "float_normalized") f = float_normalized(name);
    else if (f.kind_ == "float_discretized") f = float_discretized(options_.num_discretization_bins, {}, "one_hot", name);
    else if (f.kind_ == "integer_categorical") f = integer_categorical({}, 1, "one_hot", name);
    else if (f.kind_ == "string_categorical") f = string_categorical({}, 1, "one_hot", name);
    else if (f.kind_ == "integer_hashed") f = integer_hashed(options_.hashing_dim, "one_hot", name);
    else if (f.kind_ == "string_hashed") f = string_hashed(options_.hashing_dim, "one_hot", name);
    else refuse_features("the feature '" + name + "' is of an unknown kind" + did_you_mean(f.kind_, kinds), "", f.kind_);
  }
  for (Cross& c : options_.crosses) {
    for (const std::string& n : c.feature_names)
      if (std::none_of(features_.begin(), features_.end(), [&](const auto& e) { return e.first == n; })) refuse_features("a cross names a feature that is not there", "", n);
    need_mode(c.output_mode, {"int", "one_hot"});
    if (!c.crossing_dim) c.crossing_dim = options_.crossing_dim;
    crossers_.emplace(c.name(), layers::HashedCrossing(*c.crossing_dim, {.name = c.name()}));
  }
}

bool FeatureSpace::to_learn(const Layer& l) const {
  const std::string& cls = l.class_name();
  Dict config = l.config();
  auto given = [&](const char* key) { return config.contains(key) && !config.at(key).is_null(); };
  if (cls == "Normalization") return !given("mean");
  if (cls == "Discretization") return !given("bin_boundaries");
  if (cls == "StringLookup" || cls == "IntegerLookup" || cls == "TextVectorization") return !given("vocabulary");
  return false;
}
void FeatureSpace::check_adapted() const {
  if (adapted_) return;
  for (const auto& [name, f] : features_)
    if (to_learn(f.preprocessor())) refuse_features("the feature '" + name + "' has learned nothing yet", "", "", "call adapt() with data first");
}
void FeatureSpace::adapt(const Table& table) { adapt(std::vector<Table>{table}); }
void FeatureSpace::adapt(const std::vector<Table>& batches) {
  if (batches.empty()) refuse_features("adapt() got no data");
  for (const auto& [name, f] : features_) {
    const Layer& layer = f.preprocessor();
    if (!to_learn(layer)) continue;
    Tensors numbers;
    std::vector<StringArray> texts;
    for (const Table& batch : batches) {
      Column c = for_adapt(column_of(batch, name));
      if (const Tensor* t = std::get_if<Tensor>(&c)) numbers.push_back(*t);
      else texts.push_back(std::get<StringArray>(c));
    }
    const std::string& cls = layer.class_name();
    bool text = cls == "StringLookup" || cls == "TextVectorization";
    if (text != numbers.empty()) refuse_features("the column '" + name + "' holds " + (text ? "numbers" : "strings"), text ? "strings" : "numbers");
    if (cls == "Normalization") layers::Normalization(layer).adapt(numbers);
    else if (cls == "Discretization") layers::Discretization(layer).adapt(numbers);
    else if (cls == "IntegerLookup") layers::IntegerLookup(layer).adapt(numbers);
    else if (cls == "StringLookup") layers::StringLookup(layer).adapt(texts);
    else layers::TextVectorization(layer).adapt(texts);
  }
  adapted_ = true;
  encoders_.clear();
}

int64_t FeatureSpace::cardinality(const std::string& name, const Layer& l) const {
  const std::string& cls = l.class_name();
  if (cls == "IntegerLookup") return layers::IntegerLookup(l).vocabulary_size();
  if (cls == "StringLookup") return layers::StringLookup(l).vocabulary_size();
  if (cls == "Discretization") return static_cast<int64_t>(layers::Discretization(l).bin_boundaries().size()) + 1;
  if (cls == "Hashing" || cls == "HashedCrossing") return l.config().at("num_bins").as_int();
  if (cls == "CategoryEncoding") return l.config().at("num_tokens").as_int();
  refuse_features("how many values the feature '" + name + "' has is not known, so it can't be one-hot encoded", "", cls, "use output_mode \"int\"");
}

std::map<std::string, Tensor> FeatureSpace::encode(const Table& table) const {
  check_adapted();
  std::map<std::string, Tensor> encoded;
  bool alone = false;
  for (const auto& [name, f] : features_) {
    const Column& c = column_of(table, name);
    alone |= shape_of(c).rank() == 0;
    encoded.emplace(name, through(f.preprocessor(), with_axis(c), f.dtype(), name));
  }
  std::map<std::string, Tensor> crossed;
  for (const Cross& c : options_.crosses) {
    Tensors parts;
    for (const std::string& n : c.feature_names) parts.push_back(encoded.at(n));
    crossed.emplace(c.name(), crossers_.at(c.name())(parts));
  }
  auto one_hot = [&](const std::string& name, Tensor& t, const std::string& mode, const Layer& layer) {
    if (mode != "one_hot") return;
    if (!is_integer(t.dtype())) refuse_features("the feature '" + name + "' is to be one-hot encoded, but its layer gives no whole numbers", "", dtype_name(t.dtype()));
    auto at = encoders_.find(name);
    if (at == encoders_.end()) at = encoders_.emplace(name, layers::CategoryEncoding(cardinality(name, layer), {.output_mode = "multi_hot"})).first;
    t = at->second(t);
  };
  for (const auto& [name, f] : features_) one_hot(name, encoded.at(name), f.output_mode(), f.preprocessor());
  for (const Cross& c : options_.crosses) {
    Tensor& t = crossed.at(c.name());
    one_hot(c.name(), t, c.output_mode, crossers_.at(c.name()));
    encoded.emplace(c.name(), t);
  }
  if (alone)
    for (auto& [name, t] : encoded)
      if (t.rank() > 1 && t.shape()[0] == 1) t = ops::squeeze(t, 0);
  return encoded;
}
Tensor FeatureSpace::operator()(const Table& table) const {
  if (options_.output_mode != "concat") refuse_features("this space gives encodings by name", "output_mode \"concat\"", options_.output_mode, "call encode(table)");
  std::map<std::string, Tensor> encoded = encode(table);
  std::vector<std::string> own, crosses;
  for (const auto& [name, f] : features_) own.push_back(name);
  for (const auto& [name, l] : crossers_) crosses.push_back(name);
  std::sort(own.begin(), own.end());
  Tensors parts;
  for (const auto* names : {&own, &crosses})
    for (const std::string& n : *names) {
      if (is_integer(encoded.at(n).dtype()))
        refuse_features("the feature '" + n + "' is not encoded and can't stand beside the others", "", dtype_name(encoded.at(n).dtype()), "use output_mode \"dict\"");
      parts.push_back(encoded.at(n));
    }
  return ops::concatenate(parts, -1);
}

const std::map<std::string, Tensor>& FeatureSpace::get_inputs() const {
  if (!inputs_.empty()) return inputs_;
  std::map<std::string, Tensor> made;
  for (const auto& [name, f] : features_) {
    if (f.dtype() == "string")
      throw NotImplementedError(ErrorText{.what = "a model has no inputs of strings", .where = "FeatureSpace, feature '" + name + "'", .fix = "encode the table ahead: space(table)"}.str());
    made.emplace(name, Input({1}, {.dtype = f.dtype(), .name = name}));
  }
  return inputs_ = std::move(made);
}
Tensor FeatureSpace::get_encoded_features() const {
  Table table;
  for (const auto& [name, t] : get_inputs()) table.emplace(name, t);
  return (*this)(table);
}

const Layer& FeatureSpace::preprocessor(const std::string& feature) const {
  for (const auto& [name, f] : features_)
    if (name == feature) return f.preprocessor();
  refuse_features("there is no feature '" + feature + "'");
}
const Layer& FeatureSpace::crosser(const std::string& cross) const {
  auto at = crossers_.find(cross);
  if (at == crossers_.end()) refuse_features("there is no cross '" + cross + "'");
  return at->second;
}

Dict FeatureSpace::get_config() const {
  Dict features;
  for (const auto& [name, f] : features_) features.set(name, saved_part("Feature", f.get_config()));
  List crosses;
  for (const Cross& c : options_.crosses) {
    List names;
    for (const std::string& n : c.feature_names) names.push_back(Value(n));
    crosses.push_back(saved_part("Cross", {{"feature_names", names}, {"crossing_dim", *c.crossing_dim}, {"output_mode", c.output_mode}}));
  }
  return {{"features", features},
          {"output_mode", options_.output_mode},
          {"crosses", crosses},
          {"crossing_dim", options_.crossing_dim},
          {"hashing_dim", options_.hashing_dim},
          {"num_discretization_bins", options_.num_discretization_bins}};
}
FeatureSpace FeatureSpace::from_config(const Dict& config) {
  Features features;
  const Value* saved = config.find("features");
  if (!saved || !saved->is_dict()) refuse_features("the configuration has no features");
  for (const auto& [name, v] : saved->as_dict()) {
    if (v.is_string()) {
      features.emplace_back(name, v.as_string());
      continue;
    }
    const Value& c = v.get("config");
    Value layer = c.get("preprocessor");
    if (layer.get("class_name") == Value("TFDIdentity")) {
      Dict d = layer.as_dict();
      d.set("module", "keras.layers"), d.set("class_name", "Identity"), d.set("registered_name", Value());
      layer = d;
    }
    features.emplace_back(name, Feature(c.get("dtype").as_string(), layers::deserialize(layer), c.get("output_mode").as_string()));
  }
  Options o;
  auto number = [&](const char* key, int64_t& to) {
    if (const Value* v = config.find(key); v && v->is_int()) to = v->as_int();
  };
  if (const Value* v = config.find("output_mode")) o.output_mode = v->as_string();
  number("crossing_dim", o.crossing_dim), number("hashing_dim", o.hashing_dim), number("num_discretization_bins", o.num_discretization_bins);
  if (const Value* v = config.find("name"); v && v->is_string()) o.name = v->as_string();
  if (const Value* v = config.find("crosses"); v && v->is_list())
    for (const Value& saved_cross : v->as_list()) {
      const Value& c = saved_cross.get("config");
      std::vector<std::string> names;
      for (const Value& n : c.get("feature_names").as_list()) names.push_back(n.as_string());
      o.crosses.push_back(cross(std::move(names), c.get("crossing_dim").as_int(), c.get("output_mode").as_string()));
    }
  return FeatureSpace(std::move(features), std::move(o));
}

}  // namespace keras::utils
