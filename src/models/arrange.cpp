// What lives here: what a user gives as x, y and weights, brought into the model's order; weights of classes.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <set>

#include "models/trainer.h"

namespace keras::models {

std::string where_model(const Model& m) { return "model \"" + m.name() + "\""; }

Tensors in_order(const Arrays& a, const std::vector<std::string>& names, const char* what) {
  if (a.names.empty()) return a.values;
  Tensors out;
  std::set<std::string> used;
  for (const std::string& n : names) {
    auto it = std::find(a.names.begin(), a.names.end(), n);
    if (it == a.names.end()) {
      if (std::string_view(what) != "inputs") {
        out.emplace_back();
        continue;
      }
      throw ValueError(ErrorText{.what = fmt::format("the {} lack \"{}\"", what, n), .expected = fmt::format("names {}", fmt::join(names, ", ")), .received = fmt::format("{}", fmt::join(a.names, ", "))}.str());
    }
    used.insert(n);
    out.push_back(a.values[static_cast<size_t>(it - a.names.begin())]);
  }
  for (const std::string& n : a.names)
    if (!used.count(n))
      throw ValueError(ErrorText{.what = fmt::format("the {} hold \"{}\", which the model does not have", what, n) + did_you_mean(n, names), .expected = fmt::format("{}", fmt::join(names, ", "))}.str());
  return out;
}

Wanted::Wanted(const Model& m) : where(where_model(m)) {
  ModelImpl& impl = m.model_impl();
  inputs = impl.input_names(), outputs = impl.output_names();
  num_inputs = impl.symbolic_inputs().size(), num_outputs = impl.symbolic_outputs().size();
  by_name = num_inputs > 0;
}

namespace {

/// One weight per sample from the class of each: (n,) or (n, 1) numbers of classes, or one score per class on the last axis.
Tensor weights_of_classes(const Tensor& y, const std::map<int64_t, double>& weights) {
  Shape s = y.shape();
  bool scores = s.rank() > 1 && s.back() != 1;
  int64_t n = s.rank() ? s[0] : 1, k = scores ? s.back() : 1;
  if (n && y.numel() != n * k)
    throw ValueError(ErrorText{.what = "class_weight needs one class per sample", .expected = "targets of shape (samples,), (samples, 1) or (samples, classes)", .received = s.str(), .fix = "pass sample_weight"}.str());
  Tensor w = Tensor::empty(DType::Float32, {n});
  std::vector<double> v = y.to_vector<double>();
  float* p = w.mutable_data<float>();
  for (int64_t i = 0; i < n; ++i) {
    const double* row = v.data() + i * k;
    // NumPy's argmax and its rounding, halves to even.
    int64_t c = scores ? std::max_element(row, row + k) - row : static_cast<int64_t>(std::nearbyint(row[0]));
    auto it = weights.find(c);
    p[i] = it == weights.end() ? 1.0f : static_cast<float>(it->second);
  }
  return w;
}

}  // namespace

data::Flat arrange(const Wanted& wanted, const Batch& b, const std::map<int64_t, double>& class_weight, bool targets) {
  data::Flat flat;
  Tensors x = wanted.by_name ? in_order(b.x, wanted.inputs, "inputs") : b.x.values;
  if (wanted.num_inputs && x.size() != wanted.num_inputs)
    throw ValueError(ErrorText{.what = "the model got another number of inputs", .where = wanted.where, .expected = fmt::format("{}: {}", wanted.num_inputs, fmt::join(wanted.inputs, ", ")), .received = std::to_string(x.size())}.str());
  if (x.empty()) throw ValueError(ErrorText{.what = "there are no inputs", .where = wanted.where}.str());
  flat.layout.inputs = x.size();
  if (!b.x.names.empty()) flat.layout.x_names = wanted.by_name ? wanted.inputs : b.x.names;
  for (size_t i = 0; i < x.size(); ++i) {
    flat.tensors.push_back(x[i]);
    flat.what.push_back(fmt::format("input {}", i < wanted.inputs.size() ? "\"" + wanted.inputs[i] + "\"" : std::to_string(i)));
  }
  if (!targets) return flat;
  bool outputs_by_name = wanted.num_outputs > 0;
  Tensors y = outputs_by_name ? in_order(b.y, wanted.outputs, "targets") : b.y.values;
  if (wanted.num_outputs && !y.empty() && y.size() != wanted.num_outputs)
    throw ValueError(ErrorText{.what = "the model got another number of targets", .where = wanted.where, .expected = fmt::format("{}: {}", wanted.num_outputs, fmt::join(wanted.outputs, ", ")), .received = std::to_string(y.size())}.str());
  if (!b.y.names.empty()) flat.layout.y_names = outputs_by_name ? wanted.outputs : b.y.names;
  for (size_t i = 0; i < y.size(); ++i) {
    flat.layout.targets.push_back(y[i].defined());
    if (!y[i].defined()) continue;
    flat.tensors.push_back(y[i]);
    flat.what.push_back(fmt::format("target {}", i));
  }
  Tensors w = outputs_by_name ? in_order(b.sample_weight, wanted.outputs, "sample weights") : b.sample_weight.values;
  if (!class_weight.empty()) {
    if (!w.empty()) throw ValueError("class_weight and sample_weight can't be given at the same time");
    if (y.size() != 1 || !y[0].defined()) throw ValueError("class_weight is for models with one output");
    w = {weights_of_classes(y[0], class_weight)};
  }
  if (w.size() == 1 && y.size() > 1 && w[0].defined()) {
    const Shape& s = w[0].shape();
    if (s.rank() > 2 || (s.rank() == 2 && s[1] != 1))
      throw ValueError(ErrorText{.what = "one sample_weight for several outputs must have one number per sample", .expected = "(samples,)", .received = s.str(), .fix = "pass one array per output"}.str());
    w.resize(y.size(), w[0]);
  }
  if (!w.empty() && w.size() != y.size())
    throw ValueError(ErrorText{.what = "sample_weight needs one array, or one per output", .expected = std::to_string(y.size()), .received = std::to_string(w.size())}.str());
  for (size_t i = 0; i < w.size(); ++i) {
    flat.layout.weights.push_back(w[i].defined());
    if (!w[i].defined()) continue;
    flat.tensors.push_back(w[i]);
    flat.what.push_back(fmt::format("sample_weight {}", i));
  }
  return flat;
}

}  // namespace keras::models
