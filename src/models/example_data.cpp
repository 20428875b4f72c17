// What lives here: made-up data by the shapes of inputs and outputs and the names of losses.
#include "models/example_data.h"

#include <algorithm>
#include <cctype>

#include "models/trainer.h"

namespace keras::models {

namespace {

int64_t smallest_vocabulary(const Model& model) {
  int64_t smallest = 0;
  for (layers::LayerImpl* l : model.impl()->flatten())
    if (l->class_name() == "Embedding") {
      const int64_t n = l->config().at("input_dim").as_int();
      smallest = smallest ? std::min(smallest, n) : n;
    }
  return smallest ? smallest : 2;
}

Tensor example_input(const Tensor& like, int64_t rows, int64_t vocabulary, std::mt19937& rng) {
  Shape s = like.shape();
  for (int i = 0; i < s.rank(); ++i)
    if (s[i] < 0) s[i] = 16;
  if (s.rank()) s[0] = rows;
  if (is_floating(like.dtype())) {
    std::vector<float> v(static_cast<size_t>(s.numel()));
    std::normal_distribution<float> normal;
    for (float& x : v) x = normal(rng);
    return Tensor::from(v, s).astype(like.dtype());
  }
  std::vector<int32_t> v(static_cast<size_t>(s.numel()));
  std::uniform_int_distribution<int32_t> id(0, static_cast<int32_t>(vocabulary - 1));
  for (int32_t& x : v) x = id(rng);
  return Tensor::from(v, s).astype(like.dtype());
}

Tensor example_target(const Value& loss, const Shape& output, int64_t rows, std::mt19937& rng) {
  std::string name = loss.is_string()                     ? loss.as_string()
                     : loss.get("class_name").is_string() ? loss.get("class_name").as_string()
                                                          : "mse",
              lower;
  if (loss.is_dict() && loss.get("config").is_string()) name = loss.get("config").as_string();  // a function
  for (char c : name)
    if (c != '_') lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  Shape s = output;
  for (int i = 0; i < s.rank(); ++i)
    if (s[i] < 0) s[i] = 16;
  s[0] = rows;
  auto has = [&](const char* part) { return lower.find(part) != std::string::npos; };
  const int64_t classes = s.back();
  std::uniform_int_distribution<int32_t> any(0, static_cast<int32_t>(std::max<int64_t>(classes, 2) - 1)), coin(0, 1);
  if (has("sparse")) {
    s.erase(s.rank() - 1);
    std::vector<int32_t> v(static_cast<size_t>(s.numel()));
    for (int32_t& x : v) x = any(rng);
    return Tensor::from(v, s);
  }
  std::vector<float> v(static_cast<size_t>(s.numel()), 0.0f);
  if (has("categorical")) {
    for (size_t r = 0; r < v.size() / static_cast<size_t>(classes); ++r)
      v[r * static_cast<size_t>(classes) + static_cast<size_t>(any(rng))] = 1;
  } else if (has("binary") || has("hinge")) {
    for (float& x : v) x = static_cast<float>(coin(rng));
  } else {
    std::normal_distribution<float> normal;
    for (float& x : v) x = normal(rng);
  }
  return Tensor::from(v, s);
}

}  // namespace

Tensors example_inputs(const Model& model, int64_t rows, std::mt19937& rng) {
  const Tensors symbolic = model.inputs();
  if (symbolic.empty())
    throw ValueError(ErrorText{
        .what = "the model doesn't know what it takes", .where = where_model(model), .fix = "give it an Input, or build it on one"}
                         .str());
  const int64_t words = smallest_vocabulary(model);
  Tensors x;
  for (const Tensor& in : symbolic) x.push_back(example_input(in, rows, words, rng));
  return x;
}

Tensors example_targets(const Model& model, int64_t rows, std::mt19937& rng) {
  const Dict compiled = compile_config(need_trainer(model, "example_targets"));
  const Value& loss = compiled.at("loss");
  Tensors y;
  const Tensors outs = model.outputs();
  for (size_t i = 0; i < outs.size(); ++i) {
    const Value one = loss.is_list()                                          ? loss.as_list().at(i)
                      : loss.is_dict() && !loss.get("class_name").is_string() ? loss.get(model.output_names()[i])
                                                                              : loss;
    y.push_back(example_target(one, outs[i].shape(), rows, rng));
  }
  return y;
}

}  // namespace keras::models
