// What lives here: the check of layers against recorded calls.
#include "support/layer_cases.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <keras/core/function.h>
#include <keras/ops.h>

#include "io/hdf5.h"
#include "io/zip.h"
#include "layers/layer_impl.h"
#include "support/recorded.h"

namespace keras::testing {

namespace {

using layers::LayerImpl;

void read_weights(const io::H5Group& group, const LayerImpl& layer) {
  auto read = [&](const Variable& v, size_t i) {
    io::Array a = group.read("vars/" + std::to_string(i));
    v.assign(Tensor::from_bytes(a.data.data(), a.numel(), a.dtype, a.shape));
  };
  size_t i = 0;
  for (const Variable& v : layer.own_trainable_) read(v, i++);
  for (const Variable& v : layer.own_non_trainable_) read(v, i++);
  for (const auto& [name, part] : layer.parts())
    if (!part.impl()->weights().empty()) read_weights(group.group(name), *part.impl());
}

core::Arg argument(const Value& v, const Tensors& inputs) {
  if (v.get("tensor").is_int()) return inputs.at(static_cast<size_t>(v.get("tensor").as_int()));
  if (v.get("__tuple__").is_list()) return argument(v.get("__tuple__"), inputs);
  if (v.is_list()) {
    std::vector<core::Arg> list;
    for (const Value& e : v.as_list()) list.push_back(argument(e, inputs));
    return list;
  }
  return v;
}

struct Check {
  const test::Case& c;
  Layer layer;
  double rtol, atol;

  Tensors call(const Tensors& in, std::optional<bool> training) const {
    core::CallArgs a;
    for (const Value& v : c.json.get("call").get("args").as_list()) a.args.push_back(argument(v, in));
    for (const auto& [k, v] : c.json.get("call").get("kwargs").as_dict()) a.set(k, argument(v, in));
    if (training) a.set("training", Value(*training));
    return (*layer.impl())(std::move(a));
  }
  void close(const std::string& what, const Tensor& got, const Value& key) const {
    SCOPED_TRACE(what);
    const Tensor want = c.tensor(key);
    bool half = got.dtype() == DType::Float16 || got.dtype() == DType::BFloat16;
    test::expect_close(got.dtype() == want.dtype() ? got : got.astype(want.dtype()), want, half ? 2e-2 : rtol, half ? 2e-2 : atol);
  }
  void run() {
    EXPECT_EQ(io::to_json(layer.config(), 1), io::to_json(c.json.get("config"), 1)) << "configuration";
    const List& variables = c.json.get("variables").as_list();
    std::vector<Variable> own = layer.variables();
    ASSERT_EQ(own.size(), variables.size());
    for (size_t i = 0; i < own.size(); ++i)
      if (!variables[i].get("seed_state").as_bool()) { EXPECT_EQ(own[i].path(), variables[i].get("path").as_string()); }
    EXPECT_EQ(layer.count_params(), c.json.get("count_params").as_int());
    EXPECT_EQ(static_cast<int64_t>(layer.trainable_weights().size()), c.json.get("num_trainable_weights").as_int());
    EXPECT_EQ(static_cast<int64_t>(layer.non_trainable_weights().size()), c.json.get("num_non_trainable_weights").as_int());

    Tensors inputs, symbolic;
    bool none = c.json.get("batch_dim_none") == Value(true);
    for (const Value& in : c.json.get("inputs").as_list()) {
      inputs.push_back(c.tensor(in.get("key")));
      Shape s = inputs.back().shape();
      if (none && s.rank()) s[0] = None;
      symbolic.push_back(core::make_symbolic({inputs.back().dtype(), s}, "in"));
    }
    const List& outputs = c.json.get("outputs").as_list();
    Tensors shapes = call(symbolic, std::nullopt), out = call(inputs, false);
    ASSERT_EQ(out.size(), outputs.size());
    ASSERT_EQ(shapes.size(), outputs.size());
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(shapes[i].shape(), c.json.get("symbolic_output_shapes").as_list().at(i).as_shape()) << "symbolic output " << i;
      EXPECT_EQ(std::string(dtype_name(out[i].dtype())), outputs[i].get("dtype").as_string()) << "output " << i;
      // An explicit mode in a saved call wins over that of the model's call in newer releases alone.
      if (!c.json.get("variant").is_string() || c.json.get("call").get("kwargs").get("training").is_null())
        close("output " + std::to_string(i), out[i], outputs[i].get("key"));
    }
    losses_of(inputs);
    // Cases in which backends or releases differ are held to what they agree on.
    if (c.json.get("variant").is_string()) return;
    gradients_of(inputs);
    if (c.json.get("train_mode") == Value("recorded")) {
      Tensors train = call(inputs, true);
      for (size_t i = 0; i < train.size(); ++i)
        if (std::string key = "train_output_" + std::to_string(i); c.arrays.contains(key))
          close("training output " + std::to_string(i), train[i], Value(key));
      for (size_t i = 0; i < own.size(); ++i)
        if (std::string key = "train_var_" + std::to_string(i); c.arrays.contains(key))
          close("after training " + own[i].path(), own[i].value(), Value(key));
    }
  }
  void losses_of(const Tensors& inputs) const {
    Tensors got;
    {
      layers::CallScope scope(nullptr, std::nullopt, &got);
      call(inputs, false);
    }
    for (const Tensor& t : layer.losses()) got.push_back(t);
    std::vector<double> a, b;
    for (const Tensor& t : got) a.push_back(t.item());
    for (const Value& v : c.json.get("extra_losses").as_list()) b.push_back(v.as_float());
    std::sort(a.begin(), a.end()), std::sort(b.begin(), b.end());
    ASSERT_EQ(a.size(), b.size()) << "losses";
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], atol + rtol * std::abs(b[i])) << "loss " << i;
  }
  void gradients_of(const Tensors& inputs) {
    if (!c.json.get("grad_w").is_list() || c.json.get("grad_note").is_string()) return;
    bool any = false;
    for (const auto& [key, a] : c.arrays) any |= key.starts_with("grad_");
    if (!any) return;
    auto wanted = [&](size_t i) { return c.arrays.contains("grad_in_" + std::to_string(i)); };
    Function f([&](const Tensors& in) -> Tensors {
      Tensors y = call(in, false);
      Tensor loss;
      for (size_t i = 0; i < y.size(); ++i)
        if (std::string key = "cot_" + std::to_string(i); c.arrays.contains(key)) {
          Tensor part = ops::sum(ops::cast(y[i], DType::Float32) * c.tensor(Value(key)));
          loss = loss.defined() ? loss + part : part;
        }
      Tensors g = gradients(loss, layer.trainable_weights());
      for (size_t i = 0; i < in.size(); ++i)
        if (wanted(i)) g.push_back(gradients(loss, Tensors{in[i]})[0]);
      return g;
    });
    Tensors g = f(inputs);
    const Value& t = c.json.get("grad_tolerance");
    rtol = t.get("rtol").is_number() ? t.get("rtol").as_float() : 1e-3, atol = t.get("atol").is_number() ? t.get("atol").as_float() : 1e-4;
    size_t at = 0;
    for (const Value& w : c.json.get("grad_w").as_list()) close("gradient of " + w.get("variable").str(), g.at(at++), w.get("key"));
    for (size_t i = 0; i < inputs.size(); ++i)
      if (wanted(i)) close("gradient of input " + std::to_string(i), g.at(at++), Value("grad_in_" + std::to_string(i)));
    rtol = c.tolerance("rtol", 1e-4), atol = c.tolerance("atol", 1e-5);
  }
};

}  // namespace

