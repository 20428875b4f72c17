// What lives here: the table of keras::ops' classes in saved graphs: from Keras' class, constructor options and call arguments to the
// function, and back. What the functions compute is in ops.
#include "models/op_classes.h"

#include <algorithm>
#include <cctype>
#include <map>

#include <keras/activations.h>
#include <keras/ops.h>

#include "io/json.h"
#include "layers/registry.h"
#include "ops/op_frame.h"

namespace keras::models {

using core::Arg;
using core::ArgDict;
using core::CallArgs;

namespace {

// ---- one argument to the type of a parameter
Tensor number_tensor(const Value& v) {
  if (v.is_bool()) return Tensor(v.as_bool());
  if (v.is_int()) return Tensor(v.as_int());
  return Tensor(v.as_float());
}
// Nested lists of plain numbers.
Tensor list_tensor(const Value& v) {
  Shape shape;
  bool whole = true;
  for (const Value* at = &v; at->is_list(); at = &at->as_list()[0]) {
    shape.push_back(static_cast<int64_t>(at->as_list().size()));
    if (at->as_list().empty()) break;
  }
  std::vector<double> numbers;
  auto walk = [&](auto&& self, const Value& e) -> void {
    if (e.is_list()) {
      for (const Value& x : e.as_list()) self(self, x);
    } else {
      whole &= e.is_int();
      numbers.push_back(e.is_bool() ? e.as_bool() : e.as_float());
    }
  };
  walk(walk, v);
  return Tensor::from<double>(numbers, shape).astype(whole ? DType::Int32 : DType::Float32);
}
const Value& plain(const Arg& a) {
  if (a.v.index() != 0) throw TypeError("a plain value is expected, not a tensor");
  return a.value();
}
// A list whose items are plain.
Value listed(const Arg& a) {
  if (!a.is_list()) return plain(a);
  List l;
  for (const Arg& e : a.list()) l.push_back(listed(e));
  return l;
}

template <class T> struct Read;
template <> struct Read<Tensor> {
  static Tensor from(const Arg& a) {
    if (a.is_tensor()) return a.tensor();
    Value v = listed(a);
    return v.is_null() ? Tensor() : v.is_list() ? list_tensor(v) : number_tensor(v);
  }
};
template <> struct Read<Tensors> {
  static Tensors from(const Arg& a) {
    Tensors out;
    if (a.is_list()) {
      for (const Arg& e : a.list()) out.push_back(Read<Tensor>::from(e));
    } else if (a.v.index() == 0 && a.value().is_list()) {
      for (const Value& e : a.value().as_list()) out.push_back(Read<Tensor>::from(Arg(e)));
    } else {
      out.push_back(Read<Tensor>::from(a));
    }
    return out;
  }
};
template <> struct Read<std::pair<Tensor, Tensor>> {
  static std::pair<Tensor, Tensor> from(const Arg& a) {
    Tensors ts = Read<Tensors>::from(a);
    if (ts.size() != 2) throw ValueError("a pair of tensors is expected, the real and the imaginary part");
    return {ts[0], ts[1]};
  }
};
template <> struct Read<Value> {
  static Value from(const Arg& a) { return listed(a); }
};
template <> struct Read<bool> {
  static bool from(const Arg& a) { return plain(a).as_bool(); }
};
template <> struct Read<int64_t> {
  static int64_t from(const Arg& a) { return plain(a).as_int(); }
};
template <> struct Read<int> {
  static int from(const Arg& a) { return static_cast<int>(plain(a).as_int()); }
};
template <> struct Read<double> {
  static double from(const Arg& a) { return plain(a).as_float(); }
};
template <> struct Read<std::string_view> {
  static std::string from(const Arg& a) { return plain(a).is_null() ? "" : plain(a).as_string(); }
};
template <> struct Read<DType> {
  static DType from(const Arg& a) {
    const Value& v = plain(a);
    return dtype_from_name(v.is_dict() ? v.get("config").get("name").as_string() : v.as_string());
  }
};
template <> struct Read<Shape> {
  static Shape from(const Arg& a) {
    Value v = listed(a);
    return v.is_int() ? Shape{v.as_int()} : v.as_shape();
  }
};
template <> struct Read<Axes> {
  static Axes from(const Arg& a) {
    Value v = listed(a);
    if (v.is_null()) return {};
    if (!v.is_list()) return Axes(v.as_int());
    std::vector<int> axes;
    for (int64_t i : v.as_ints()) axes.push_back(static_cast<int>(i));
    return axes;
  }
};
template <> struct Read<Sizes> {
  static Sizes from(const Arg& a) {
    Value v = listed(a);
    if (v.is_null()) return {};
    return v.is_list() ? Sizes(v.as_ints()) : Sizes(v.as_int());
  }
};
template <> struct Read<Number> {
  static Number from(const Arg& a) {
    const Value& v = plain(a);
    return v.is_bool() ? Number(v.as_bool()) : v.is_int() ? Number(v.as_int()) : Number(v.as_float());
  }
};
template <> struct Read<PadWidth> {
  static PadWidth from(const Arg& a) {
    Value v = listed(a);
    if (!v.is_list()) return PadWidth(v.as_int());
    std::vector<PadWidth::Pair> pairs;
    const List& l = v.as_list();
    auto pair = [](const List& p) { return PadWidth::Pair(p.at(0).as_int(), p.at(p.size() > 1 ? 1 : 0).as_int()); };
    if (!l.empty() && !l[0].is_list()) pairs.push_back(pair(l));
    else
      for (const Value& e : l) pairs.push_back(pair(e.as_list()));
    return pairs;
  }
};
template <class A, class B> struct Read<std::pair<A, B>> {
  static std::pair<A, B> from(const Arg& a) {
    Value v = listed(a);
    return {Read<A>::from(Arg(v.as_list().at(0))), Read<B>::from(Arg(v.as_list().at(1)))};
  }
};
template <class T> struct Read<std::vector<std::pair<std::string, T>>> {
  static std::vector<std::pair<std::string, T>> from(const Arg& a) {
    std::vector<std::pair<std::string, T>> out;
    if (Value v = listed(a); v.is_dict())
      for (const auto& [k, e] : v.as_dict()) out.emplace_back(k, Read<T>::from(Arg(e)));
    return out;
  }
};
template <class T> struct Read<std::optional<T>> {
  static std::optional<T> from(const Arg& a) {
    if (a.v.index() == 0 && a.value().is_null()) return {};
    return Read<T>::from(a);
  }
};

// ---- calling a function with arguments in the order of its parameters
template <class F> struct Caller;
template <class R, class... P> struct Caller<R (*)(P...)> {
  static constexpr size_t kParameters = sizeof...(P);
  template <R (*f)(P...)> static Tensors call(const std::vector<Arg>& a) {
    return [&]<size_t... i>(std::index_sequence<i...>) { return ops::results(f(Read<std::decay_t<P>>::from(a[i])...)); }(std::index_sequence_for<P...>{});
  }
};

// ---- overloaded functions, and those whose arguments have several kinds
Tensor relu_of(const Tensor& x, double negative_slope, std::optional<double> max_value, double threshold) {
  return activations::relu(x, negative_slope, max_value, threshold);
}
/// The one of a function's overloads that takes a tensor.
template <Tensor (*f)(const Tensor&)> Tensor of_tensor(const Tensor& x) { return f(x); }
Tensor where_of(const Tensor& condition, const Tensor& x1, const Tensor& x2) { return ops::where(condition, x1, x2); }
Tensor tensordot_of(const Tensor& x1, const Tensor& x2, const Value& axes) {
  if (!axes.is_list()) return ops::tensordot(x1, x2, static_cast<int>(axes.as_int()));
  auto list = [](const Value& v) {
    std::vector<int> out;
    if (!v.is_list()) return std::vector<int>{static_cast<int>(v.as_int())};
    for (int64_t i : v.as_ints()) out.push_back(static_cast<int>(i));
    return out;
  };
  return ops::tensordot(x1, x2, list(axes.as_list().at(0)), list(axes.as_list().at(1)));
}
Tensor norm_of(const Tensor& x, const Value& ord, const Axes& axis, bool keepdims) {
  if (ord.is_string()) return ops::norm(x, ord.as_string(), axis, keepdims);
  return ops::norm(x, ord.is_null() ? std::optional<double>() : ord.as_float(), axis, keepdims);
}
std::pair<Tensor, Tensor> stft_of(const Tensor& x, int64_t length, int64_t stride, int64_t fft_length, const Value& window, bool center) {
  if (window.is_list()) return ops::stft(x, length, stride, fft_length, list_tensor(window), center);
  return ops::stft(x, length, stride, fft_length, window.is_null() ? std::string() : window.as_string(), center);
}
Tensor istft_of(const std::pair<Tensor, Tensor>& x, int64_t sequence, int64_t stride, int64_t fft_length, std::optional<int64_t> length, const Value& window, bool center) {
  if (window.is_list()) return ops::istft(x, sequence, stride, fft_length, length, list_tensor(window), center);
  return ops::istft(x, sequence, stride, fft_length, length, window.is_null() ? std::string() : window.as_string(), center);
}
// Python's x[key]: numbers, slices, "...", None and tensors, alone or in a list.
Tensor get_item_of(const std::vector<Arg>& a) {
  std::vector<Index> key;
  auto bound = [](const Value& v) { return v.is_int() ? std::optional<int64_t>(v.as_int()) : std::nullopt; };
  auto one = [&](const Arg& e) {
    if (e.is_tensor()) return key.push_back(Index(e.tensor()));
    const Value& v = plain(e);
    if (v.is_null()) return key.push_back(NewAxis);
    if (v.is_int()) return key.push_back(v.as_int());
    if (v.is_list()) return key.push_back(Index(list_tensor(v)));
    const Value& cls = v.get("class_name");
    if (cls == Value("__ellipsis__")) return key.push_back(Ellipsis);
    if (cls != Value("__slice__")) throw ValueError("an item of an index is unknown: " + v.str().substr(0, 80));
    const Value& c = v.get("config");
    key.push_back(Slice{bound(c.get("start")), bound(c.get("stop")), bound(c.get("step"))});
  };
  const Arg& given = a.at(1);
  if (given.is_list())
    for (const Arg& e : given.list()) one(e);
  else if (given.v.index() == 0 && given.value().is_list())
    for (const Value& e : given.value().as_list()) one(Arg(e));
  else one(given);
  return ops::get_item(a.at(0).tensor(), key);
}
Tensors get_item_call(const std::vector<Arg>& a) { return {get_item_of(a)}; }

// ---- the table
// `signature`: the parameters of the C++ function in order, named and defaulted as in Keras. `*`: an argument of the call, the others are
// options of the constructor; `**`: the rest of the call's arguments; `-`: an option of Keras alone.
struct Row {
  const char* module;
  const char* cls;
  const char* signature;
  size_t parameters;
  Tensors (*call)(const std::vector<Arg>&);
};
#define OP(module, cls, f, signature) \
  Row { "keras.src." module, cls, signature, Caller<std::decay_t<decltype(f)>>::kParameters, &Caller<std::decay_t<decltype(f)>>::template call<f> }
const Row kRows[] = {
    // ---- keras.ops.core
    OP("ops.core", "Cast", ops::cast, "*x, dtype"),
    OP("ops.core", "ConvertToTensor", ops::convert_to_tensor, "*x, dtype=None, -sparse=None, -ragged=None"),
    OP("ops.core", "SaturateCast", ops::saturate_cast, "*x, dtype"),
    OP("ops.core", "Scatter", ops::scatter, "*indices, *values, shape"),
    OP("ops.core", "ScatterUpdate", ops::scatter_update, "*inputs, *indices, *updates, reduction=None"),
    OP("ops.core", "Slice", ops::slice, "*inputs, *start_indices, shape"),
    OP("ops.core", "SliceUpdate", ops::slice_update, "*inputs, *start_indices, *updates"),
    OP("ops.core", "StopGradient", ops::stop_gradient, "*variable"),
    OP("ops.core", "Unstack", ops::unstack, "*x, num=None, axis=0"),
    // ---- keras.ops.einops
    OP("ops.einops", "Rearrange", ops::rearrange, "*tensor, *pattern, *axes_lengths=None"),
    // ---- keras.ops.numpy
    OP("ops.numpy", "Abs", of_tensor<ops::abs>, "*x"),
    OP("ops.numpy", "Absolute", of_tensor<ops::absolute>, "*x"),
    OP("ops.numpy", "Add", ops::add, "*x1, *x2"),
    OP("ops.numpy", "All", ops::all, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "AllClose", ops::allclose, "*x1, *x2, rtol=1e-05, atol=1e-08, equal_nan=False"),
    OP("ops.numpy", "Amax", ops::amax, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Amin", ops::amin, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Angle", of_tensor<ops::angle>, "*x"),
    OP("ops.numpy", "Any", ops::any, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Append", ops::append, "*x1, *x2, axis=None"),
    OP("ops.numpy", "Arange", ops::arange, "*start, *stop=None, *step=None, dtype=None"),
    OP("ops.numpy", "Arccos", ops::arccos, "*x"),
    OP("ops.numpy", "Arccosh", ops::arccosh, "*x"),
    OP("ops.numpy", "Arcsin", ops::arcsin, "*x"),
    OP("ops.numpy", "Arcsinh", ops::arcsinh, "*x"),
    OP("ops.numpy", "Arctan", ops::arctan, "*x"),
    OP("ops.numpy", "Arctan2", ops::arctan2, "*x1, *x2"),
    OP("ops.numpy", "Arctanh", ops::arctanh, "*x"),
    OP("ops.numpy", "Argmax", ops::argmax, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Argmin", ops::argmin, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Argpartition", ops::argpartition, "*x, kth, axis=-1"),
    OP("ops.numpy", "Argsort", ops::argsort, "*x, axis=-1"),
    OP("ops.numpy", "Array", ops::array, "*x, dtype=None"),
    OP("ops.numpy", "ArraySplit", ops::array_split, "*x, indices_or_sections, axis=0"),
    OP("ops.numpy", "Average", ops::average, "*x, axis=None, *weights=None"),
    OP("ops.numpy", "Bincount", ops::bincount, "*x, weights=None, minlength=0, -sparse=False"),
    OP("ops.numpy", "BitwiseAnd", ops::bitwise_and, "*x, *y"),
    OP("ops.numpy", "BitwiseInvert", ops::bitwise_invert, "*x"),
    OP("ops.numpy", "BitwiseLeftShift", ops::bitwise_left_shift, "*x, *y"),
    OP("ops.numpy", "BitwiseNot", ops::bitwise_not, "*x"),
    OP("ops.numpy", "BitwiseOr", ops::bitwise_or, "*x, *y"),
    OP("ops.numpy", "BitwiseRightShift", ops::bitwise_right_shift, "*x, *y"),
    OP("ops.numpy", "BitwiseXor", ops::bitwise_xor, "*x, *y"),
    OP("ops.numpy", "BroadcastTo", ops::broadcast_to, "*x, shape"),
    OP("ops.numpy", "Cbrt", ops::cbrt, "*x"),
    OP("ops.numpy", "Ceil", ops::ceil, "*x"),
    OP("ops.numpy", "Clip", ops::clip, "*x, x_min, x_max"),
    OP("ops.numpy", "Concatenate", ops::concatenate, "*xs, axis=0"),
    OP("ops.numpy", "Conj", of_tensor<ops::conj>, "*x"),
    OP("ops.numpy", "Conjugate", of_tensor<ops::conjugate>, "*x"),
    OP("ops.numpy", "Copy", ops::copy, "*x"),
    OP("ops.numpy", "Corrcoef", ops::corrcoef, "*x"),
    OP("ops.numpy", "Correlate", ops::correlate, "*x1, *x2, mode='valid'"),
    OP("ops.numpy", "Cos", ops::cos, "*x"),
    OP("ops.numpy", "Cosh", ops::cosh, "*x"),
    OP("ops.numpy", "CountNonzero", ops::count_nonzero, "*x, axis=None"),
    OP("ops.numpy", "Cross", ops::cross, "*x1, *x2, axisa=-1, axisb=-1, axisc=-1, axis=None"),
    OP("ops.numpy", "Cumprod", ops::cumprod, "*x, axis=None, dtype=None"),
    OP("ops.numpy", "Cumsum", ops::cumsum, "*x, axis=None, dtype=None"),
    OP("ops.numpy", "Deg2rad", ops::deg2rad, "*x"),
    OP("ops.numpy", "Diag", ops::diag, "*x, k=0"),
    OP("ops.numpy", "Diagflat", ops::diagflat, "*x, k=0"),
    OP("ops.numpy", "Diagonal", ops::diagonal, "*x, offset=0, axis1=0, axis2=1"),
    OP("ops.numpy", "Diff", ops::diff, "*a, n=1, axis=-1"),
    OP("ops.numpy", "Digitize", ops::digitize, "*x, *bins"),
    OP("ops.numpy", "Divide", ops::divide, "*x1, *x2"),
    OP("ops.numpy", "DivideNoNan", ops::divide_no_nan, "*x1, *x2"),
    OP("ops.numpy", "Dot", ops::dot, "*x1, *x2"),
    OP("ops.numpy", "Dsplit", ops::dsplit, "*x, indices_or_sections"),
    OP("ops.numpy", "Dstack", ops::dstack, "*xs"),
    OP("ops.numpy", "Einsum", ops::einsum, "subscripts, **operands"),
    OP("ops.numpy", "EmptyLike", ops::empty_like, "*x, dtype=None"),
    OP("ops.numpy", "Equal", ops::equal, "*x1, *x2"),
    OP("ops.numpy", "Exp", ops::exp, "*x"),
    OP("ops.numpy", "Exp2", ops::exp2, "*x"),
    OP("ops.numpy", "ExpandDims", ops::expand_dims, "*x, axis"),
    OP("ops.numpy", "Expm1", ops::expm1, "*x"),
    OP("ops.numpy", "Fabs", ops::fabs, "*x"),
    OP("ops.numpy", "Flip", ops::flip, "*x, axis=None"),
    OP("ops.numpy", "Fliplr", ops::fliplr, "*x"),
    OP("ops.numpy", "Flipud", ops::flipud, "*x"),
    OP("ops.numpy", "Floor", ops::floor, "*x"),
    OP("ops.numpy", "FloorDivide", ops::floor_divide, "*x1, *x2"),
    OP("ops.numpy", "Fmax", ops::fmax, "*x1, *x2"),
    OP("ops.numpy", "Fmin", ops::fmin, "*x1, *x2"),
    OP("ops.numpy", "Fmod", ops::fmod, "*x1, *x2"),
    OP("ops.numpy", "Full", ops::full, "shape, *fill_value, dtype=None"),
    OP("ops.numpy", "FullLike", ops::full_like, "*x, *fill_value, dtype=None"),
    OP("ops.numpy", "Gcd", ops::gcd, "*x1, *x2"),
    OP("ops.numpy", "Geomspace", ops::geomspace, "*start, *stop, num=50, endpoint=True, dtype=None, axis=0"),
    OP("ops.numpy", "Greater", ops::greater, "*x1, *x2"),
    OP("ops.numpy", "GreaterEqual", ops::greater_equal, "*x1, *x2"),
    OP("ops.numpy", "Heaviside", ops::heaviside, "*x1, *x2"),
    OP("ops.numpy", "Histogram", ops::histogram, "*x, bins=10, range=None"),
    OP("ops.numpy", "Hsplit", ops::hsplit, "*x, indices_or_sections"),
    OP("ops.numpy", "Hstack", ops::hstack, "*xs"),
    OP("ops.numpy", "Hypot", ops::hypot, "*x1, *x2"),
    OP("ops.numpy", "I0", ops::i0, "*x"),
    OP("ops.numpy", "Imag", of_tensor<ops::imag>, "*x"),
    OP("ops.numpy", "Inner", ops::inner, "*x1, *x2"),
    OP("ops.numpy", "IsIn", ops::isin, "*x1, *x2, assume_unique=False, invert=False"),
    OP("ops.numpy", "Isclose", ops::isclose, "*x1, *x2, *rtol=1e-05, *atol=1e-08, equal_nan=False"),
    OP("ops.numpy", "Isfinite", ops::isfinite, "*x"),
    OP("ops.numpy", "Isinf", ops::isinf, "*x"),
    OP("ops.numpy", "Isnan", ops::isnan, "*x"),
    OP("ops.numpy", "Isneginf", ops::isneginf, "*x"),
    OP("ops.numpy", "Isposinf", ops::isposinf, "*x"),
    OP("ops.numpy", "Isreal", of_tensor<ops::isreal>, "*x"),
    OP("ops.numpy", "Kron", ops::kron, "*x1, *x2"),
    OP("ops.numpy", "Lcm", ops::lcm, "*x1, *x2"),
    OP("ops.numpy", "Ldexp", ops::ldexp, "*x1, *x2"),
    OP("ops.numpy", "LeftShift", ops::left_shift, "*x, *y"),
    OP("ops.numpy", "Less", ops::less, "*x1, *x2"),
    OP("ops.numpy", "LessEqual", ops::less_equal, "*x1, *x2"),
    OP("ops.numpy", "Linspace", ops::linspace, "*start, *stop, num=50, endpoint=True, -retstep=False, dtype=None, axis=0"),
    OP("ops.numpy", "Log", ops::log, "*x"),
    OP("ops.numpy", "Log10", ops::log10, "*x"),
    OP("ops.numpy", "Log1p", ops::log1p, "*x"),
    OP("ops.numpy", "Log2", ops::log2, "*x"),
    OP("ops.numpy", "Logaddexp", ops::logaddexp, "*x1, *x2"),
    OP("ops.numpy", "Logaddexp2", ops::logaddexp2, "*x1, *x2"),
    OP("ops.numpy", "LogicalAnd", ops::logical_and, "*x1, *x2"),
    OP("ops.numpy", "LogicalNot", ops::logical_not, "*x"),
    OP("ops.numpy", "LogicalOr", ops::logical_or, "*x1, *x2"),
    OP("ops.numpy", "LogicalXor", ops::logical_xor, "*x1, *x2"),
    OP("ops.numpy", "Logspace", ops::logspace, "*start, *stop, num=50, endpoint=True, base=10, dtype=None, axis=0"),
    OP("ops.numpy", "Matmul", ops::matmul, "*x1, *x2"),
    OP("ops.numpy", "Max", ops::max, "*x, axis=None, keepdims=False, initial=None"),
    OP("ops.numpy", "Maximum", ops::maximum, "*x1, *x2"),
    OP("ops.numpy", "Mean", ops::mean, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Median", ops::median, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Meshgrid", ops::meshgrid, "**x, indexing='xy'"),
    OP("ops.numpy", "Min", ops::min, "*x, axis=None, keepdims=False, initial=None"),
    OP("ops.numpy", "Minimum", ops::minimum, "*x1, *x2"),
    OP("ops.numpy", "Mod", ops::mod, "*x1, *x2"),
    OP("ops.numpy", "Moveaxis", ops::moveaxis, "*x, source, destination"),
    OP("ops.numpy", "Multiply", ops::multiply, "*x1, *x2"),
    OP("ops.numpy", "NanToNum", ops::nan_to_num, "*x, nan=0.0, posinf=None, neginf=None"),
    OP("ops.numpy", "Nanargmax", ops::nanargmax, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanargmin", ops::nanargmin, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nancumprod", ops::nancumprod, "*x, axis=None, dtype=None"),
    OP("ops.numpy", "Nancumsum", ops::nancumsum, "*x, axis=None, dtype=None"),
    OP("ops.numpy", "Nanmax", ops::nanmax, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanmean", ops::nanmean, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanmedian", ops::nanmedian, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanmin", ops::nanmin, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanpercentile", ops::nanpercentile, "*x, *q, axis=None, method='linear', keepdims=False"),
    OP("ops.numpy", "Nanprod", ops::nanprod, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanquantile", ops::nanquantile, "*x, *q, axis=None, method='linear', keepdims=False"),
    OP("ops.numpy", "Nanstd", ops::nanstd, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nansum", ops::nansum, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Nanvar", ops::nanvar, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Negative", ops::negative, "*x"),
    OP("ops.numpy", "Nextafter", ops::nextafter, "*x1, *x2"),
    OP("ops.numpy", "NotEqual", ops::not_equal, "*x1, *x2"),
    OP("ops.numpy", "OnesLike", ops::ones_like, "*x, dtype=None"),
    OP("ops.numpy", "Outer", ops::outer, "*x1, *x2"),
    OP("ops.numpy", "Pad", ops::pad, "*x, pad_width, mode='constant', *constant_values=None"),
    OP("ops.numpy", "Percentile", ops::percentile, "*x, *q, axis=None, method='linear', keepdims=False"),
    OP("ops.numpy", "Power", ops::power, "*x1, *x2"),
    OP("ops.numpy", "Prod", ops::prod, "*x, axis=None, keepdims=False, dtype=None"),
    OP("ops.numpy", "Ptp", ops::ptp, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Quantile", ops::quantile, "*x, *q, axis=None, method='linear', keepdims=False"),
    OP("ops.numpy", "Rad2deg", ops::rad2deg, "*x"),
    OP("ops.numpy", "Ravel", ops::ravel, "*x"),
    OP("ops.numpy", "Real", of_tensor<ops::real>, "*x"),
    OP("ops.numpy", "Reciprocal", ops::reciprocal, "*x"),
    OP("ops.numpy", "Repeat", ops::repeat, "*x, repeats, axis=None"),
    OP("ops.numpy", "Reshape", ops::reshape, "*x, newshape"),
    OP("ops.numpy", "RightShift", ops::right_shift, "*x, *y"),
    OP("ops.numpy", "Roll", ops::roll, "*x, shift, axis=None"),
    OP("ops.numpy", "Rot90", ops::rot90, "*array, k=1, axes=(0, 1)"),
    OP("ops.numpy", "Round", ops::round, "*x, decimals=0"),
    OP("ops.numpy", "SearchSorted", ops::searchsorted, "*sorted_sequence, *values, side='left'"),
    OP("ops.numpy", "Select", ops::select, "*condlist, *choicelist, *default=0"),
    OP("ops.numpy", "Sign", ops::sign, "*x"),
    OP("ops.numpy", "Signbit", ops::signbit, "*x"),
    OP("ops.numpy", "Sin", ops::sin, "*x"),
    OP("ops.numpy", "Sinc", ops::sinc, "*x"),
    OP("ops.numpy", "Sinh", ops::sinh, "*x"),
    OP("ops.numpy", "Sort", ops::sort, "*x, axis=-1"),
    OP("ops.numpy", "Split", ops::split, "*x, indices_or_sections, axis=0"),
    OP("ops.numpy", "Sqrt", ops::sqrt, "*x"),
    OP("ops.numpy", "Square", ops::square, "*x"),
    OP("ops.numpy", "Squeeze", ops::squeeze, "*x, axis=None"),
    OP("ops.numpy", "Stack", ops::stack, "*x, axis=0"),
    OP("ops.numpy", "Std", ops::std, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Subtract", ops::subtract, "*x1, *x2"),
    OP("ops.numpy", "Sum", ops::sum, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Swapaxes", ops::swapaxes, "*x, axis1, axis2"),
    OP("ops.numpy", "Take", ops::take, "*x, *indices, axis=None"),
    OP("ops.numpy", "TakeAlongAxis", ops::take_along_axis, "*x, *indices, axis=None"),
    OP("ops.numpy", "Tan", ops::tan, "*x"),
    OP("ops.numpy", "Tanh", ops::tanh, "*x"),
    OP("ops.numpy", "Tensordot", tensordot_of, "*x1, *x2, axes=2"),
    OP("ops.numpy", "Tile", ops::tile, "*x, repeats"),
    OP("ops.numpy", "Trace", ops::trace, "*x, offset=0, axis1=0, axis2=1"),
    OP("ops.numpy", "Transpose", ops::transpose, "*x, axes=None"),
    OP("ops.numpy", "Trapezoid", ops::trapezoid, "*y, x=None, dx=1.0, axis=-1"),
    OP("ops.numpy", "Tril", ops::tril, "*x, k=0"),
    OP("ops.numpy", "Triu", ops::triu, "*x, k=0"),
    OP("ops.numpy", "TrueDivide", ops::true_divide, "*x1, *x2"),
    OP("ops.numpy", "Trunc", ops::trunc, "*x"),
    OP("ops.numpy", "UnravelIndex", ops::unravel_index, "*indices, shape"),
    OP("ops.numpy", "Vander", ops::vander, "*x, N=None, increasing=False"),
    OP("ops.numpy", "Var", ops::var, "*x, axis=None, keepdims=False"),
    OP("ops.numpy", "Vdot", ops::vdot, "*x1, *x2"),
    OP("ops.numpy", "View", ops::view, "*x, dtype=None"),
    OP("ops.numpy", "Vsplit", ops::vsplit, "*x, indices_or_sections"),
    OP("ops.numpy", "Vstack", ops::vstack, "*xs"),
    OP("ops.numpy", "Where", where_of, "*condition, *x1=None, *x2=None"),
    OP("ops.numpy", "ZerosLike", ops::zeros_like, "*x, dtype=None"),
    Row{"keras.src.ops.numpy", "GetItem", "*x, *key", 2, &get_item_call},
    // ---- keras.ops.nn
    OP("ops.nn", "DepthToSpace", ops::depth_to_space, "*x, block_size, data_format='channels_last'"),
    OP("ops.nn", "SpaceToDepth", ops::space_to_depth, "*x, block_size, data_format='channels_last'"),
    OP("ops.nn", "AdaptiveAveragePool", ops::adaptive_average_pool, "*inputs, output_size, data_format=None"),
    OP("ops.nn", "AdaptiveMaxPool", ops::adaptive_max_pool, "*inputs, output_size, data_format=None"),
    OP("ops.nn", "AveragePool", ops::average_pool, "*inputs, pool_size, strides=None, padding='valid', data_format=None"),
    OP("ops.nn", "BatchNorm", ops::batch_normalization, "*x, *mean, *variance, axis, *offset=None, *scale=None, epsilon=0.001"),
    OP("ops.nn", "BinaryCrossentropy", ops::binary_crossentropy, "*target, *output, from_logits=False"),
    OP("ops.nn", "CTCDecode", ops::ctc_decode, "*inputs, *sequence_lengths, strategy='greedy', beam_width=100, top_paths=1, merge_repeated=True, mask_index=0"),
    OP("ops.nn", "CTCLoss", ops::ctc_loss, "*target, *output, *target_length, *output_length, mask_index=0"),
    OP("ops.nn", "CategoricalCrossentropy", ops::categorical_crossentropy, "*target, *output, from_logits=False, axis=-1"),
    OP("ops.nn", "Celu", ops::celu, "*x, alpha=1.0"),
    OP("ops.nn", "Conv", ops::conv, "*inputs, *kernel, strides=1, padding='valid', data_format=None, dilation_rate=1"),
    OP("ops.nn", "ConvTranspose", ops::conv_transpose, "*inputs, *kernel, strides=1, padding='valid', output_padding=None, data_format=None, dilation_rate=1"),
    OP("ops.nn", "DepthwiseConv", ops::depthwise_conv, "*inputs, *kernel, strides=1, padding='valid', data_format=None, dilation_rate=1"),
    OP("ops.nn", "DotProductAttention", ops::dot_product_attention, "*query, *key, *value, *bias=None, *mask=None, *scale=None, is_causal=False, -flash_attention=None, attn_logits_soft_cap=None"),
    OP("ops.nn", "Elu", ops::elu, "*x, alpha=1.0"),
    OP("ops.nn", "Fold", ops::fold, "*x, output_size, kernel_size, dilation=1, padding=0, stride=1"),
    OP("ops.nn", "Gelu", ops::gelu, "*x, approximate=True"),
    OP("ops.nn", "Glu", ops::glu, "*x, axis=-1"),
    OP("ops.nn", "HardShrink", ops::hard_shrink, "*x, threshold=0.5"),
    OP("ops.nn", "HardSigmoid", ops::hard_sigmoid, "*x"),
    OP("ops.nn", "HardSilu", ops::hard_silu, "*x"),
    OP("ops.nn", "HardTanh", ops::hard_tanh, "*x"),
    OP("ops.nn", "LayerNorm", ops::layer_normalization, "*x, *gamma=None, *beta=None, axis=-1, epsilon=None, -rms_scaling=False"),
    OP("ops.nn", "LeakyRelu", ops::leaky_relu, "*x, negative_slope=0.2"),
    OP("ops.nn", "LogSigmoid", ops::log_sigmoid, "*x"),
    OP("ops.nn", "LogSoftmax", ops::log_softmax, "*x, axis=-1"),
    OP("ops.nn", "MaxPool", ops::max_pool, "*inputs, pool_size, strides=None, padding='valid', data_format=None"),
    OP("ops.nn", "Moments", ops::moments, "*x, axes, keepdims=False, synchronized=False"),
    OP("ops.nn", "MultiHot", ops::multi_hot, "*inputs, num_classes, axis=-1, dtype=None, -sparse=False"),
    OP("ops.nn", "Normalize", ops::normalize, "*x, axis=-1, order=2, epsilon=None"),
    OP("ops.nn", "OneHot", ops::one_hot, "*x, num_classes, axis=-1, dtype=None, -sparse=False"),
    OP("ops.nn", "PSNR", ops::psnr, "*x1, *x2, max_val"),
    OP("ops.nn", "Polar", ops::polar, "*abs_, *angle"),
    OP("ops.nn", "RMSNorm", ops::rms_normalization, "*x, *scale=None, axis=-1, epsilon=None"),
    OP("ops.nn", "Relu", ops::relu, "*x"),
    OP("ops.nn", "Relu6", ops::relu6, "*x"),
    OP("ops.nn", "Selu", ops::selu, "*x"),
    OP("ops.nn", "SeparableConv", ops::separable_conv, "*inputs, *depthwise_kernel, *pointwise_kernel, strides=1, padding='valid', data_format=None, dilation_rate=1"),
    OP("ops.nn", "Sigmoid", ops::sigmoid, "*x"),
    OP("ops.nn", "Silu", ops::silu, "*x"),
    OP("ops.nn", "SoftShrink", ops::soft_shrink, "*x, threshold=0.5"),
    OP("ops.nn", "Softmax", ops::softmax, "*x, axis=-1"),
    OP("ops.nn", "Softplus", ops::softplus, "*x"),
    OP("ops.nn", "Softsign", ops::softsign, "*x"),
    OP("ops.nn", "SparseCategoricalCrossentropy", ops::sparse_categorical_crossentropy, "*target, *output, from_logits=False, axis=-1"),
    OP("ops.nn", "SparsePlus", ops::sparse_plus, "*x"),
    OP("ops.nn", "SparseSigmoid", ops::sparse_sigmoid, "*x"),
    OP("ops.nn", "Sparsemax", ops::sparsemax, "*x, axis=-1"),
    OP("ops.nn", "Squareplus", ops::squareplus, "*x, b=4"),
    OP("ops.nn", "TanhShrink", ops::tanh_shrink, "*x"),
    OP("ops.nn", "Threshold", ops::threshold, "*x, threshold, default_value"),
    OP("ops.nn", "Unfold", ops::unfold, "*x, kernel_size, dilation=1, padding=0, stride=1"),
    // ---- keras.ops.math
    OP("ops.math", "CDist", ops::cdist, "*x, *y"),
    OP("ops.math", "Erf", ops::erf, "*x"),
    OP("ops.math", "Erfc", ops::erfc, "*x"),
    OP("ops.math", "Erfinv", ops::erfinv, "*x"),
    OP("ops.math", "ExtractSequences", ops::extract_sequences, "*x, sequence_length, sequence_stride"),
    OP("ops.math", "FFT", ops::fft, "*x"),
    OP("ops.math", "FFT2", ops::fft2, "*x"),
    OP("ops.math", "IFFT2", ops::ifft2, "*x"),
    OP("ops.math", "IRFFT", ops::irfft, "*x, fft_length=None"),
    OP("ops.math", "ISTFT", istft_of, "*x, sequence_length, sequence_stride, fft_length, length=None, window='hann', center=True"),
    OP("ops.math", "InTopK", ops::in_top_k, "*targets, *predictions, k"),
    OP("ops.math", "Logdet", ops::logdet, "*x"),
    OP("ops.math", "Logsumexp", ops::logsumexp, "*x, axis=None, keepdims=False"),
    OP("ops.math", "RFFT", ops::rfft, "*x, fft_length=None"),
    OP("ops.math", "Rsqrt", ops::rsqrt, "*x"),
    OP("ops.math", "STFT", stft_of, "*x, sequence_length, sequence_stride, fft_length, window='hann', center=True"),
    OP("ops.math", "SegmentMax", ops::segment_max, "*data, *segment_ids, num_segments=None, sorted=False"),
    OP("ops.math", "SegmentMin", ops::segment_min, "*data, *segment_ids, num_segments=None, sorted=False"),
    OP("ops.math", "SegmentProd", ops::segment_prod, "*data, *segment_ids, num_segments=None, sorted=False"),
    OP("ops.math", "SegmentSum", ops::segment_sum, "*data, *segment_ids, num_segments=None, sorted=False"),
    OP("ops.math", "TopK", ops::top_k, "*x, k, sorted=True"),
    // ---- keras.ops.linalg
    OP("ops.linalg", "Cholesky", ops::cholesky, "*x, upper=False"),
    OP("ops.linalg", "CholeskyInverse", ops::cholesky_inverse, "*x, upper=False"),
    OP("ops.linalg", "Det", ops::det, "*x"),
    OP("ops.linalg", "Eigh", ops::eigh, "*x"),
    OP("ops.linalg", "Inv", ops::inv, "*x"),
    OP("ops.linalg", "Lstsq", ops::lstsq, "*a, *b, rcond=None"),
    OP("ops.linalg", "LuFactor", ops::lu_factor, "*x"),
    OP("ops.linalg", "MatrixRank", ops::matrix_rank, "*x, tol=None"),
    OP("ops.linalg", "Norm", norm_of, "*x, ord=None, axis=None, keepdims=False"),
    OP("ops.linalg", "Pinv", ops::pinv, "*x, rcond=None"),
    OP("ops.linalg", "Qr", ops::qr, "*x, mode='reduced'"),
    OP("ops.linalg", "SVD", ops::svd, "*x, full_matrices=True, compute_uv=True"),
    OP("ops.linalg", "Solve", ops::solve, "*a, *b"),
    OP("ops.linalg", "SolveTriangular", ops::solve_triangular, "*a, *b, lower=False"),
    OP("ops.numpy", "Slogdet", ops::slogdet, "*x"),
    // ---- keras.ops.image
    OP("ops.image", "AffineTransform", ops::image::affine_transform, "*images, *transform, interpolation='bilinear', fill_mode='constant', fill_value=0, data_format=None"),
    OP("ops.image", "CropImages", ops::image::crop_images, "*images, top_cropping=None, left_cropping=None, bottom_cropping=None, right_cropping=None, target_height=None, target_width=None, data_format=None"),
    OP("ops.image", "ExtractPatches", ops::image::extract_patches, "*images, size, strides=None, dilation_rate=1, padding='valid', data_format=None"),
    OP("ops.image", "GaussianBlur", ops::image::gaussian_blur, "*images, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None"),
    OP("ops.image", "HSVToRGB", ops::image::hsv_to_rgb, "*images, data_format=None"),
    OP("ops.image", "MapCoordinates", ops::image::map_coordinates, "*inputs, *coordinates, order, fill_mode='constant', fill_value=0"),
    OP("ops.image", "PadImages", ops::image::pad_images, "*images, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None, target_height=None, target_width=None, data_format=None"),
    OP("ops.image", "PerspectiveTransform", ops::image::perspective_transform, "*images, *start_points, *end_points, interpolation='bilinear', fill_value=0, data_format=None"),
    OP("ops.image", "RGBToGrayscale", ops::image::rgb_to_grayscale, "*images, data_format=None"),
    OP("ops.image", "RGBToHSV", ops::image::rgb_to_hsv, "*images, data_format=None"),
    OP("ops.image", "Resize", ops::image::resize, "*images, size, interpolation='bilinear', antialias=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False, fill_mode='constant', fill_value=0.0, data_format=None"),
    OP("ops.image", "SSIM", ops::image::ssim, "*image1, *image2, max_val=1.0, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, data_format=None"),
    OP("ops.image", "ScaleAndTranslate", ops::image::scale_and_translate, "*images, *output_shape, *scale, *translation, spatial_dims, method, antialias=True"),
    OP("ops.image", "SobelEdges", ops::image::sobel_edges, "*images, data_format=None"),
    // ---- keras.activations
    OP("activations.activations", "ReLU", relu_of, "*x, negative_slope=0.0, max_value=None, threshold=0.0"),
};
#undef OP

struct Parameter {
  std::string name;
  bool of_call = false, rest = false, only_keras = false, has_default = false;
  Value fallback;
};
struct Entry {
  const Row* row;
  std::vector<Parameter> parameters;
};

// "*x, axis=(0, 1), mode='valid'"
std::vector<Parameter> parse(std::string_view text) {
  std::vector<Parameter> out;
  int depth = 0;
  std::string one;
  auto flush = [&] {
    if (one.empty()) return;
    Parameter p;
    size_t at = one.find('=');
    p.name = one.substr(0, at);
    while (p.name[0] == '*' || p.name[0] == '-') {
      (p.name[0] == '-' ? p.only_keras : p.of_call ? p.rest : p.of_call) = true;
      p.name.erase(0, 1);
    }
    if (at != std::string::npos) {
      std::string python = one.substr(at + 1), json;
      if (python == "None") json = "null";
      else if (python == "True" || python == "False") json = python == "True" ? "true" : "false";
      else
        for (char c : python) json += c == '(' ? '[' : c == ')' ? ']' : c == '\'' ? '"' : c;
      p.has_default = true;
      p.fallback = io::parse_json(json, "op table");
    }
    out.push_back(std::move(p));
    one.clear();
  };
  for (char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) flush();
    else if (c != ' ' || depth > 0) one += c;
  }
  flush();
  return out;
}

struct Table {
  std::map<std::string, Entry, std::less<>> by_name;
  std::map<std::string, const Entry*, std::less<>> by_folded;  // Keras' CDist is also found as Cdist
  std::map<std::string, OpClass, std::less<>> classes;
};
std::string folded(std::string_view s) {
  std::string out;
  for (char c : s) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}
std::shared_ptr<core::Operation> make_op(const Value& saved);

const Table& table() {
  static const Table t = [] {
    Table made;
    for (const Row& row : kRows) {
      Entry e{&row, parse(row.signature)};
      auto counted = std::count_if(e.parameters.begin(), e.parameters.end(), [](const Parameter& p) { return !p.only_keras; });
      if (static_cast<size_t>(counted) != row.parameters) throw RuntimeError(std::string("op table: the signature of ") + row.cls + " does not fit its function");
      auto it = made.by_name.emplace(row.cls, std::move(e)).first;
      made.by_folded.emplace(folded(row.cls), &it->second);
      made.classes.emplace(row.cls, OpClass{row.cls, row.module, make_op});
    }
    return made;
  }();
  return t;
}
const Entry* find_entry(std::string_view cls) {
  const Table& t = table();
  if (auto it = t.by_name.find(cls); it != t.by_name.end()) return &it->second;
  if (auto it = t.by_folded.find(folded(cls)); it != t.by_folded.end()) return it->second;
  return nullptr;
}

// All arguments of a call, by parameter; unset ones are nullptr.
std::vector<const Arg*> bound_arguments(const Entry& e, const CallArgs& args, const ArgDict& options, std::vector<Arg>& kept) {
  std::vector<const Arg*> out(e.parameters.size(), nullptr);
  kept.reserve(e.parameters.size() + 1);
  size_t at = 0;
  for (size_t i = 0; i < out.size() && at < args.args.size(); ++i) {
    const Parameter& p = e.parameters[i];
    if (!p.of_call || std::any_of(options.begin(), options.end(), [&](const auto& o) { return o.first == p.name; })) continue;
    if (p.rest) {
      std::vector<Arg> rest(args.args.begin() + static_cast<int64_t>(at), args.args.end());
      // The functions here take the rest as one list, which is how they record it.
      if (rest.size() == 1 && rest[0].is_list()) kept.push_back(rest[0]);
      else kept.emplace_back(std::move(rest));
      out[i] = &kept.back();
      at = args.args.size();
    } else {
      out[i] = &args.args[at++];
    }
  }
  // Tensors where Keras takes an option: the bounds of clip.
  for (size_t i = 0; i < out.size() && at < args.args.size(); ++i)
    if (!out[i] && !e.parameters[i].of_call && !e.parameters[i].only_keras) out[i] = &args.args[at++];
  for (const ArgDict* named : {&args.kwargs, &options})
    for (const auto& [key, value] : *named)
      for (size_t i = 0; i < out.size(); ++i)
        if (e.parameters[i].name == key) out[i] = &value;
  return out;
}

Tensors run(const Entry& e, const std::string& name, const CallArgs& args, const ArgDict& options) {
  std::vector<Arg> kept, in;
  std::vector<const Arg*> bound = bound_arguments(e, args, options, kept);
  for (size_t i = 0; i < bound.size(); ++i) {
    const Parameter& p = e.parameters[i];
    if (p.only_keras) continue;
    if (!bound[i] && !p.has_default)
      throw ValueError(ErrorText{.what = "an operation of the graph lacks its argument '" + p.name + "'", .where = "\"" + name + "\" (" + e.row->cls + ")"}.str());
    in.push_back(bound[i] ? *bound[i] : Arg(p.fallback));
  }
  return e.row->call(in);
}

std::shared_ptr<core::Operation> make_op(const Value& saved) {
  const Entry* e = find_entry(saved.get("class_name").as_string());
  Dict config = saved.get("config").is_dict() ? saved.get("config").as_dict() : Dict{};
  std::string name;
  for (const Value* v : {&saved.get("name"), &saved.get("config").get("name")})
    if (name.empty() && v->is_string()) name = v->as_string();
  config.erase("name");
  ArgDict options;
  for (const auto& [k, v] : config) options.emplace_back(k, Arg(v));
  auto fn = [e, name, options](const CallArgs& args) { return run(*e, name, args, options); };
  return std::make_shared<core::OpOperation>(e->row->cls, config, fn, name);
}

}  // namespace

const OpClass* find_op_class(const Value& saved) {
  if (!saved.get("class_name").is_string()) return nullptr;
  const std::string& cls = saved.get("class_name").as_string();
  const Value& module = saved.get("module");
  if (module.is_string()) {
    const std::string& m = module.as_string();
    if (!m.starts_with("keras.src.ops") && !m.starts_with("keras.ops") && !m.starts_with("keras.src.activations")) return nullptr;
  } else {
    // Legacy files name no module: what is a layer is no operation.
    std::vector<std::string> layers = layers::known_layers();
    if (saved.get("registered_name").is_string() || std::find(layers.begin(), layers.end(), cls) != layers.end()) return nullptr;
  }
  const Entry* e = find_entry(cls);
  if (!e && module.is_string()) {
    std::vector<std::string> known;
    for (const auto& [name, entry] : table().by_name) known.push_back(name);
    throw ValueError(ErrorText{.what = "Unknown operation '" + cls + "' in the graph" + did_you_mean(cls, known), .received = module.as_string() + "." + cls}.str());
  }
  return e ? &table().classes.find(e->row->cls)->second : nullptr;
}

// Keras writes a size to be found as -1 where shapes have null.
static Value minus_ones(const Value& shape) {
  if (!shape.is_list()) return shape;
  List l;
  for (const Value& v : shape.as_list()) l.push_back(v.is_null() ? Value(-1) : v);
  return l;
}

SavedOp saved_op(const core::OpOperation& op, const CallArgs& given) {
  const Entry* e = find_entry(op.class_name());
  Value raw = op.serialize();
  if (!e)
    throw ValueError(ErrorText{.what = "the operation " + op.class_name() + " can't be saved: Keras has no class for it, or it holds a function", .where = "\"" + op.name() + "\"",
                               .fix = "put it into the call of a layer of your own"}.str());
  CallArgs args = given;
  ArgDict options;
  for (const auto& [k, v] : raw.get("config").as_dict())
    if (k != "name") options.emplace_back(k, Arg(v));
  if (e->row->call == &get_item_call) {
    // Recorded as the key's plain items with "tensor" for each tensor, which follow in a list.
    if (const Arg* key = args.find("key"); key && key->v.index() == 0) {
      Tensors tensors = args.args.size() > 1 ? args.args[1].tensors() : Tensors{};
      std::vector<Arg> items;
      size_t next = 0;
      for (const Value& v : key->value().as_list()) {
        if (v == Value("tensor")) items.emplace_back(tensors.at(next++));
        else if (v == Value("...")) items.emplace_back(Value(Dict{{"class_name", "__ellipsis__"}, {"config", Dict{}}}));
        else if (v.is_dict() && v.get("class_name").is_null()) items.emplace_back(Value(Dict{{"class_name", "__slice__"}, {"config", v}}));
        else items.emplace_back(v);
      }
      args.args.resize(1);
      args.args.push_back(items.size() == 1 ? items[0] : Arg(items));
      args.kwargs.clear();
    }
  } else if (e->row->cls == std::string_view("Rearrange")) {
    Dict lengths;
    for (const auto& [k, v] : args.kwargs)
      if (k != "pattern" && k != "axes_lengths" && v.v.index() == 0) lengths.set(k, v.value());
    if (!lengths.empty()) args.set("axes_lengths", Arg(Value(lengths)));
    std::erase_if(args.kwargs, [](const auto& k) { return k.first != "pattern" && k.first != "axes_lengths"; });
  }
  for (const auto& [k, v] : args.kwargs)
    if (std::none_of(e->parameters.begin(), e->parameters.end(), [&k = k](const Parameter& p) { return p.name == k; }))
      throw RuntimeError("op table: " + op.class_name() + " records '" + k + "', which Keras does not know");
  std::vector<Arg> kept;
  std::vector<const Arg*> bound = bound_arguments(*e, args, options, kept);
  SavedOp out;
  Dict config{{"name", op.name()}};
  size_t last = 0;
  for (size_t i = 0; i < bound.size(); ++i)
    if (e->parameters[i].of_call && bound[i] && !args.find(e->parameters[i].name)) last = i + 1;
  for (size_t i = 0; i < bound.size(); ++i) {
    const Parameter& p = e->parameters[i];
    if (!p.of_call) {
      Arg a = bound[i] ? *bound[i] : Arg(p.fallback);
      if (a.is_tensor() && !a.tensor().defined()) a = Arg(Value());
      if (a.is_tensor() && a.tensor().is_concrete() && a.tensor().rank() == 0) {
        double number = a.tensor().item();
        a = Arg(is_floating(a.tensor().dtype()) ? Value(number) : Value(static_cast<int64_t>(number)));
      }
      if (a.v.index() != 0)
        throw ValueError(ErrorText{.what = "the operation " + op.class_name() + " can't be saved: Keras takes '" + p.name + "' as a plain value, and here it is a tensor",
                                   .where = "\"" + op.name() + "\"", .fix = "put it into the call of a layer of your own"}.str());
      config.set(p.name, p.name == "newshape" || p.name == "shape" ? minus_ones(a.value()) : a.value());
    } else if (const Arg* named = args.find(p.name)) {
      out.args.kwargs.emplace_back(p.name, *named);
    } else if (i < last) {
      if (p.rest && bound[i] && bound[i]->is_list())
        for (const Arg& a : bound[i]->list()) out.args.args.push_back(a);
      else out.args.args.push_back(bound[i] ? *bound[i] : Arg(p.fallback));
    }
  }
  out.entry = Dict{{"module", e->row->module}, {"class_name", e->row->cls}, {"config", config}, {"registered_name", e->row->cls}};
  return out;
}

}  // namespace keras::models
