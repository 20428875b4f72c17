// What lives here: reading the arguments of recorded calls as C++ types, and finding the signature that takes them.
#include "conformance/call.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <keras/core/variable.h>

#include "core/impl.h"

namespace keras::conformance {

const Value* tag(const Value& v, const char* name) { return v.is_dict() ? v.as_dict().find(name) : nullptr; }
bool is_sequence(const Value& v) { return v.is_list() || tag(v, "__tuple__"); }
const List& items(const Value& v) {
  if (const Value* t = tag(v, "__tuple__")) return t->as_list();
  if (!v.is_list()) throw Mismatch("a list is needed, not " + v.str().substr(0, 80));
  return v.as_list();
}

std::string narrow_name(const std::string& d) {
  return d == "int64" ? "int32" : d == "uint64" ? "uint32" : d == "float64" ? "float32" : d == "complex128" ? "complex64" : d;
}

namespace {

DType dtype_named(const std::string& name) {
  static const std::array missing{"float8_e4m3fn", "float8_e5m2", "int4", "uint4", "complex64", "complex128", "string"};
  if (std::find(missing.begin(), missing.end(), name) != missing.end()) throw Unsupported("the dtype " + name);
  return dtype_from_name(narrow_name(name == "int" ? "int32" : name == "float" ? "float32" : name));
}

bool is_dtype(const std::string& name) {
  for (int d = 0; d < kNumDTypes; ++d)
    if (name == dtype_name(static_cast<DType>(d))) return true;
  return false;
}

/// A list without a number in it, however deep: float32 in Keras.
bool is_empty(const Value& v) {
  if (!is_sequence(v)) return false;
  const List& l = items(v);
  return std::all_of(l.begin(), l.end(), is_empty);
}
bool holds_arrays(const Value& v) {
  if (tag(v, "__array__") || tag(v, "__keras_tensor__")) return true;
  if (!is_sequence(v)) return false;
  const List& l = items(v);
  return std::any_of(l.begin(), l.end(), holds_arrays);
}

/// "python_int" and its like as numbers; other texts stay.
Value stand_in(const Value& v) {
  if (is_sequence(v)) {
    List l;
    for (const Value& e : items(v)) l.push_back(stand_in(e));
    return l;
  }
  if (!v.is_string()) return v;
  const std::string& s = v.as_string();
  return s == "python_int" ? Value(1) : s == "python_float" ? Value(1.0) : s == "python_bool" ? Value(true) : v;
}

/// Options that Python takes and that say nothing here; none but their defaults are taken.
constexpr std::array kWithoutMeaning{"sparse", "ragged", "flash_attention", "unroll", "optimize"};

bool is_default(const Value& v) { return v.is_null() || (v.is_bool() && !v.as_bool()); }
/// Options that say where something is computed.
constexpr std::array kElsewhere{"to_numpy"};
/// Python's name of a parameter that C++ calls otherwise.
bool same_name(const std::string& parameter, const std::string& given) {
  return parameter == given || (parameter == "xs" && given == "x") || (parameter == "classes" && given == "x") || (parameter == "default_value" && given == "default");
}

}  // namespace

std::pair<Shape, std::string> symbolic_type(const Value& v) {
  Shape s;
  for (const Value& d : v.get("shape").as_list()) s.push_back(d.is_null() ? None : d.as_int());
  return {s, narrow_name(v.get("dtype").as_string())};
}

Arguments::Arguments(const Folder& folder, const Value& args, const Value& kwargs) : folder_(&folder) {
  if (!args.is_null()) positional_ = items(args);
  if (tag(kwargs, "__dict__")) {
    for (const Value& item : kwargs.get("__dict__").as_list()) named_.set(item.as_list().at(0).as_string(), item.as_list().at(1));
  } else if (kwargs.is_dict()) {
    named_ = kwargs.as_dict();
  }
}
Arguments::Arguments(const Folder& folder, const Value& args, const Value& kwargs, std::vector<Shape> shapes, double fill)
    : Arguments(folder, args, kwargs) {
  shapes_ = std::move(shapes);
  fill_ = fill;
  for (Value& v : positional_) v = stand_in(v);
  for (auto& [key, v] : named_) v = stand_in(v);
}
Arguments Arguments::with(const Tensors& given) const {
  Arguments again = *this;
  again.given_ = &given;
  return again;
}

void Arguments::bind(const std::vector<const char*>& names) {
  names_ = names;
  inputs_.clear();
  // "*x" takes all the positional arguments that are left, as in Python.
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i][0] == '*' && !(gathered_ && i + 1 == positional_.size())) gather_rest(i);
  if (positional_.size() > names.size()) throw Mismatch("more arguments than the function takes");
  for (const auto& [key, v] : named_) {
    bool taken = std::any_of(names.begin(), names.end(), [&, &k = key](const char* n) { return same_name(n, k); });
    bool elsewhere = std::find(kElsewhere.begin(), kElsewhere.end(), key) != kElsewhere.end();
    bool meaningless = elsewhere || std::find(kWithoutMeaning.begin(), kWithoutMeaning.end(), key) != kWithoutMeaning.end();
    if (meaningless && !elsewhere && !taken && !is_default(v)) throw Unsupported("the option " + key);
    // rearrange takes the lengths of axes by their own names.
    if (!taken && !meaningless && (names.empty() || std::string(names.back()) != "axes_lengths")) throw Mismatch("there is no parameter '" + key + "'");
  }
}
void Arguments::gather_rest(size_t from) {
  if (positional_.size() < from) throw Mismatch("too few arguments");
  gathered_ = true;
  auto at = positional_.begin() + static_cast<std::ptrdiff_t>(from);
  List rest(at, positional_.end());
  positional_.erase(at, positional_.end());
  positional_.push_back(Value(rest));
}