int check_recorded_layers(const std::vector<std::string>& families, const std::vector<std::string>& except) {
  if (test::corpus().empty()) return 0;
  int count = 0;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(test::corpus() / "layers")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    std::string slug = folder.filename();
    if (std::none_of(families.begin(), families.end(), [&](const std::string& f) { return slug.starts_with(f); })) continue;
    if (std::find(except.begin(), except.end(), slug) != except.end()) continue;
    SCOPED_TRACE(slug);
    ++count;
    try {
      test::Case c;
      c.slug = slug;
      c.json = io::parse_json(io::read_text_file(folder / "case.json"), slug);
      c.arrays = io::read_npz(folder / "data.npz");
      io::ZipReader zip((folder / "model.keras").string());
      Value saved = io::parse_json(zip.read_text("config.json"), slug);
      Layer layer;
      for (const Value& l : saved.get("config").get("layers").as_list())
        if (l.get("class_name") != Value("InputLayer")) layer = layers::deserialize(l);
      if (!layer) throw ValueError("there is no layer in the file");
      if (!layer.built()) {
        std::vector<Shape> inputs;
        for (const Value& in : c.json.get("inputs").as_list()) inputs.push_back(in.get("shape").as_shape());
        layer.impl()->ensure_built(inputs);
      }
      if (!layer.weights().empty()) {
        io::H5File h5 = io::H5File::from_bytes(zip.read("model.weights.h5"), slug);
        io::H5Group all = h5.root().group("layers");
        for (const io::H5Member& m : all.members())
          if (!m.name.starts_with("input_layer")) read_weights(all.group(m.name), *layer.impl());
      }
      Check{c, layer, c.tolerance("rtol", 1e-4), c.tolerance("atol", 1e-5)}.run();
    } catch (const std::exception& e) { ADD_FAILURE() << e.what(); }
  }
  return count;
}

}  // namespace keras::testing
