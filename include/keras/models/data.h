// What lives here: how arrays are handed to fit, evaluate and predict.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <keras/core/tensor.h>

namespace keras {

/// One array, a list of arrays, or arrays by the names of the model's inputs or outputs.
struct Arrays {
  Tensors values;
  std::vector<std::string> names;  // empty, or one per value

  Arrays() = default;
  Arrays(const Tensor& t) : values{t} {
    if (!t.defined()) values.clear();
  }
  Arrays(const Tensors& ts) : values(ts) {}
  Arrays(std::initializer_list<std::pair<const std::string, Tensor>> named) {
    for (const auto& [n, t] : named) names.push_back(n), values.push_back(t);
  }
  Arrays(const std::map<std::string, Tensor>& named) {
    for (const auto& [n, t] : named) names.push_back(n), values.push_back(t);
  }
  bool empty() const { return values.empty(); }
};

/// `validation_data`: inputs, targets, and perhaps weights of the samples.
struct ValidationData {
  Arrays x{}, y{}, sample_weight{};
  bool empty() const { return x.empty(); }
};

}  // namespace keras