const Value* Arguments::find(size_t i) {
  parameter_ = i;
  if (i < positional_.size()) return &positional_[i];
  if (std::string(names_.at(i)) == "axes_lengths") {
    static thread_local Value all;
    return &(all = Value(named_));
  }
  for (const auto& [key, v] : named_)
    if (same_name(names_[i], key)) return &v;
  return nullptr;
}

Tensor Arguments::input(Tensor t, const std::string& key) {
  inputs_.push_back({t, key});
  return given_ ? given_->at(inputs_.size() - 1) : t;
}

bool Arguments::is_dtype_stand_in(const Value& v) const {
  return !shapes_.empty() && v.is_string() && (v.as_string() == "other" || is_dtype(v.as_string()));
}

template <> Value Arguments::as<Value>(const Value& v) { return v; }
template <> Tensor Arguments::as<Tensor>(const Value& v) {
  if (v.is_null()) return {};
  if (is_dtype_stand_in(v)) {
    const Value* dtype = named_.find("dtype");
    if (v == Value("other") && (!dtype || dtype->is_null())) throw Unsupported("an argument whose kind isn't recorded");
    const Shape& shape = shapes_[std::min(parameter_, shapes_.size() - 1)];
    return input(Tensor::full(shape, fill_, v == Value("other") ? DType::Float32 : dtype_named(v.as_string())), "");
  }
  if (v.is_string()) throw Mismatch("a tensor is needed, not '" + v.as_string() + "'");
  if (const Value* key = tag(v, "__array__")) {
    std::string name = narrow_name(v.get("dtype").as_string());
    if (name == "complex64") throw Mismatch("an array of complex numbers where real ones are needed");
    dtype_named(name);
    Tensor t = input(folder_->tensor(v), key->as_string());
    return v.get("as") == Value("variable") && t.is_concrete() ? Variable(t).value() : t;
  }
  if (const Value* k = tag(v, "__keras_tensor__")) {
    auto [shape, dtype] = symbolic_type(*k);
    if (dtype == "complex64") throw Mismatch("a tensor of complex numbers where real ones are needed");
    return core::make_symbolic({dtype_named(dtype), shape}, "input");
  }
  if (is_sequence(v)) {
    if (holds_arrays(v) || !shapes_.empty()) return ops::stack(as<Tensors>(v));
    Tensor t = items(v).empty() ? Tensor::empty(DType::Float32, Shape{0}) : folder_->tensor(v);
    return input(is_empty(v) ? t.astype(DType::Float32) : t, "");
  }
  if (tag(v, "__int__")) return Tensor(std::stod(tag(v, "__int__")->as_string()));
  if (v.is_dict() && !tag(v, "__float__")) throw Mismatch("a tensor is needed, not " + v.str().substr(0, 80));
  return folder_->tensor(v);
}
template <> Tensors Arguments::as<Tensors>(const Value& v) {
  Tensors all;
  if (tag(v, "__array__") || is_dtype_stand_in(v)) {
    Tensor t = as<Tensor>(v);
    if (t.rank() == 0) throw Mismatch("a list of tensors is needed, not a scalar");
    for (int64_t i = 0; i < t.shape()[0]; ++i) all.push_back(ops::get_item(t, {i}));
    return all;
  }
  for (const Value& e : items(v)) all.push_back(as<Tensor>(e));
  return all;
}
template <> Complex Arguments::as<Complex>(const Value& v) {
  if (const Value* key = tag(v, "__array__")) {
    if (narrow_name(v.get("dtype").as_string()) != "complex64") throw Mismatch("an array of real numbers where complex ones are needed");
    auto [re, im] = folder_->stored_complex(key->as_string());
    Tensor first = input(re, ""), second = input(im, "");
    return {first, second};
  }
  if (const Value* k = tag(v, "__keras_tensor__")) {
    auto [shape, dtype] = symbolic_type(*k);
    if (dtype != "complex64") throw Mismatch("a tensor of real numbers where complex ones are needed");
    return {core::make_symbolic({DType::Float32, shape}, "real"), core::make_symbolic({DType::Float32, shape}, "imag")};
  }
  if (const Value* z = tag(v, "__complex__")) return {Tensor(number(z->as_list().at(0))), Tensor(number(z->as_list().at(1)))};
  const List& two = items(v);
  if (two.size() != 2) throw Mismatch("a real and an imaginary part are needed");
  Tensor re = as<Tensor>(two[0]), im = as<Tensor>(two[1]);
  return {re, im};
}

