// What lives here: storing what a model gives on chosen inputs, and comparing with it later.
#include "saving/golden.h"

#include <fmt/format.h>
#include <keras/saving/verify.h>

#include <cmath>
#include <filesystem>

#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "saving/weights_tree.h"

namespace keras::saving {

namespace {

constexpr const char* kTraceJson = "golden/trace.json";
constexpr const char* kTraceArrays = "golden/trace.npz";
// Of an output of a layer inside the model so many values are kept, evenly spread; enough to see that it departs, and little to carry.
constexpr size_t kSamples = 256;

std::vector<size_t> sample_places(size_t n) {
  std::vector<size_t> out;
  size_t count = std::min(n, kSamples);
  for (size_t i = 0; i < count; ++i) out.push_back(i * n / count);
  return out;
}
std::vector<double> sampled(const Tensor& t) {
  std::vector<double> all = t.astype(DType::Float64).to_vector<double>(), out;
  for (size_t i : sample_places(all.size())) out.push_back(all[i]);
  return out;
}

}  // namespace

std::vector<ExtraMember> golden_members(const Model& model, const Arrays& given) {
  Tensors inputs = ordered_inputs(model, given);
  io::Arrays arrays;
  List layers;
  for (size_t i = 0; i < inputs.size(); ++i) arrays.set(fmt::format("input_{}", i), to_array(inputs[i]));
  Tensors outputs = run_layers(model, inputs, [&](const LayerOutput& o) {
    std::string key = fmt::format("layer_{}", layers.size());
    std::vector<double> values = sampled(o.value);
    arrays.set(key, io::Array(Shape{static_cast<int64_t>(values.size())}, values));
    layers.push_back(Dict{{"layer", o.layer}, {"class_name", o.class_name}, {"call", o.call}, {"output", o.output}, {"shape", Value(o.value.shape())}, {"dtype", dtype_name(o.value.dtype())}, {"array", key}});
  });
  for (size_t i = 0; i < outputs.size(); ++i) arrays.set(fmt::format("output_{}", i), to_array(outputs[i]));
  Dict trace{{"format", 1}, {"inputs", static_cast<int64_t>(inputs.size())}, {"outputs", static_cast<int64_t>(outputs.size())}, {"samples", static_cast<int64_t>(kSamples)}, {"layers", layers}};
  std::string text = io::to_json(trace);
  std::vector<ExtraMember> out(2);
  out[0].name = kTraceJson;
  out[0].bytes.assign(io::as_bytes(text).begin(), io::as_bytes(text).end());
  out[1].name = kTraceArrays;
  out[1].bytes = io::npz_bytes(arrays);
  return out;
}

VerifyReport verify(const std::string& path, const VerifyOptions& options) {
  auto parts = std::filesystem::is_directory(path) ? open_folder(path) : open_archive(io::ZipReader(path));
  if (!parts->contains(kTraceJson) || !parts->contains(kTraceArrays))
    throw ValueError(ErrorText{.what = "the file holds no trace to verify", .where = path, .expected = std::string("members ") + kTraceJson + " and " + kTraceArrays,
                               .fix = "keras::saving::save_model(model, \"" + path + "\", {.golden = x})"}.str());
  const std::string where = path + ": " + kTraceJson;
  Value trace = io::parse_json(parts->read_text(kTraceJson), where);
  auto damaged = [&](const std::string& what) { throw ValueError(ErrorText{.what = "the trace is damaged: " + what, .where = where}.str()); };
  auto number = [&](const Value& v, const char* what) {
    if (!v.is_int() || v.as_int() < 0 || v.as_int() > 100000) damaged(what);
    return v.as_int();
  };
  if (trace.get("format") != Value(1)) throw ValueError(ErrorText{.what = "the trace is of a younger format", .where = where, .expected = "format 1", .received = trace.get("format").str()}.str());
  if (!trace.get("layers").is_list()) damaged("it lists no layers");
  io::NpzReader arrays(parts->read(kTraceArrays), path + ": " + kTraceArrays);
  Model model = read_keras(*parts, false);
  Tensors inputs;
  for (int64_t i = 0, n = number(trace.get("inputs"), "no number of inputs"); i < n; ++i) inputs.push_back(to_tensor(arrays.read(fmt::format("input_{}", i))));
  inputs = ordered_inputs(model, inputs);
  VerifyReport report;
  const List& layers = trace.get("layers").as_list();
  auto depart = [&](const std::string& layer, const std::string& cls, const Deviation& d, const std::string& note) {
    if (!report.departure) report.departure = {layer, cls, d.abs, d.rel, note};
  };
  auto compare = [&](const std::string& layer, const std::string& cls, const std::vector<double>& got, const std::vector<double>& want) {
    Deviation d = got.size() == want.size() ? deviation(got, want) : Deviation{INFINITY, INFINITY};
    if (!(d.rel <= options.tolerance)) depart(layer, cls, d, got.size() == want.size() ? "" : "another number of values");
    return d.rel;
  };
  Tensors outputs = run_layers(model, inputs, [&](const LayerOutput& o) {
    size_t i = report.layers++;
    if (i >= layers.size()) return depart(o.layer, o.class_name, {}, "the trace has no such layer");
    const Value& saved = layers[i];
    if (saved.get("layer") != Value(o.layer) || saved.get("output") != Value(o.output)) return depart(o.layer, o.class_name, {}, "the trace has layer " + saved.get("layer").str() + " here");
    if (!saved.get("shape").is_list() || !saved.get("array").is_string()) damaged("an entry of a layer");
    for (const Value& size : saved.get("shape").as_list())
      if (!size.is_int() || size.as_int() < 0) damaged("the shape of a layer's output");
    if (saved.get("shape").as_shape() != o.value.shape()) return depart(o.layer, o.class_name, {}, fmt::format("its output has shape {}, in the trace {}", o.value.shape().str(), saved.get("shape").as_shape().str()));
    compare(o.layer, o.class_name, sampled(o.value), to_tensor(arrays.read(saved.get("array").as_string())).astype(DType::Float64).to_vector<double>());
  });
  if (report.layers < layers.size()) depart(layers[report.layers].get("layer").is_string() ? layers[report.layers].get("layer").as_string() : "", "", {}, "the model has no such layer");
  int64_t want_outputs = number(trace.get("outputs"), "no number of outputs");
  if (static_cast<size_t>(want_outputs) != outputs.size()) depart("", "", {}, "another number of outputs");
  for (size_t i = 0; i < outputs.size() && i < static_cast<size_t>(want_outputs); ++i) {
    Tensor want = to_tensor(arrays.read(fmt::format("output_{}", i)));
    std::vector<std::string> names = model.output_names();
    std::string name = i < names.size() ? names[i] : fmt::format("output {}", i);
    if (want.shape() != outputs[i].shape()) {
      depart(name, "output", {}, fmt::format("it has shape {}, in the trace {}", outputs[i].shape().str(), want.shape().str()));
      continue;
    }
    report.worst = std::max(report.worst, compare(name, "output", outputs[i].astype(DType::Float64).to_vector<double>(), want.astype(DType::Float64).to_vector<double>()));
    ++report.outputs;
  }
  report.holds = !report.departure;
  return report;
}

Value VerifyReport::to_value() const {
  Dict d{{"holds", holds}, {"layers", static_cast<int64_t>(layers)}, {"outputs", static_cast<int64_t>(outputs)}, {"worst", worst}, {"departure", Value()}};
  if (departure)
    d.set("departure", Dict{{"layer", departure->layer}, {"class_name", departure->class_name}, {"max_abs", departure->max_abs}, {"max_rel", departure->max_rel}, {"note", departure->note}});
  return d;
}

std::string VerifyReport::str() const {
  if (holds) return fmt::format("holds: {} outputs of layers and {} of the model, largest deviation {:.2g} of the largest value\n", layers, outputs, worst);
  const Departure& d = *departure;
  return fmt::format("departs at \"{}\"{}: {}\n", d.layer, d.class_name.empty() ? "" : " (" + d.class_name + ")",
                     d.note.empty() ? fmt::format("by {:.3g}, {:.2g} of the largest value", d.max_abs, d.max_rel) : d.note);
}

}  // namespace keras::saving
