// What lives here: replaying the layers that are called on data of their own: `adapt`, then one call, on numbers or strings.
#include <keras/layers/preprocessing/category.h>
#include <keras/layers/preprocessing/lookup.h>
#include <keras/layers/preprocessing/normalization.h>
#include <keras/ops.h>

#include "conformance/kinds.h"
#include "io/json.h"
#include "layers/layer_impl.h"
#include "layers/registry.h"

namespace keras::conformance {

namespace {

const Value& untupled(const Value& v) { return v.get("__tuple__").is_list() ? v.get("__tuple__") : v; }

/// True for an array of strings and for nested lists of them.
bool is_text(const Value& given) {
  const Value& v = untupled(given);
  if (v.get("__strings__").is_list() || v.is_string()) return true;
  return v.is_list() && !v.as_list().empty() && is_text(v.as_list()[0]);
}
void flatten_text(const Value& given, size_t depth, std::vector<int64_t>& shape, std::vector<std::string>& out) {
  const Value& v = untupled(given);
  if (v.is_string()) return out.push_back(v.as_string());
  if (shape.size() == depth) shape.push_back(static_cast<int64_t>(v.as_list().size()));
  for (const Value& e : v.as_list()) flatten_text(e, depth + 1, shape, out);
}
StringArray text(const Value& given) {
  std::vector<std::string> out;
  std::vector<int64_t> shape;
  if (const Value& packed = given.get("__strings__"); packed.is_list()) {
    for (const Value& s : packed.as_list()) out.push_back(s.as_string());
    return StringArray(given.get("shape").as_shape(), std::move(out));
  }
  flatten_text(given, 0, shape, out);
  return StringArray(Shape(shape), std::move(out));
}

/// Several arrays, not one: an iterable of batches.
bool is_batches(const Value& given) {
  const Value& v = untupled(given);
  if (!v.is_list() || v.as_list().empty()) return false;
  const Value& first = v.as_list()[0];
  return first.get("__array__").is_string() || first.get("__strings__").is_list();
}

struct PreprocessingRun {
  const Folder& folder;
  const Value& record;
  Check& check;
  Layer layer;
  std::string cls = layer.class_name();
  Tolerance tolerance = folder.tolerance("tolerance");

  template <class L> void adapt_numbers(const Value& data) {
    if (is_batches(data)) L(layer).adapt(folder.tensors(data));
    else L(layer).adapt(folder.tensor(data));
  }
  template <class L> void adapt_text(const Value& data) {
    if (!is_batches(data)) return L(layer).adapt(text(data));
    std::vector<StringArray> batches;
    for (const Value& b : untupled(data).as_list()) batches.push_back(text(b));
    L(layer).adapt(batches);
  }
  void adapt(const Value& data) {
    if (cls == "Normalization") return adapt_numbers<layers::Normalization>(data);
    if (cls == "Discretization") return adapt_numbers<layers::Discretization>(data);
    if (cls == "IntegerLookup") return adapt_numbers<layers::IntegerLookup>(data);
    if (cls == "StringLookup") return adapt_text<layers::StringLookup>(data);
    if (cls == "TextVectorization") return adapt_text<layers::TextVectorization>(data);
    throw Unsupported("adapt of " + cls);
  }

  void state() {
    auto compare = [&](const char* what, const auto& got) {
      if (const Value& want = record.get(what); want.is_list()) check.equal(Value(got), want, what);
    };
    if (cls == "StringLookup") compare("vocabulary", layers::StringLookup(layer).get_vocabulary());
    if (cls == "TextVectorization") compare("vocabulary", layers::TextVectorization(layer).get_vocabulary());
    if (cls == "IntegerLookup") compare("vocabulary", layers::IntegerLookup(layer).get_vocabulary());
    if (const Value& want = record.get("bin_boundaries"); cls == "Discretization" && want.is_list()) {
      std::vector<double> numbers;
      for (const Value& v : want.as_list()) numbers.push_back(number(v));
      check.close(Tensor(layers::Discretization(layer).bin_boundaries()), Tensor(numbers), tolerance, "bin_boundaries", "");
    }
    Tensors want = folder.tensors(record.get("weights"));
    std::vector<Variable> got = layer.weights();
    check.equal(got.size(), want.size(), "number of weights");
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i)
      check.close(got[i].value(), want[i], tolerance, "weight " + got[i].name(), "");
  }

  Tensor call(const Value& in, const Value& kwargs) {
    if (cls == "HashedCrossing") {
      std::vector<layers::HashedCrossing::Feature> features;
      for (const Value& f : untupled(in).as_list()) {
        if (is_text(f)) features.emplace_back(text(f));
        else features.emplace_back(folder.tensor(f));
      }
      return layers::HashedCrossing(layer)(features);
    }
    if (is_text(in)) {
      if (cls == "Hashing") return layers::Hashing(layer)(text(in));
      if (cls == "StringLookup") return layers::StringLookup(layer)(text(in));
      if (cls == "TextVectorization") return layers::TextVectorization(layer)(text(in));
      throw Unsupported(cls + " of strings");
    }
    Tensor weights = folder.tensor(kwargs.get("count_weights"));
    return weights.defined() ? Tensor(layer(folder.tensor(in), weights)) : Tensor(layer(folder.tensor(in)));
  }
};

}  // namespace

void replay_preprocessing(const Folder& folder, const Value& r, Check& check) {
  const std::string& cls = folder.json().get("class").as_string();
  std::vector<std::string> known = layers::known_layers();
  if (std::find(known.begin(), known.end(), cls) == known.end()) throw Unsupported(cls);
  Layer layer =
      layers::deserialize(Dict{{"module", "keras.layers"}, {"class_name", cls}, {"config", r.get("config")}, {"registered_name", Value()}});
  PreprocessingRun run{folder, r, check, layer};
  check.part("adapt", [&] {
    for (const Value& data : r.get("adapt").as_list()) run.adapt(data);
  });
  check.part("configuration", [&] {
    Dict want = r.get("config").as_dict();
    if (cls == "CategoryEncoding") want.erase("sparse");  // 3.16 writes it, 3.15 did not
    check.equal(io::to_json(layer.config(), 1), io::to_json(want, 1), "configuration");
  });
  check.part("call", [&] {
    const Value &args = untupled(r.get("args")), &want = r.get("result");
    if (want.get("__strings__").is_list()) {
      StringArray got = layers::StringLookup(layer).invert(folder.tensor(args.as_list().at(0)));
      check.that(got == text(want), "strings differ");
    } else {
      check.close(run.call(args.as_list().at(0), r.get("kwargs")), folder.tensor(want), run.tolerance, "result");
    }
  });
  check.part("state", [&] { run.state(); });
}

}  // namespace keras::conformance
