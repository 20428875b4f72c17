// What lives here: making, reading and printing tensors. Arithmetic is in ops.
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <ostream>

#include "core/impl.h"
#include "engine/memory.h"

namespace keras {

using core::TensorImpl;
using core::TensorKind;

namespace core {

Tensor make_concrete(ir::Type type, engine::Buffer buffer) {
  auto impl = std::make_shared<TensorImpl>();
  impl->type = std::move(type);
  impl->buffer = std::move(buffer);
  return Tensor(std::move(impl));
}

Tensor make_symbolic(ir::Type type, std::string name, History history) {
  auto impl = std::make_shared<TensorImpl>();
  impl->kind = TensorKind::Symbolic;
  impl->type = std::move(type);
  impl->name = std::move(name);
  impl->history = std::move(history);
  return Tensor(std::move(impl));
}

Tensor with_mask(const Tensor& t, const Tensor& mask) {
  if (!t.defined() || t.impl()->mask == mask.impl()) return t;
  if (t.impl()->kind == TensorKind::Symbolic) {  // identity matters: the mask belongs to the tensor itself
    t.impl()->mask = mask.impl();
    return t;
  }
  auto copy = std::make_shared<TensorImpl>(*t.impl());
  copy->mask = mask.impl();
  Tensor result(std::move(copy));
  if (t.is_concrete()) same_on_tapes(result, t);
  return result;
}

}  // namespace core

static size_t concrete_bytes(DType dtype, const Shape& shape) {
  if (!shape.is_static()) throw ValueError("a concrete tensor needs known sizes, not " + shape.str());
  return engine::bytes_for({dtype, shape});
}

Tensor Tensor::empty(DType dtype, const Shape& shape) { return core::make_concrete({dtype, shape}, engine::Buffer(concrete_bytes(dtype, shape))); }

Tensor Tensor::from_bytes(const void* data, size_t count, DType dtype, const Shape& shape) {
  if (static_cast<int64_t>(count) != shape.numel())
    throw ValueError(ErrorText{.what = "the number of values does not fit the shape " + shape.str(), .expected = std::to_string(shape.numel()) + " values",
                               .received = std::to_string(count)}.str());
  Tensor t = empty(dtype, shape);
  if (t.nbytes()) std::memcpy(t.mutable_raw(), data, t.nbytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(dtype, shape);
  ir::Literal l = ir::Literal::scalar(dtype, value);
  size_t size = dtype_size(dtype);
  auto* p = static_cast<std::byte*>(t.mutable_raw());
  for (int64_t i = 0; i < t.numel(); ++i) std::memcpy(p + static_cast<size_t>(i) * size, l.data(), size);
  return t;
}

Tensor::Tensor(double v, char weak) {
  *this = full({}, v, weak == 'b' ? DType::Bool : weak == 'i' ? DType::Int32 : DType::Float32);
  impl_->weak = weak == 'b' ? 0 : weak;
}

Tensor::Tensor(std::initializer_list<Nested> items) {
  Nested root(items);
  Shape shape;
  for (const Nested* n = &root; n->kind_ == 'l'; n = &n->items_[0]) {
    shape.push_back(static_cast<int64_t>(n->items_.size()));
    if (n->items_.empty()) break;
  }
  std::vector<double> values;
  bool floats = false, bools = true;
  auto walk = [&](auto&& self, const Nested& n, int depth) -> void {
    if (n.kind_ == 'l') {
      if (depth >= shape.rank() || static_cast<int64_t>(n.items_.size()) != shape[depth])
        throw ValueError(ErrorText{.what = "the nested lists are ragged", .expected = "lists of equal length, as the first of each depth: " + shape.str()}.str());
      for (const Nested& item : n.items_) self(self, item, depth + 1);
      return;
    }
    if (depth != shape.rank()) throw ValueError("the nested lists are ragged: a number stands where a list is expected");
    floats |= n.kind_ == 'f';
    bools &= n.kind_ == 'b';
    values.push_back(n.number_);
  };
  walk(walk, root, 0);
  DType dtype = floats || values.empty() ? DType::Float32 : bools ? DType::Bool : DType::Int32;
  *this = from<double>(values, shape).astype(dtype);
}

static const TensorImpl& get(const std::shared_ptr<TensorImpl>& impl) {
  if (!impl) throw ValueError("an empty Tensor was used: it was default-constructed and never given a value");
  return *impl;
}
const Shape& Tensor::shape() const { return get(impl_).type.shape; }
DType Tensor::dtype() const { return get(impl_).type.dtype; }
bool Tensor::is_concrete() const { return impl_ && impl_->kind == TensorKind::Concrete; }
bool Tensor::is_symbolic() const { return impl_ && impl_->kind == TensorKind::Symbolic; }
bool Tensor::is_traced() const { return impl_ && impl_->kind == TensorKind::Traced; }
char Tensor::weak() const { return impl_ ? impl_->weak : 0; }
const std::string& Tensor::name() const { return get(impl_).name; }

const void* Tensor::raw() const {
  if (!is_concrete()) {
    get(impl_);
    throw RuntimeError(ErrorText{.what = "a " + std::string(is_symbolic() ? "symbolic" : "traced") + " tensor has no numbers", .received = str(),
                                 .fix = is_symbolic() ? "call the model on data, or use K.eval / K.function" : "return it from the traced function and read the result"}.str());
  }
  return impl_->buffer.data();
}
void* Tensor::mutable_raw() { return const_cast<void*>(raw()); }
void Tensor::check_dtype(DType wanted) const {
  if (wanted != dtype())
    throw TypeError(ErrorText{.what = "the tensor was read with another type", .expected = dtype_name(dtype()), .received = dtype_name(wanted), .fix = "use to_vector<T>(), which converts"}.str());
}

template <class To> static void convert(const Tensor& t, To* out) {
  const void* p = t.raw();
  int64_t n = t.numel();
  visit_dtype(t.dtype(), [&](auto zero) {
    using From = decltype(zero);
    const From* from = static_cast<const From*>(p);
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<From, half_t> || std::is_same_v<From, bfloat16_t>) {
        float f = from[i];
        if constexpr (std::is_same_v<To, half_t> || std::is_same_v<To, bfloat16_t>) out[i] = To(f);
        else out[i] = static_cast<To>(f);
      } else if constexpr (std::is_same_v<To, half_t> || std::is_same_v<To, bfloat16_t>) {
        out[i] = To(static_cast<float>(from[i]));
      } else {
        out[i] = static_cast<To>(from[i]);
      }
    }
  });
}
Tensor Tensor::astype(DType to) const {
  if (to == dtype()) return *this;
  Tensor t = empty(to, shape());
  visit_dtype(to, [&](auto zero) { convert(*this, static_cast<decltype(zero)*>(t.mutable_raw())); });
  return t;
}
template <class T> std::vector<T> Tensor::to_vector() const {
  if constexpr (std::is_same_v<T, bool>) {
    std::vector<double> d = to_vector<double>();
    return std::vector<bool>(d.begin(), d.end());
  } else {
    std::vector<T> v(static_cast<size_t>(numel()));
    convert(*this, v.data());
    return v;
  }
}
template std::vector<bool> Tensor::to_vector() const;
template std::vector<int8_t> Tensor::to_vector() const;
template std::vector<int16_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;
template std::vector<uint16_t> Tensor::to_vector() const;
template std::vector<uint32_t> Tensor::to_vector() const;
template std::vector<uint64_t> Tensor::to_vector() const;
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;

