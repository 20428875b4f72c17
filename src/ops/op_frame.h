// What lives here: what every function of keras::ops is made of: the frame that records symbolic calls, dtype promotion, shape helpers.
// No operation.
#pragma once
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include <keras/config.h>
#include <keras/ops/types.h>

#include "core/impl.h"
#include "prims/build.h"

namespace keras::ops {

namespace p = keras::prims;
using core::Arg;
using core::ArgDict;
using core::CallArgs;
using ir::Ew;
using ir::Ints;

// ---- the frame
inline bool any_symbolic(const Tensor& t) { return t.is_symbolic(); }
inline bool any_symbolic(const Tensors& ts) {
  for (const Tensor& t : ts)
    if (t.is_symbolic()) return true;
  return false;
}
using Recorded = std::function<Tensors(const CallArgs&)>;

// A call is recorded as Keras does it: positional arguments are those of Operation.call, keyword arguments those of its constructor.
using Fn1 = Tensor (*)(const Tensor&);
using Fn2 = Tensor (*)(const Tensor&, const Tensor&);
Tensor record1(const char* cls, const Tensor& x, Fn1 f);
Tensor record2(const char* cls, const Tensor& a, const Tensor& b, Fn2 f);
/// A function of one tensor without options.
inline Tensor unary(const char* cls, const Tensor& x, Fn1 f) { return x.is_symbolic() ? record1(cls, x, f) : f(x); }
inline Tensor binary(const char* cls, const Tensor& a, const Tensor& b, Fn2 f) {
  return a.is_symbolic() || b.is_symbolic() ? record2(cls, a, b, f) : f(a, b);
}

inline Tensors results(Tensor t) { return {std::move(t)}; }
inline Tensors results(Tensors ts) { return ts; }
inline Tensors results(std::pair<Tensor, Tensor> two) { return {std::move(two.first), std::move(two.second)}; }
template <class R> R unpack(Tensors ts) {
  if constexpr (std::is_same_v<R, Tensor>) return std::move(ts.at(0));
  else if constexpr (std::is_same_v<R, Tensors>) return ts;
  else return R{std::move(ts.at(0)), std::move(ts.at(1))};
}
template <class T> decltype(auto) unwrap(const Arg& a) {
  if constexpr (std::is_same_v<T, Tensors>) return a.tensors();
  else return a.tensor();
}

/// The frame of a function with options: `f(tensors…)` computes and must hold its options by value; `kw()` names them when a call is
/// recorded. Tensors may be undefined (Python's None); T is Tensor or Tensors.
template <class Kw, class F, class... T> auto frame(const char* cls, const Kw& kw, const F& f, const T&... x) {
  using R = std::invoke_result_t<const F&, const T&...>;
  if (!(any_symbolic(x) || ...)) return f(x...);
  Recorded fn = [f](const CallArgs& a) {
    return [&]<size_t... i>(std::index_sequence<i...>) { return results(f(unwrap<T>(a.args[i])...)); }
    (std::index_sequence_for<T...>{});
  };
  return unpack<R>(core::op_call(cls, CallArgs{{Arg(x)...}, kw()}, fn));
}
inline constexpr auto no_options = [] { return ArgDict{}; };

Value to_value(const Axes& a);
Value to_value(const Sizes& s);
Value to_value(const Number& n);
Value to_value(const PadWidth& w);
template <class T>
requires std::is_constructible_v<Value, T> Value to_value(T&& v) { return Value(std::forward<T>(v)); }
/// One option of a recorded call.
template <class T> std::pair<std::string, Arg> kw(const char* key, const T& v) {
  if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, Tensors>) return {key, Arg(v)};
  else return {key, Arg(to_value(v))};
}

// ---- dtypes
/// Keras' promotion; plain numbers are weak, and no 64-bit type comes out of narrower ones.
DType promote(const Tensor& a, const Tensor& b);
DType promote(const Tensors& ts);
/// The dtype itself where it is a float, else float32, whatever floatx is.
inline DType float_type(DType d) { return is_floating(d) ? d : DType::Float32; }
/// The tensor in another dtype; plain numbers become constants of it.
Tensor as(const Tensor& x, DType to);
inline Tensor as_float(const Tensor& x) { return as(x, float_type(x.dtype())); }
inline Tensor as_bool(const Tensor& x) { return x.dtype() == DType::Bool ? x : p::ew(Ew::not_equal, x, p::scalar(x, 0)); }
/// A rank 0 constant of x's dtype.
inline Tensor num(const Tensor& x, double v) { return p::scalar(x, v); }
std::pair<Tensor, Tensor> promoted(const Tensor& a, const Tensor& b);
inline bool is_half(DType d) { return d == DType::Float16 || d == DType::BFloat16; }

/// True while only shapes and dtypes are asked for. Keras' symbolic calls do not look at what only numbers would make wrong.
inline bool abstract_trace() {
  const core::Trace* t = core::current_trace();
  return t && t->abstract;
}
/// Indices as they are when integers; TypeError otherwise.
Tensor indices_of(const Tensor& x, const char* where);

// ---- shapes; sizes may be None in abstract traces
inline int64_t times(int64_t a, int64_t b) { return a == 0 || b == 0 ? 0 : a < 0 || b < 0 ? None : a * b; }
inline int64_t plus(int64_t a, int64_t b) { return a < 0 || b < 0 ? None : a + b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return a < 0 ? None : (a + b - 1) / b; }
inline int axis_of(int axis, const Tensor& x, const char* where) { return normalize_axis(axis, x.rank(), where); }
int64_t product(const Shape& s, int from, int to);
/// A tensor of which only dtype and shape matter: for abstract traces with unknown sizes.
Tensor shape_only(DType dtype, const Shape& shape);
/// Host numbers as an int32 tensor.
Tensor int_tensor(const Ints& values);
Tensor int_tensor(const Ints& values, const Shape& shape);
/// 0, 1, 2 … along one axis of `shape`.
Tensor iota(DType dtype, const Shape& shape, int axis);
inline Tensor flatten(const Tensor& x) { return x.rank() == 1 ? x : p::reshape(x, Shape{x.numel()}); }
/// Drops or adds axes of size 1.
Tensor drop_axes(const Tensor& x, const Ints& axes);
/// `keep` with its axes in `axes` put back as size 1.
Shape kept_shape(const Shape& s, const Ints& axes);
/// Axes moved to the end, in order; the others first.
Tensor to_end(const Tensor& x, const Ints& axes);
Tensor move_axis(const Tensor& x, int from, int to);

/// ValueError "unknown <option> '<got>'", naming the nearest of the known ones.
[[noreturn]] void unknown_option(const char* where, const char* option, std::string_view got, const std::vector<std::string>& known);
[[noreturn]] void shape_error(const char* where, std::string what, std::string expected, std::string received);
/// True for channels last; ValueError on anything but "channels_last", "channels_first" and "".
bool is_channels_last(std::string_view data_format, const char* where);

}  // namespace keras::ops
