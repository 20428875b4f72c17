// What lives here: a recorded call of a Python function: its arguments, of which a C++ function asks for each in its own type, and the
// leaves of its result. No function's own knowledge.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <keras/ops.h>
#include <keras/quantizers.h>

#include "conformance/unit.h"

namespace keras::conformance {

/// An argument that the parameter's type cannot hold: where Python raises when it runs, C++ does not compile.
struct Mismatch : std::exception {
  explicit Mismatch(std::string what) : text(std::move(what)) {}
  const char* what() const noexcept override { return text.c_str(); }
  std::string text;
};

/// The entry of a tagged object, or null.
const Value* tag(const Value& v, const char* name);
/// A list or a tuple.
bool is_sequence(const Value& v);
const List& items(const Value& v);
/// Shape and dtype of {"__keras_tensor__": …}, 64-bit types as their 32-bit ones.
std::pair<Shape, std::string> symbolic_type(const Value& keras_tensor);
/// 64-bit names as their 32-bit ones.
std::string narrow_name(const std::string& dtype);

class Arguments {
 public:
  /// A tensor that came from an array or a list of the record. `key`: the array's name in data.npz.
  struct Input {
    Tensor tensor;
    std::string key;
  };

  Arguments(const Folder& folder, const Value& args, const Value& kwargs);
  /// For records that hold dtypes in place of values: arrays are `fill` of that dtype, that of the i-th parameter of the i-th shape (or of
  /// the last one).
  Arguments(const Folder& folder, const Value& args, const Value& kwargs, std::vector<Shape> shapes, double fill);
  /// The same call with other tensors in place of the `inputs()` of the first run, in their order.
  Arguments with(const Tensors& given) const;

  /// The names of the function's parameters, "*x" for one that takes all that are left; must come before the rest. Mismatch for an argument that no parameter takes.
  void bind(const std::vector<const char*>& names);
  /// The argument of a parameter as a T; Mismatch when it isn't there or is none.
  template <class T> T get(size_t parameter) {
    const Value* v = find(parameter);
    if constexpr (std::is_constructible_v<T, std::nullopt_t>)
      if (!v) return std::nullopt;
    if (!v) throw Mismatch("the argument '" + std::string(names_.at(parameter)) + "' is missing");
    return as<T>(*v);
  }
  /// The same, with the value for absent ones.
  template <class T> T get(size_t parameter, std::type_identity_t<T> otherwise) {
    const Value* v = find(parameter);
    return v ? as<T>(*v) : std::move(otherwise);
  }
  template <class T> T as(const Value& v);

  /// As recorded: positional ones, then those by name.
  const List& positional() const { return positional_; }
  const Dict& named() const { return named_; }
  const std::vector<Input>& inputs() const { return inputs_; }

 private:
  /// All arguments but the first few become one list: Python's `f(a, *rest)`.
  void gather_rest(size_t from);
  const Value* find(size_t parameter);
  Tensor input(Tensor t, const std::string& key);
  bool is_dtype_stand_in(const Value& v) const;
  int64_t integer(const Value& v);
  std::vector<int64_t> integers(const Value& v);
  double real(const Value& v);

  const Folder* folder_;
  List positional_;
  Dict named_;
  bool gathered_ = false;
  std::vector<const char*> names_;
  size_t parameter_ = 0;  // the one being read
  std::vector<Shape> shapes_;  // not empty: dtypes stand for values
  double fill_ = 1;
  std::vector<Input> inputs_;
  const Tensors* given_ = nullptr;
};

using Complex = ops::Complex;
#define KERAS_ARGUMENT(T) template <> T Arguments::as<T>(const Value&)
KERAS_ARGUMENT(Value);  // as recorded
KERAS_ARGUMENT(Tensor);
KERAS_ARGUMENT(Tensors);
KERAS_ARGUMENT(int);
KERAS_ARGUMENT(int64_t);
KERAS_ARGUMENT(bool);
KERAS_ARGUMENT(double);
KERAS_ARGUMENT(std::string);
KERAS_ARGUMENT(Axes);
KERAS_ARGUMENT(Sizes);
KERAS_ARGUMENT(Shape);
KERAS_ARGUMENT(DType);
KERAS_ARGUMENT(Number);
KERAS_ARGUMENT(PadWidth);
KERAS_ARGUMENT(Slice);
KERAS_ARGUMENT(Index);
KERAS_ARGUMENT(std::vector<int>);
KERAS_ARGUMENT(std::vector<Index>);
KERAS_ARGUMENT(std::vector<Slice>);
using IntPair = std::pair<int, int>;
using RealPair = std::pair<double, double>;
using NamedSizes = std::vector<std::pair<std::string, int64_t>>;
KERAS_ARGUMENT(Complex);  // two tensors, as IntPair is two numbers
KERAS_ARGUMENT(IntPair);
KERAS_ARGUMENT(RealPair);
KERAS_ARGUMENT(NamedSizes);
KERAS_ARGUMENT(std::optional<int>);
KERAS_ARGUMENT(std::optional<int64_t>);
KERAS_ARGUMENT(std::optional<double>);
KERAS_ARGUMENT(std::optional<Number>);
KERAS_ARGUMENT(std::optional<Sizes>);
KERAS_ARGUMENT(std::optional<RealPair>);
KERAS_ARGUMENT(OptDType);
#undef KERAS_ARGUMENT

/// One leaf of a result: a tensor, or a plain value.
struct Leaf {
  Tensor tensor;
  Value value;
  bool is_tensor = true;
};
using Leaves = std::vector<Leaf>;
inline Leaves leaves(const Tensor& t) { return {{t, {}, true}}; }
inline Leaves leaves(const Tensors& ts) {
  Leaves all;
  for (const Tensor& t : ts) all.push_back({t, {}, true});
  return all;
}
template <class A, class B> Leaves leaves(const std::pair<A, B>& both) {
  Leaves all = leaves(both.first), rest = leaves(both.second);
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}
/// What was asked for of `unique`.
inline Leaves leaves(const ops::Unique& u) {
  Leaves all;
  for (const Tensor& t : {u.values, u.index, u.inverse, u.counts})
    if (t.defined()) all.push_back({t, {}, true});
  return all;
}
inline Leaves leaves(const Shape& s) {
  Leaves all;
  for (int64_t d : s) all.push_back({{}, d < 0 ? Value() : Value(d), false});
  return all;
}
inline Leaves leaves(const quantizers::Packed& p) {
  Leaves all = leaves(p.values), shape = leaves(p.values.shape());
  all.insert(all.end(), shape.begin(), shape.end());
  all.push_back({{}, Value(p.length), false});
  return all;
}
template <class T>
  requires(std::is_arithmetic_v<T> || std::is_same_v<T, DType>)
Leaves leaves(T v) {
  return {{{}, Value(v), false}};
}

/// A function under one of its C++ signatures.
struct Overload {
  std::vector<const char*> parameters;
  Leaves (*call)(Arguments&);
};
/// By Keras' dotted names.
using FunctionTable = std::map<std::string, std::vector<Overload>, std::less<>>;
/// What tools/make_function_table found in the headers.
void add_functions(FunctionTable& table);
/// What Python's signature says in another way than the C++ one. These go before the others.
void add_functions_by_hand(FunctionTable& table);

/// Calls the function of that name under the first signature that takes the arguments, which then hold the inputs. Unsupported where
/// there is no such function, Mismatch where no signature takes them.
Leaves call(const std::string& function, Arguments& arguments);

}  // namespace keras::conformance