double Arguments::real(const Value& v) {
  if (is_dtype_stand_in(v)) return v == Value("bool") ? 1 : 2;
  if (v.is_bool()) return v.as_bool();
  if (tag(v, "__int__")) return std::stod(tag(v, "__int__")->as_string());
  if (v.is_number() || tag(v, "__float__")) return number(v);
  if (tag(v, "__array__")) {
    Tensor t = folder_->tensor(v);
    if (t.numel() == 1) return t.item();
  }
  throw Mismatch("a number is needed, not " + v.str().substr(0, 80));
}
int64_t Arguments::integer(const Value& v) {
  bool whole = v.is_int() || v.is_bool() || is_dtype_stand_in(v);
  if (tag(v, "__array__")) {
    // Windows take their length as a tensor of any dtype.
    bool length = std::string(names_[parameter_]) == "x" && std::trunc(real(v)) == real(v);
    whole = length || !is_floating(dtype_named(v.get("dtype").as_string()));
  }
  if (!whole) throw Mismatch("a whole number is needed, not " + v.str().substr(0, 80));
  return static_cast<int64_t>(real(v));
}
std::vector<int64_t> Arguments::integers(const Value& v) {
  if (tag(v, "__array__")) {
    Tensor t = folder_->tensor(v);
    if (is_floating(t.dtype())) throw Mismatch("whole numbers are needed, not floats");
    return t.to_vector<int64_t>();
  }
  std::vector<int64_t> all;
  for (const Value& e : items(v)) all.push_back(e.is_null() ? None : integer(e));
  return all;
}

