// What lives here: the shared parts behind op_frame.h and the argument types of keras/ops/types.h.
#include "ops/op_frame.h"

#include <algorithm>

namespace keras {

Axes::Axes(std::initializer_list<int> axes) : given_(true), v_(axes) {}
Axes::Axes(std::vector<int> axes) : given_(true), v_(std::move(axes)) {}
Axes::Axes(const std::optional<int>& axis) : given_(axis.has_value()), single_(given_) {
  if (axis) v_ = {*axis};
}
Sizes::Sizes(std::initializer_list<int64_t> v) : v_(v) {}
Sizes::Sizes(std::vector<int64_t> v) : v_(std::move(v)) {}
Sizes::Sizes(const std::vector<int>& v) : v_(v.begin(), v.end()) {}
Sizes::Sizes(const Shape& s) : v_(s.dims()) {}
PadWidth::PadWidth(std::initializer_list<Pair> v) : v_(v) {}
PadWidth::PadWidth(std::vector<Pair> v) : v_(std::move(v)) {}
Index::Index(Tensor t) : kind(Kind::Tensor), tensor(std::move(t)) {}

std::vector<int64_t> Axes::resolve(int rank, const char* where) const {
  std::vector<int64_t> r;
  if (all()) {
    for (int i = 0; i < rank; ++i) r.push_back(i);
    return r;
  }
  for (int a : v_) r.push_back(normalize_axis(a, rank, where));
  std::sort(r.begin(), r.end());
  for (size_t i = 1; i < r.size(); ++i)
    if (r[i] == r[i - 1])
      throw ValueError(
          ErrorText{.what = "an axis is given twice", .where = where, .expected = "different axes", .received = Shape(r).str()}.str());
  return r;
}

std::vector<int64_t> Sizes::expand(size_t n, const char* what) const {
  if (single_) return std::vector<int64_t>(n, v_[0]);
  if (v_.size() != n)
    throw ValueError(ErrorText{.what = std::string("`") + what + "` has the wrong length",
                               .expected = "one number or " + std::to_string(n) + " of them",
                               .received = Shape(v_).str()}
                         .str());
  return v_;
}

std::vector<PadWidth::Pair> PadWidth::expand(int rank) const {
  size_t n = static_cast<size_t>(rank);
  if (v_.size() == 1) return std::vector<Pair>(n, v_[0]);
  if (v_.size() != n)
    throw ValueError(ErrorText{.what = "`pad_width` does not fit the rank",
                               .where = "pad",
                               .expected = "one (before, after) pair per axis: " + std::to_string(rank),
                               .received = std::to_string(v_.size()) + " pairs"}
                         .str());
  return v_;
}

namespace ops {

Tensor record1(const char* cls, const Tensor& x, Fn1 f) {
  return core::op_call(cls, CallArgs{{Arg(x)}, {}}, [f](const CallArgs& a) { return Tensors{f(a.args[0].tensor())}; })[0];
}
Tensor record2(const char* cls, const Tensor& a, const Tensor& b, Fn2 f) {
  return core::op_call(cls, CallArgs{{Arg(a), Arg(b)}, {}},
                       [f](const CallArgs& c) { return Tensors{f(c.args[0].tensor(), c.args[1].tensor())}; })[0];
}

Value to_value(const Axes& a) {
  if (a.all()) return nullptr;
  if (a.single()) return a.list()[0];
  return Value(a.list());
}
Value to_value(const Sizes& s) {
  if (s.single()) return s[0];
  return s.empty() ? Value(nullptr) : Value(s.list());
}
Value to_value(const Number& n) {
  if (n.kind == 'b') return n.value != 0;
  if (n.kind == 'i') return static_cast<int64_t>(n.value);
  return n.value;
}
Value to_value(const PadWidth& w) {
  List l;
  for (auto [lo, hi] : w.list()) l.push_back(Value(std::vector<int64_t>{lo, hi}));
  return l;
}

static bool wide(DType d) { return dtype_size(d) == 8; }
static DType narrowed(DType r, bool inputs_wide) {
  if (inputs_wide || !wide(r)) return r;
  return r == DType::Int64 ? DType::Int32 : r == DType::UInt64 ? DType::UInt32 : DType::Float32;
}
DType promote(const Tensor& a, const Tensor& b) {
  DType x = a.dtype(), y = b.dtype();
  if (x == y) return x;
  if (a.weak() && b.weak()) return DType::Float32;  // an int with a float
  if (a.weak()) return result_type_with_scalar(y, a.weak());
  if (b.weak()) return result_type_with_scalar(x, b.weak());
  return narrowed(result_type(x, y), wide(x) || wide(y));
}
DType promote(const Tensors& ts) {
  DType r = DType::Bool;
  bool any = false, any_wide = false, weak_float = false, weak_int = false;
  for (const Tensor& t : ts) {
    if (t.weak()) {
      (t.weak() == 'f' ? weak_float : weak_int) = true;
      continue;
    }
    r = any ? result_type(r, t.dtype()) : t.dtype();
    any = true;
    any_wide |= wide(t.dtype());
  }
  r = narrowed(r, any_wide);
  if (weak_int) r = any ? result_type_with_scalar(r, 'i') : DType::Int32;
  if (weak_float) r = any ? result_type_with_scalar(r, 'f') : DType::Float32;
  return r;
}
Tensor as(const Tensor& x, DType to) {
  if (x.dtype() == to) return x;
  if (x.weak() && x.is_concrete()) return Tensor::full({}, x.item(), to);
  return p::cast(x, to);
}
std::pair<Tensor, Tensor> promoted(const Tensor& a, const Tensor& b) {
  DType t = promote(a, b);
  return {as(a, t), as(b, t)};
}

Tensor indices_of(const Tensor& x, const char* where) {
  if (is_integer(x.dtype())) return x;
  if (abstract_trace()) return p::cast(x, DType::Int32);
  throw TypeError(
      ErrorText{.what = "indices must be integers", .where = where, .received = dtype_name(x.dtype()), .fix = "cast them to int32"}.str());
}

int64_t product(const Shape& s, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; ++i) n = times(n, s[i]);
  return n;
}
Tensor shape_only(DType dtype, const Shape& shape) { return p::broadcast_to(Tensor::full({}, 0, dtype), shape); }
Tensor int_tensor(const Ints& values) { return int_tensor(values, Shape{static_cast<int64_t>(values.size())}); }
Tensor int_tensor(const Ints& values, const Shape& shape) {
  Tensor t = Tensor::empty(DType::Int32, shape);
  int32_t* out = t.mutable_data<int32_t>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<int32_t>(values[i]);
  return t;
}
Tensor iota(DType dtype, const Shape& shape, int axis) {
  if (!shape.is_static()) return shape_only(dtype, shape);
  // One axis is made and broadcast, so that a trace holds no large constant.
  Tensor line = core::apply(p::iota_prim, {}, {{"dtype", dtype}, {"shape", Ints{shape[axis]}}, {"axis", int64_t{0}}})[0];
  if (shape.rank() == 1) return line;
  Shape column(std::vector<int64_t>(shape.size(), 1));
  column[axis] = shape[axis];
  return p::broadcast_to(p::reshape(line, column), shape);
}
Shape kept_shape(const Shape& s, const Ints& axes) {
  Shape r = s;
  for (int64_t a : axes) r[static_cast<int>(a)] = 1;
  return r;
}
Tensor drop_axes(const Tensor& x, const Ints& axes) {
  Shape s;
  for (int i = 0; i < x.rank(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) s.push_back(x.shape()[i]);
  return p::reshape(x, s);
}
Tensor to_end(const Tensor& x, const Ints& axes) {
  Ints perm;
  for (int i = 0; i < x.rank(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) perm.push_back(i);
  perm.insert(perm.end(), axes.begin(), axes.end());
  return p::transpose(x, perm);
}
Tensor move_axis(const Tensor& x, int from, int to) {
  Ints perm;
  for (int i = 0; i < x.rank(); ++i)
    if (i != from) perm.push_back(i);
  perm.insert(perm.begin() + to, from);
  return p::transpose(x, perm);
}

void unknown_option(const char* where, const char* option, std::string_view got, const std::vector<std::string>& known) {
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "'" : ", '") + k + "'";
  throw ValueError(ErrorText{.what = std::string("unknown `") + option + "`" + did_you_mean(got, known),
                             .where = where,
                             .expected = "one of " + list,
                             .received = "'" + std::string(got) + "'"}
                       .str());
}
void shape_error(const char* where, std::string what, std::string expected, std::string received) {
  throw ValueError(
      ErrorText{.what = std::move(what), .where = where, .expected = std::move(expected), .received = std::move(received)}.str());
}
bool is_channels_last(std::string_view data_format, const char* where) {
  if (data_format.empty()) return config::image_data_format() == "channels_last";
  if (data_format == "channels_last") return true;
  if (data_format == "channels_first") return false;
  unknown_option(where, "data_format", data_format, {"channels_last", "channels_first"});
}

}  // namespace ops
}  // namespace keras
