// What lives here: replaying calls of functions: keras.ops and others that the corpus records by value, gradient, symbolic type or dtype.
#include <algorithm>
#include <array>

#include <keras/core/function.h>
#include <keras/ops.h>

#include "conformance/call.h"
#include "conformance/kinds.h"
#include "core/impl.h"

namespace keras::conformance {

namespace {

std::string function_of(const Folder& folder) { return folder.json().get("function").as_string(); }

/// The leaves of a recorded result, in order.
void flatten(const Value& v, std::vector<Value>& leaves) {
  if (is_sequence(v)) {
    for (const Value& e : items(v)) flatten(e, leaves);
  } else if (const Value* d = tag(v, "__dict__")) {
    for (const Value& item : d->as_list()) flatten(item.as_list().at(1), leaves);
  } else {
    leaves.push_back(v);
  }
}
std::vector<Value> flat(const Value& v) {
  std::vector<Value> leaves;
  flatten(v, leaves);
  return leaves;
}

/// True for the error that Python calls `python`. What C++ has no class for may be any error of the library.
bool is_error(const Error& e, const std::string& python) {
  if (python == "ValueError" || python == "IndexError" || python == "KeyError") return dynamic_cast<const ValueError*>(&e);
  if (python == "TypeError") return dynamic_cast<const TypeError*>(&e);
  if (python == "RuntimeError") return dynamic_cast<const RuntimeError*>(&e);
  if (python == "NotImplementedError") return dynamic_cast<const NotImplementedError*>(&e);
  return true;
}

/// The call must end in the error that was recorded. An argument that C++ cannot even be given stands for a TypeError.
void check_raises(const std::string& function, Arguments& arguments, const std::string& python, Check& check) {
  try {
    call(function, arguments);
  } catch (const Mismatch& m) {
    if (python != "TypeError") throw Unsupported("Python's " + python + " is none of C++: " + m.text);
    return;
  } catch (const Error& e) {
    return check.that(is_error(e, python), "another error than " + python + ": " + e.what());
  }
  check.that(false, "no error, where Keras has a " + python);
}

/// `got` from leaf `at` on against one recorded leaf; moves on. Complex numbers are two tensors.
void check_leaf(const Folder& folder, const Leaves& got, size_t& at, const Value& want, Tolerance tolerance, const std::string& what, Check& check) {
  if (at >= got.size()) return check.that(want.is_null(), what + " is missing");
  const Leaf& leaf = got[at++];
  if (const Value* key = tag(want, "__array__")) {
    if (!leaf.is_tensor) return check.close(leaf.value.as_float(), folder.tensor(want).item(), tolerance, what);
    if (narrow_name(want.get("dtype").as_string()) != "complex64") return check.close(leaf.tensor, folder.tensor(want), tolerance, what);
    auto [re, im] = folder.stored_complex(key->as_string());
    check.close(leaf.tensor, re, tolerance, what + ", real part");
    if (at < got.size()) check.close(got[at++].tensor, im, tolerance, what + ", imaginary part");
    else check.that(false, what + " has no imaginary part");
  } else if (const Value* k = tag(want, "__keras_tensor__")) {
    if (!leaf.is_tensor) throw Unsupported("a symbolic tensor where a plain number is given here");
    auto [shape, dtype] = symbolic_type(*k);
    check.equal(leaf.tensor.shape(), shape, what + ", shape");
    // A complex tensor is a pair of real ones.
    check.equal(std::string(dtype_name(leaf.tensor.dtype())), dtype == "complex64" ? "float32" : dtype, what + ", dtype");
    if (dtype == "complex64") ++at;
  } else if (want.is_null()) {
    check.that(leaf.is_tensor ? !leaf.tensor.defined() : leaf.value.is_null(), what + " should be none");
  } else if (want.is_number() || want.is_bool() || tag(want, "__float__")) {
    double wanted = want.is_bool() ? want.as_bool() : number(want);
    double found = leaf.is_tensor ? leaf.tensor.item() : leaf.value.is_bool() ? leaf.value.as_bool() : leaf.value.as_float();
    check.close(found, wanted, tolerance, what);
  } else if (want.is_string() || tag(want, "__dtype__")) {
    check.equal(leaf.is_tensor ? std::string("a tensor") : leaf.value.as_string(), narrow_name(want.is_string() ? want.as_string() : tag(want, "__dtype__")->as_string()),
                what);
  } else {
    throw Unsupported("a result " + want.str().substr(0, 60));
  }
}
void check_leaves(const Folder& folder, const Leaves& got, const std::vector<Value>& want, Tolerance tolerance, const std::string& how, Check& check) {
  size_t at = 0;
  // Keras tells the parts' dtype for symbolic complex tensors.
  bool pairs = got.size() == 2 * want.size() && !want.empty() && tag(want[0], "__keras_tensor__") && symbolic_type(*tag(want[0], "__keras_tensor__")).second == "float32";
  for (size_t i = 0; i < want.size(); ++i) {
    check_leaf(folder, got, at, want[i], tolerance, "result " + std::to_string(i) + how, check);
    at += pairs;
  }
  check.that(at >= got.size(), std::to_string(got.size() - std::min(at, got.size())) + " results more than recorded" + how);
}

/// Calls that are not compiled: their result's size depends on numbers, so that Keras on JAX doesn't compile them either, or they say that
/// they need numbers (beam search).
bool needs_numbers(const std::string& function, const Arguments& a, const Value& result) {
  static const std::array names{"keras.ops.nonzero", "keras.ops.bincount", "keras.ops.unique"};
  if (function == "keras.ops.where") return a.positional().size() + a.named().size() == 1;
  if (function == "keras.ops.ctc_decode") {
    const Value* named = a.named().find("strategy");
    return (named ? *named : a.positional().size() > 2 ? a.positional()[2] : Value()) == Value("beam_search");
  }
  // What gives NumPy's arrays works on the host.
  return result.get("as") == Value("numpy") || std::find(names.begin(), names.end(), function) != names.end();
}

bool joins_flattened(const std::string& function, const Arguments& a) {
  if (function != "keras.ops.concatenate") return false;
  const Value* named = a.named().find("axis");
  return named ? named->is_null() : a.positional().size() > 1 && a.positional()[1].is_null();
}

Tensors tensors_of(const Arguments& a) {
  Tensors all;
  for (const Arguments::Input& in : a.inputs()) all.push_back(in.tensor);
  return all;
}

}  // namespace

void replay_function(const Folder& folder, const Value& r, Check& check) {
  std::string function = function_of(folder);
  Tolerance tolerance = folder.tolerance("tolerance");
  Arguments arguments(folder, r.get("args"), r.get("kwargs"));
  if (r.get("raises").is_string()) return check_raises(function, arguments, r.get("raises").as_string(), check);
  std::vector<Value> want = flat(r.get("result"));
  Leaves got;
  try {
    got = call(function, arguments);
  } catch (const Mismatch& m) {
    throw Unsupported(m.text);
  }
  check_leaves(folder, got, want, tolerance, "", check);
  bool tensors = !got.empty() && std::all_of(got.begin(), got.end(), [](const Leaf& l) { return l.is_tensor && l.tensor.defined(); });
  bool concrete = tensors && std::all_of(got.begin(), got.end(), [](const Leaf& l) { return l.tensor.is_concrete(); });
  if (!concrete || arguments.inputs().empty() || needs_numbers(function, arguments, r.get("result"))) return;
  Tensors inputs = tensors_of(arguments);
  auto again = [&](const Tensors& in) {
    Arguments a = arguments.with(in);
    return call(function, a);
  };
  check.part("compiled", [&] {
    Function step([&](const Tensors& in) {
      Tensors out;
      for (const Leaf& l : again(in)) out.push_back(l.tensor);
      return out;
    });
    check_leaves(folder, leaves(step(inputs)), want, tolerance, " (compiled)", check);
  });
  // Draws have no symbolic form here, Keras' one of joining flattened tensors refuses, and it tells another dtype of symbolic pivots than of
  // computed ones.
  if (function.rfind("keras.random.", 0) == 0 || function == "keras.ops.lu_factor" || joins_flattened(function, arguments)) return;
  check.part("symbolic", [&] {
    Tensors symbols;
    for (const Tensor& t : inputs) symbols.push_back(core::make_symbolic({t.dtype(), t.shape()}, "input"));
    Leaves inferred = again(symbols);
    check.equal(inferred.size(), got.size(), "number of symbolic results");
    for (size_t i = 0; i < std::min(got.size(), inferred.size()); ++i) {
      if (!inferred[i].is_tensor) continue;
      const Tensor &a = inferred[i].tensor, &b = got[i].tensor;
      check.that(compatible(a.shape(), b.shape()), "symbolic shape " + a.shape().str() + " of result " + std::to_string(i) + ", computed " + b.shape().str());
      check.that(a.dtype() == b.dtype(), "symbolic dtype of result " + std::to_string(i));
    }
  });
}

void replay_function_symbolic(const Folder& folder, const Value& r, Check& check) {
  std::string function = function_of(folder);
  Arguments arguments(folder, r.get("args"), r.get("kwargs"));
  if (r.get("raises").is_string()) return check_raises(function, arguments, r.get("raises").as_string(), check);
  Leaves got;
  try {
    got = call(function, arguments);
  } catch (const Mismatch& m) {
    throw Unsupported(m.text);
  }
  check_leaves(folder, got, flat(r.get("result")), {}, "", check);
}

void replay_function_gradient(const Folder& folder, const Value& r, Check& check) {
  std::string function = function_of(folder);
  Tolerance tolerance = folder.tolerance("tolerance"), grad_tolerance = folder.tolerance("grad_tolerance", {1e-3, 1e-4});
  Arguments arguments(folder, r.get("args"), r.get("kwargs"));
  Leaves got;
  try {
    got = call(function, arguments);
  } catch (const Mismatch& m) {
    throw Unsupported(m.text);
  }
  // None results are not counted in the numbers of the cotangents.
  std::vector<Value> want = flat(r.get("result"));
  std::erase_if(want, [](const Value& v) { return v.is_null(); });
  std::erase_if(got, [](const Leaf& l) { return l.is_tensor && !l.tensor.defined(); });
  check_leaves(folder, got, want, tolerance, "", check);
  if (!r.get("grads").is_list() || r.get("grads").as_list().empty()) return;
  Tensors inputs = tensors_of(arguments), wanted;
  std::vector<size_t> sources;
  for (const Value& g : r.get("grads").as_list())
    for (size_t i = 0; i < inputs.size(); ++i)
      if (arguments.inputs()[i].key == g.get("of").as_string()) {
        sources.push_back(i);
        wanted.push_back(folder.tensor(Dict{{"__array__", g.get("key")}}));
        break;
      }
  check.equal(sources.size(), r.get("grads").as_list().size(), "number of gradients");
  if (sources.empty()) return;
  check.part("gradient", [&] {
    Function step([&](const Tensors& in) {
      Arguments a = arguments.with(in);
      Leaves y = call(function, a);
      std::erase_if(y, [](const Leaf& l) { return l.is_tensor && !l.tensor.defined(); });
      Tensor total = Tensor::full({}, 0);
      for (const auto& [index, key] : r.get("cots").as_dict()) {
        Tensor c = folder.tensor(Dict{{"__array__", key}}).astype(DType::Float32);
        total = ops::add(total, ops::sum(ops::multiply(ops::cast(y.at(std::stoul(index)).tensor, DType::Float32), c)));
      }
      Tensors of;
      for (size_t i : sources) of.push_back(in[i]);
      return gradients(total, of);
    });
    Tensors g = step(inputs);
    for (size_t i = 0; i < g.size(); ++i) {
      bool half = dtype_size(inputs[sources[i]].dtype()) == 2;
      check.close(g[i].astype(wanted[i].dtype()), wanted[i], half ? Tolerance{2e-2, 2e-2} : grad_tolerance,
                  "gradient of input " + std::to_string(sources[i]));
    }
  });
}

namespace {

/// Shapes that let a function take its arrays; records of dtypes don't tell them. Each list is tried in turn: what the function refuses
/// with a ValueError is not its shape.
std::vector<std::vector<Shape>> shapes_to_try(const std::string& function) {
  if (function == "keras.ops.ctc_loss") return {{{2, 2}, {2, 3, 4}, {2}, {2}}};
  if (function == "keras.ops.ctc_decode") return {{{2, 3, 4}, {2}}};
  if (function == "keras.ops.image.affine_transform") return {{{3, 3, 3}, {8}}};
  if (function == "keras.ops.image.perspective_transform") return {{{3, 3, 3}, {4, 2}, {4, 2}}};
  if (function == "keras.ops.image.scale_and_translate") return {{{3, 3, 3}, {2}, {2}}};
  if (function == "keras.ops.image.map_coordinates") return {{{3, 3}, {2, 4}}};
  if (function.rfind("keras.ops.image.", 0) == 0) return {{{3, 3, 3}}};
  return {{{2, 2}}, {{2}}, {{1}}, {{}}, {{2, 2, 2}}, {{1, 1}}, {{2, 2, 2, 2}}, {{2, 2}, {2}}, {{8}}};
}

/// A permutation where all whole numbers are alike.
Value permutation(const Value& v) {
  List axes;
  for (const Value& e : items(v)) axes.push_back(e == Value("python_int") ? Value(axes.size()) : e);
  return axes;
}

}  // namespace

void replay_function_dtype(const Folder& folder, const Value& r, Check& check) {
  std::string function = function_of(folder), refusal;
  Value args = r.get("args");
  if (function == "keras.ops.transpose" && items(args).size() == 2) args = List{items(args)[0], permutation(items(args)[1])};
  std::vector<Value> want = flat(r.get("result"));
  for (const std::vector<Shape>& shapes : shapes_to_try(function))
    for (double fill : {1.0, 0.0}) {
      Arguments arguments(folder, args, r.get("kwargs"), shapes, fill);
      Leaves got;
      try {
        got = call(function, arguments);
      } catch (const ValueError& e) {
        if (refusal.empty()) refusal = e.what();
        continue;
      } catch (const Mismatch& m) {
        throw Unsupported(m.text);
      }
      // The number of results may depend on shapes.
      check.that(!got.empty() || want.empty(), "there are no results");
      for (size_t i = 0; i < std::min(want.size(), got.size()); ++i) {
        if (!want[i].is_string()) throw Unsupported("a result " + want[i].str());
        std::string wanted = narrow_name(want[i].as_string()), what = "dtype of result " + std::to_string(i);
        if (!got[i].is_tensor) check.equal(std::string(got[i].value.kind_name()), std::string("int"), what);
        else check.equal(std::string(dtype_name(got[i].tensor.dtype())), wanted, what);
      }
      return;
    }
  check.that(false, refusal);
}

}  // namespace keras::conformance