template <> int Arguments::as<int>(const Value& v) { return static_cast<int>(integer(v)); }
template <> int64_t Arguments::as<int64_t>(const Value& v) { return integer(v); }
template <> bool Arguments::as<bool>(const Value& v) {
  if (v.is_null()) return false;
  return real(v) != 0;
}
template <> double Arguments::as<double>(const Value& v) { return real(v); }
template <> std::string Arguments::as<std::string>(const Value& v) {
  if (v.is_null()) return "";
  if (!v.is_string()) throw Mismatch("a text is needed, not " + v.str().substr(0, 80));
  return v.as_string();
}
template <> Axes Arguments::as<Axes>(const Value& v) {
  if (v.is_null()) return {};
  if (v == Value("other")) return std::vector<int>{0, 1};
  if (is_sequence(v) || (tag(v, "__array__") && folder_->tensor(v).rank() > 0)) return as<std::vector<int>>(v);
  return integer(v);
}
template <> Sizes Arguments::as<Sizes>(const Value& v) {
  if (v.is_null()) return {};
  if (is_sequence(v) || (tag(v, "__array__") && folder_->tensor(v).rank() > 0)) return integers(v);
  return integer(v);
}
template <> Shape Arguments::as<Shape>(const Value& v) {
  if (v == Value("other")) return shapes_.at(0);
  if (is_sequence(v) || (tag(v, "__array__") && folder_->tensor(v).rank() > 0)) return Shape(integers(v));
  return Shape{integer(v)};
}
template <> DType Arguments::as<DType>(const Value& v) {
  if (const Value* d = tag(v, "__dtype__")) return dtype_named(d->as_string());
  if (!v.is_string()) throw Mismatch("a dtype is needed, not " + v.str().substr(0, 80));
  return dtype_named(v.as_string());
}
template <> Number Arguments::as<Number>(const Value& v) {
  if (v.is_null()) return 1;  // the step of `arange`
  if (v.is_bool()) return v.as_bool();
  double value = real(v);
  bool whole = v.is_int() || (tag(v, "__array__") && !is_floating(dtype_named(v.get("dtype").as_string())));
  return whole ? Number(static_cast<int64_t>(value)) : Number(value);
}
template <> PadWidth Arguments::as<PadWidth>(const Value& v) {
  if (v == Value("other")) return 1;
  if (!is_sequence(v) && !tag(v, "__array__")) return integer(v);
  if (tag(v, "__array__")) {
    Tensor t = folder_->tensor(v);
    std::vector<int64_t> n = t.to_vector<int64_t>();
    if (n.size() == 1) return n[0];
    std::vector<PadWidth::Pair> pairs;
    for (size_t i = 0; i + 1 < n.size(); i += 2) pairs.push_back({n[i], n[i + 1]});
    return pairs;
  }
  const List& l = items(v);
  std::vector<PadWidth::Pair> pairs;
  if (!l.empty() && !is_sequence(l[0])) {
    if (l.size() == 1) return integer(l[0]);
    std::vector<int64_t> both = integers(v);
    if (both.size() != 2) throw Mismatch("two widths are needed");
    return std::vector<PadWidth::Pair>{{both[0], both[1]}};
  }
  for (const Value& e : l) {
    std::vector<int64_t> both = integers(e);
    if (both.empty() || both.size() > 2) throw Mismatch("one or two widths are needed");
    pairs.push_back({both.front(), both.back()});
  }
  return pairs;
}
template <> Slice Arguments::as<Slice>(const Value& v) {
  const Value* s = tag(v, "__slice__");
  if (!s) throw Mismatch("a slice is needed, not " + v.str().substr(0, 80));
  auto bound = [&](size_t i) { return as<std::optional<int64_t>>(s->as_list().at(i)); };
  return {bound(0), bound(1), bound(2)};
}
template <> Index Arguments::as<Index>(const Value& v) {
  if (tag(v, "__ellipsis__")) return Ellipsis;
  if (v.is_null()) return NewAxis;
  if (v.is_int()) return v.as_int();
  if (tag(v, "__slice__")) return as<Slice>(v);
  return as<Tensor>(v);
}
template <> std::vector<int> Arguments::as<std::vector<int>>(const Value& v) {
  std::vector<int64_t> all = integers(v);
  return {all.begin(), all.end()};
}
template <> std::vector<Index> Arguments::as<std::vector<Index>>(const Value& v) {
  std::vector<Index> all;
  if (!tag(v, "__tuple__")) return {as<Index>(v)};
  for (const Value& e : items(v)) all.push_back(as<Index>(e));
  return all;
}
template <> std::vector<Slice> Arguments::as<std::vector<Slice>>(const Value& v) {
  std::vector<Slice> all;
  for (const Value& e : items(v)) all.push_back(as<Slice>(e));
  return all;
}
template <> IntPair Arguments::as<IntPair>(const Value& v) {
  std::vector<int64_t> two = integers(v);
  if (two.size() != 2) throw Mismatch("two numbers are needed");
  return {static_cast<int>(two[0]), static_cast<int>(two[1])};
}
template <> RealPair Arguments::as<RealPair>(const Value& v) {
  if (tag(v, "__array__")) {
    std::vector<double> two = folder_->tensor(v).to_vector<double>();
    if (two.empty() || two.size() > 2) throw Mismatch("two numbers are needed");
    return {two.front(), two.back()};
  }
  if (!is_sequence(v)) return {real(v), real(v)};
  const List& two = items(v);
  if (two.size() != 2) throw Mismatch("two numbers are needed");
  return {real(two[0]), real(two[1])};
}
template <> NamedSizes Arguments::as<NamedSizes>(const Value& v) {
  NamedSizes all;
  for (const auto& [key, size] : v.as_dict()) all.push_back({key, integer(size)});
  return all;
}
template <> std::optional<int> Arguments::as<std::optional<int>>(const Value& v) { return v.is_null() ? std::nullopt : std::optional(as<int>(v)); }
template <> std::optional<int64_t> Arguments::as<std::optional<int64_t>>(const Value& v) {
  return v.is_null() ? std::nullopt : std::optional(integer(v));
}
template <> std::optional<double> Arguments::as<std::optional<double>>(const Value& v) { return v.is_null() ? std::nullopt : std::optional(real(v)); }
template <> std::optional<Number> Arguments::as<std::optional<Number>>(const Value& v) {
  return v.is_null() ? std::nullopt : std::optional(as<Number>(v));
}
template <> std::optional<Sizes> Arguments::as<std::optional<Sizes>>(const Value& v) {
  return v.is_null() ? std::nullopt : std::optional(as<Sizes>(v));
}
template <> std::optional<RealPair> Arguments::as<std::optional<RealPair>>(const Value& v) {
  return v.is_null() ? std::nullopt : std::optional(as<RealPair>(v));
}
template <> OptDType Arguments::as<OptDType>(const Value& v) { return v.is_null() ? std::nullopt : OptDType(as<DType>(v)); }

Leaves call(const std::string& function, Arguments& arguments) {
  static const FunctionTable table = [] {
    FunctionTable t;
    add_functions_by_hand(t);
    add_functions(t);
    return t;
  }();
  auto found = table.find(function);
  if (found == table.end()) throw Unsupported("there is no " + function);
  std::string why;
  for (const Overload& overload : found->second) {
    try {
      arguments.bind(overload.parameters);
      return overload.call(arguments);
    } catch (const Mismatch& m) {
      if (why.empty() || why.rfind("there is no parameter", 0) == 0) why = m.text;
    }
  }
  throw Mismatch(why);
}

}  // namespace keras::conformance