bool Tensor::truth() const {
  if (!impl_) throw ValueError("an empty Tensor was used as a condition: it was default-constructed and never given a value");
  if (!is_concrete())
    throw TypeError(ErrorText{.what = std::string("a ") + (is_symbolic() ? "symbolic" : "traced") + " tensor has no number yet, so it can't be a condition of C++", .received = str(),
                              .fix = "choose with ops::where, or branch with ops::cond; `defined()` asks whether there is a tensor at all"}.str());
  if (numel() != 1)
    throw ValueError(ErrorText{.what = "a tensor with several elements is neither true nor false", .received = "shape " + shape().str(), .fix = "reduce it: ops::all(x).truth() or ops::any(x).truth()"}.str());
  return item() != 0;
}
double Tensor::item() const {
  if (numel() != 1) throw ValueError("item() needs a tensor with one element, not " + shape().str());
  double d;
  convert(*this, &d);
  return d;
}

Tensor Tensor::rows(int64_t from, int64_t to, bool drop_axis) const {
  if (rank() < 1 || from < 0 || to > shape()[0] || from > to)
    throw ValueError("rows " + std::to_string(from) + " to " + std::to_string(to) + " are not in a tensor of shape " + shape().str());
  Shape s = drop_axis ? shape().slice(1) : Shape{to - from} + shape().slice(1);
  size_t row = shape()[0] ? nbytes() / static_cast<size_t>(shape()[0]) : 0;
  Tensor t = empty(dtype(), s);
  if (t.nbytes()) std::memcpy(t.mutable_raw(), static_cast<const std::byte*>(raw()) + static_cast<size_t>(from) * row, t.nbytes());
  return t;
}

// NumPy's look: at most three items at each end of an axis of a large tensor.
static std::string numbers(const Tensor& t) {
  std::vector<double> v = t.to_vector<double>();
  bool whole = !is_floating(t.dtype()), big = v.size() > 1000;
  auto number = [&](double d) {
    if (t.dtype() == DType::Bool) return std::string(d != 0 ? "True" : "False");
    if (whole) return fmt::format("{}", static_cast<int64_t>(d));
    return fmt::format("{:.8g}", t.dtype() == DType::Float64 ? d : static_cast<double>(static_cast<float>(d)));
  };
  std::string s;
  auto walk = [&](auto&& self, int axis, size_t at, size_t stride) -> void {
    if (axis == t.rank()) {
      s += number(v[at]);
      return;
    }
    int64_t n = t.shape()[axis];
    size_t inner = n ? stride / static_cast<size_t>(n) : 0;
    s += "[";
    for (int64_t i = 0; i < n; ++i) {
      if (i) s += axis + 1 == t.rank() ? " " : "\n" + std::string(static_cast<size_t>(axis) + 1, ' ');
      if (big && n > 6 && i == 3) {
        s += "...";
        i = n - 4;
        continue;
      }
      self(self, axis + 1, at + static_cast<size_t>(i) * inner, inner);
    }
    s += "]";
  };
  walk(walk, 0, 0, v.size());
  return s;
}

std::string Tensor::str() const {
  if (!impl_) return "<Tensor: empty>";
  if (is_symbolic())
    return fmt::format("<KerasTensor shape={}, dtype={}, sparse=False, ragged=False, name={}>", shape().str(), dtype_name(dtype()), name());
  if (is_traced()) return fmt::format("<Tensor traced shape={}, dtype={}>", shape().str(), dtype_name(dtype()));
  return numbers(*this);
}
std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << tensor.str(); }

}  // namespace keras
