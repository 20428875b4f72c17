// What lives here: CategoryEncoding, Discretization, Hashing, HashedCrossing.
#include <keras/layers/preprocessing/category.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <numeric>

#include <keras/ops.h>

#include "layers/preprocessing/encode.h"
#include "prims/build.h"
#include "prims/hash.h"

namespace keras::layers {

namespace {

std::string encoded_axis(int64_t depth, const char* option, const char* what) {
  return fmt::format("{}={}: one place for each {}", option, depth, what);
}

struct CategoryEncodingImpl : LayerImpl {
  int64_t num_tokens;
  CategoryEncodingOptions o;
  CategoryEncodingImpl(int64_t n, const CategoryEncodingOptions& options) : num_tokens(n), o(options) {
    init_common("CategoryEncoding", o);
    if (o.output_mode == "binary") o.output_mode = "multi_hot";
    check_option(*this, "output_mode", o.output_mode, {"count", "one_hot", "multi_hot"});
    if (num_tokens < 1) bad_option(*this, "num_tokens", "a whole number >= 1", num_tokens);
    refuse(*this, "sparse", o.sparse);
  }
  Tensors call(const Call& c) override {
    Tensor weights = c.tensor(1, "count_weights");
    if (weights.defined() && o.output_mode != "count")
      throw ValueError(ErrorText{.what = "weights of counts go with output_mode \"count\" alone",
                                 .where = where(),
                                 .received = "output_mode \"" + o.output_mode + "\""}
                           .str());
    if (weights.defined()) weights = ops::cast(weights, compute_dtype_);
    return {encode_categories(c.input(), o.output_mode, num_tokens, compute_dtype_, weights)};
  }
  Dict own_config() const override { return {{"num_tokens", num_tokens}, {"output_mode", o.output_mode}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (!e.axes.empty()) e.axes.back() = encoded_axis(num_tokens, "num_tokens", "token");
    e.notes = {"CategoryEncoding has no weights"};
    return e;
  }
};

/// Layers whose saved configuration is only their own entries, name and the plain name of the dtype.
struct PlainConfigImpl : LayerImpl {
  std::string dtype_text;
  Dict config() const override {
    Dict d = own_config();
    d.set("name", name_);
    d.set("dtype", dtype_text);
    return d;
  }
};

// ---- quantiles, after Keras' summaries: columns (value, weight), in float32
struct Summary {
  std::vector<float> values, weights;
};
double interpolated(double x, const std::vector<double>& at, const std::vector<double>& values) {
  if (x >= at.back()) return values.back();
  if (x < at.front()) return values.front();
  auto j = static_cast<size_t>(std::upper_bound(at.begin(), at.end(), x) - at.begin()) - 1;
  double slope = (values[j + 1] - values[j]) / (at[j + 1] - at[j]);
  return slope * (x - at[j]) + values[j];
}
Summary compressed(const Summary& s, double epsilon) {
  if (static_cast<double>(s.values.size()) * epsilon < 1) return s;
  std::vector<double> sums, shares, values(s.values.begin(), s.values.end());
  float sum = 0;
  for (float w : s.weights) sums.push_back(sum += w);
  for (double v : sums) shares.push_back(static_cast<float>(v) / sum);
  Summary out;
  double before = 0;
  auto count = static_cast<int64_t>(std::ceil(1.0 / epsilon));
  for (int64_t i = 0; i < count; ++i) {
    double share = epsilon + static_cast<double>(i) * epsilon, at = interpolated(share, shares, sums);
    out.values.push_back(static_cast<float>(interpolated(share, shares, values)));
    out.weights.push_back(static_cast<float>(at - before));
    before = at;
  }
  return out;
}
Summary summary_of(std::vector<float> values, double epsilon) {
  std::sort(values.begin(), values.end());
  double step = std::max(static_cast<double>(values.size()) / (1.0 / epsilon), 1.0);
  Summary s;
  for (size_t i = static_cast<size_t>(step - 1); i < values.size(); i += static_cast<size_t>(step)) s.values.push_back(values[i]);
  s.weights.assign(s.values.size(), static_cast<float>(step));
  return s;
}
Summary merged(const Summary& a, const Summary& b, double epsilon) {
  Summary all = a;
  all.values.insert(all.values.end(), b.values.begin(), b.values.end());
  all.weights.insert(all.weights.end(), b.weights.begin(), b.weights.end());
  std::vector<size_t> order(all.values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return all.values[i] < all.values[j]; });
  Summary sorted;
  for (size_t i : order) {
    sorted.values.push_back(all.values[i]);
    sorted.weights.push_back(all.weights[i]);
  }
  return compressed(sorted, epsilon);
}

struct DiscretizationImpl : PlainConfigImpl {
  std::optional<std::vector<double>> boundaries;
  std::optional<int64_t> num_bins;
  double epsilon;
  std::string mode;
  DiscretizationImpl(const DiscretizationOptions& o, bool from_saved)
      : boundaries(o.bin_boundaries), num_bins(o.num_bins), epsilon(o.epsilon), mode(o.output_mode) {
    init_common("Discretization", o);
    dtype_text = dtype_name(variable_dtype_);
    refuse(*this, "sparse", o.sparse);
    check_option(*this, "output_mode", mode, {"int", "one_hot", "multi_hot", "count"});
    if (num_bins && *num_bins < 0) bad_option(*this, "num_bins", "a whole number >= 0", *num_bins);
    if (!(epsilon > 0 && epsilon <= 1)) bad_option(*this, "epsilon", "a number in (0, 1]", epsilon);
    if (num_bins && boundaries && !from_saved) bad_option(*this, "num_bins", "either num_bins or bin_boundaries", *num_bins);
    if (!num_bins && !boundaries) bad_option(*this, "bin_boundaries", "either num_bins or bin_boundaries", Value());
  }
  void adapt(const Tensors& batches) {
    if (!num_bins)
      throw RuntimeError(ErrorText{.what = "the boundaries were given, so there is nothing to learn",
                                   .where = where(),
                                   .fix = "make the layer with num_bins instead"}
                             .str());
    Summary all;
    for (const Tensor& b : batches) all = merged(summary_of(b.to_vector<float>(), epsilon), all, epsilon);
    if (all.values.empty()) throw ValueError(ErrorText{.what = "adapt got no numbers", .where = where()}.str());
    Summary bins = compressed(all, 1.0 / static_cast<double>(std::max<int64_t>(*num_bins, 1)));
    boundaries = std::vector<double>(bins.values.begin(), bins.values.end() - 1);
  }
  int64_t depth() const { return boundaries ? static_cast<int64_t>(boundaries->size()) + 1 : *num_bins; }
  Tensors call(const Call& c) override {
    if (!boundaries)
      throw RuntimeError(
          ErrorText{.what = "the layer has no boundaries yet", .where = where(), .fix = "give bin_boundaries, or call adapt first"}.str());
    Tensor x = is_floating(c.input().dtype()) ? c.input() : ops::cast(c.input(), DType::Float32);
    Tensor bins =
        boundaries->empty() ? ops::zeros_like(ops::cast(x, DType::Int32)) : ops::digitize(x, Tensor(*boundaries).astype(DType::Float32));
    return {encode_categories(bins, mode, depth(), compute_dtype_)};
  }
  Dict own_config() const override {
    return {{"bin_boundaries", serial::to_value(boundaries)},
            {"num_bins", num_bins},
            {"epsilon", epsilon},
            {"output_mode", mode},
            {"sparse", false}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (mode != "int" && !e.axes.empty())
      e.axes.back() = fmt::format("one place for each bin: {} boundaries make {} bins", depth() - 1, depth());
    e.notes = {"Discretization has no weights; its boundaries are part of its configuration"};
    return e;
  }
};

struct HashingImpl : LayerImpl {
  int64_t num_bins;
  HashingOptions o;
  Salt salt;
  HashingImpl(int64_t bins, const HashingOptions& options) : num_bins(bins), o(options) {
    if (!o.dtype) o.dtype = o.output_mode == "int" ? "int64" : "float32";
    init_common("Hashing", o);
    if (num_bins < 1) bad_option(*this, "num_bins", "a whole number >= 1", num_bins);
    check_option(*this, "output_mode", o.output_mode, {"int", "one_hot", "multi_hot", "count"});
    if (o.output_mode == "int" && dtype_policy_ != "int32" && dtype_policy_ != "int64")
      bad_option(*this, "dtype", "\"int32\" or \"int64\" with output_mode \"int\"", dtype_policy_);
    refuse(*this, "sparse", o.sparse);
    if (!o.mask_value.is_null() && !o.mask_value.is_number() && !o.mask_value.is_string())
      bad_option(*this, "mask_value", "a number or a string", o.mask_value);
    salt = Salt(*this, o.salt);
    autocast_ = false;
  }
  bool masked() const { return !o.mask_value.is_null() && num_bins > 1; }
  Tensor encoded(const Tensor& bins) const { return encode_categories(bins, o.output_mode, num_bins, compute_dtype_); }
  Tensors call(const Call& c) override {
    Tensor x = c.input();
    Tensor whole = is_floating(x.dtype()) ? ops::cast(x, DType::Int64) : x;
    Tensor bins = prims::hash_bins<Tensor>({whole}, salt.given ? cpu::HashKind::Keyed : cpu::HashKind::Fingerprint,
                                           num_bins - (masked() ? 1 : 0), salt.key);
    if (masked()) {
      if (!o.mask_value.is_number())
        throw ValueError(ErrorText{.what = "mask_value is a string, the input are numbers",
                                   .where = where(),
                                   .received = o.mask_value.str(),
                                   .fix = "pass a StringArray"}
                             .str());
      bins = ops::where(ops::equal(x, Tensor::full({}, o.mask_value.as_float(), x.dtype())), 0, bins + 1);
    }
    return {encoded(bins)};
  }
  Tensor call_strings(const StringArray& in) const {
    if (!o.mask_value.is_null() && !o.mask_value.is_string())
      throw ValueError(
          ErrorText{.what = "mask_value is a number, the input are strings", .where = where(), .received = o.mask_value.str()}.str());
    std::vector<int32_t> bins;
    for (const std::string& s : in.values)
      bins.push_back(static_cast<int32_t>(!masked()                       ? salt.bin(s, num_bins)
                                          : s == o.mask_value.as_string() ? 0
                                                                          : salt.bin(s, num_bins - 1) + 1));
    return encoded(Tensor::from<int32_t>(bins, in.shape));
  }
  Dict own_config() const override {
    return {
        {"num_bins", num_bins}, {"salt", salt.config()}, {"mask_value", o.mask_value}, {"output_mode", o.output_mode}, {"sparse", false}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (o.output_mode != "int" && !e.axes.empty()) e.axes.back() = encoded_axis(num_bins, "num_bins", "bin");
    e.notes = {"Hashing has no weights"};
    return e;
  }
};

struct HashedCrossingImpl : PlainConfigImpl {
  int64_t num_bins;
  std::string mode;
  HashedCrossingImpl(int64_t bins, HashedCrossingOptions o) : num_bins(bins), mode(o.output_mode) {
    if (!o.dtype && mode == "int") o.dtype = "int64";
    init_common("HashedCrossing", o);
    dtype_text = dtype_name(variable_dtype_);
    refuse(*this, "sparse", o.sparse);
    check_option(*this, "output_mode", mode, {"int", "one_hot"});
    if (num_bins < 1) bad_option(*this, "num_bins", "a whole number >= 1", num_bins);
    autocast_ = false;
  }
  void check(const std::vector<Shape>& shapes) const {
    auto fail = [&](const std::string& expected, const std::string& received) {
      throw ValueError(ErrorText{
          .what = "HashedCrossing crosses two features or more of one shape", .where = where(), .expected = expected, .received = received}
                           .str());
    };
    if (shapes.size() < 2) fail("at least two features", std::to_string(shapes.size()));
    const Shape& s = shapes[0];
    if (s.rank() > 2 || (s.rank() == 2 && s[1] != 1)) fail("features of shape (), (batch) or (batch, 1)", s.str());
    for (const Shape& other : shapes)
      if (!compatible(other, s)) fail("features of one shape, " + s.str(), other.str());
  }
  Tensor encoded(const Tensor& bins) const { return encode_categories(bins, mode, num_bins, compute_dtype_); }
  Tensors call(const Call& c) override {
    std::vector<Shape> shapes;
    Tensors features = c.inputs;  // a list, or one argument each
    for (size_t i = 1; i < c.args.args.size(); ++i)
      for (const Tensor& t : c.args.args[i].tensors()) features.push_back(t);
    for (const Tensor& t : features) {
      shapes.push_back(t.shape());
      if (is_floating(t.dtype()))
        throw ValueError(
            ErrorText{.what = "HashedCrossing crosses whole numbers and strings", .where = where(), .received = dtype_name(t.dtype())}
                .str());
    }
    check(shapes);
    return {encoded(prims::hash_bins<Tensor>(features, cpu::HashKind::Crossed, num_bins))};
  }
  Tensor call_features(const std::vector<HashedCrossing::Feature>& features) const {
    std::vector<Shape> shapes;
    std::vector<std::vector<int64_t>> numbers(features.size());
    for (size_t k = 0; k < features.size(); ++k) {
      if (const Tensor& t = features[k].numbers; t.defined()) {
        if (is_floating(t.dtype()))
          throw ValueError(
              ErrorText{.what = "HashedCrossing crosses whole numbers and strings", .where = where(), .received = dtype_name(t.dtype())}
                  .str());
        shapes.push_back(t.shape());
        numbers[k] = t.to_vector<int64_t>();
      } else {
        shapes.push_back(features[k].text.shape);
      }
    }
    check(shapes);
    std::vector<int32_t> bins;
    for (size_t i = 0; i < static_cast<size_t>(shapes[0].numel()); ++i) {
      uint64_t h = cpu::kCrossingKey;
      for (size_t k = 0; k < features.size(); ++k) {
        const bool text = !features[k].numbers.defined();
        h = cpu::combine_fingerprints(h, text ? cpu::fingerprint64(features[k].text[i]) : static_cast<uint64_t>(numbers[k][i]));
      }
      bins.push_back(static_cast<int32_t>(h % static_cast<uint64_t>(num_bins)));
    }
    return encoded(Tensor::from<int32_t>(bins, shapes[0]));
  }
  Dict own_config() const override { return {{"num_bins", num_bins}, {"output_mode", mode}, {"sparse", false}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (mode != "int" && !e.axes.empty()) e.axes.back() = encoded_axis(num_bins, "num_bins", "bin");
    e.notes = {"HashedCrossing has no weights"};
    return e;
  }
};

}  // namespace

CategoryEncoding::CategoryEncoding(int64_t n, const CategoryEncodingOptions& o) : Layer(make_impl<CategoryEncodingImpl>(n, o)) {}
Layer CategoryEncoding::from_config(const Dict& c) {
  return CategoryEncoding(c.at("num_tokens").as_int(), options_from<CategoryEncodingOptions>(c, "CategoryEncoding"));
}

Discretization::Discretization(const DiscretizationOptions& o) : Layer(make_impl<DiscretizationImpl>(o, false)) {}
Discretization::Discretization(const Layer& layer) : Layer(layer) { inside<DiscretizationImpl>(layer, "a Discretization"); }
Layer Discretization::from_config(const Dict& c) {
  return Layer(make_impl<DiscretizationImpl>(options_from<DiscretizationOptions>(c, "Discretization"), true));
}
void Discretization::adapt(const Tensor& data) const { inside<DiscretizationImpl>(*this, "a Discretization").adapt({data}); }
void Discretization::adapt(const Tensors& batches) const { inside<DiscretizationImpl>(*this, "a Discretization").adapt(batches); }
std::vector<double> Discretization::bin_boundaries() const {
  auto& impl = inside<DiscretizationImpl>(*this, "a Discretization");
  if (!impl.boundaries)
    throw RuntimeError(ErrorText{.what = "the layer has no boundaries yet", .where = impl.where(), .fix = "call adapt first"}.str());
  return *impl.boundaries;
}

Hashing::Hashing(int64_t bins, const HashingOptions& o) : Layer(make_impl<HashingImpl>(bins, o)) {}
Hashing::Hashing(const Layer& layer) : Layer(layer) { inside<HashingImpl>(layer, "a Hashing"); }
Layer Hashing::from_config(const Dict& c) { return Hashing(c.at("num_bins").as_int(), options_from<HashingOptions>(c, "Hashing")); }
Tensor Hashing::operator()(const StringArray& inputs) const { return inside<HashingImpl>(*this, "a Hashing").call_strings(inputs); }

HashedCrossing::HashedCrossing(int64_t bins, const HashedCrossingOptions& o) : Layer(make_impl<HashedCrossingImpl>(bins, o)) {}
HashedCrossing::HashedCrossing(const Layer& layer) : Layer(layer) { inside<HashedCrossingImpl>(layer, "a HashedCrossing"); }
Layer HashedCrossing::from_config(const Dict& c) {
  return HashedCrossing(c.at("num_bins").as_int(), options_from<HashedCrossingOptions>(c, "HashedCrossing"));
}
Tensor HashedCrossing::operator()(const std::vector<Feature>& features) const {
  return inside<HashedCrossingImpl>(*this, "a HashedCrossing").call_features(features);
}

}  // namespace keras::layers
