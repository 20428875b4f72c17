// What lives here: functions of complex numbers, which are pairs of real tensors. No transforms: those are in fourier.cpp.
#include <keras/ops/math.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

namespace {
/// Both parts as floats of one type and shape; plain numbers broadcast.
Complex parts_of(const Tensor& re, const Tensor& im) {
  auto [a, b] = promoted(re, im);
  Shape s = broadcast_shapes(a.shape(), b.shape());
  return {p::broadcast_to(as_float(a), s), p::broadcast_to(as_float(b), s)};
}
template <class F> auto of_complex(const char* cls, const Complex& x, const F& f) {
  return frame(
      cls, no_options, [f](const Tensor& re, const Tensor& im) { return f(parts_of(re, im)); }, x.first, x.second);
}
Complex conjugated(const Complex& x) { return {x.first, p::neg(x.second)}; }
/// The larger part is taken out of the root, so that squares don't overflow.
Tensor length(const Complex& x) {
  Tensor a = p::ew(Ew::abs, x.first), b = p::ew(Ew::abs, x.second);
  Tensor large = p::ew(Ew::maximum, a, b), small = p::ew(Ew::minimum, a, b), none = p::ew(Ew::equal, large, num(large, 0));
  Tensor ratio = p::div(small, p::select(none, num(large, 1), large));
  return p::mul(large, p::ew(Ew::sqrt, p::add(p::mul(ratio, ratio), 1)));
}
}  // namespace

Complex conj(const Complex& x) { return of_complex("Conj", x, conjugated); }
Complex conjugate(const Complex& x) { return of_complex("Conjugate", x, conjugated); }
Tensor real(const Complex& x) {
  return of_complex("Real", x, [](const Complex& z) { return z.first; });
}
Tensor imag(const Complex& x) {
  return of_complex("Imag", x, [](const Complex& z) { return z.second; });
}
Tensor angle(const Complex& x) {
  return of_complex("Angle", x, [](const Complex& z) { return p::ew(Ew::atan2, z.second, z.first); });
}
Tensor absolute(const Complex& x) { return of_complex("Absolute", x, length); }
Tensor abs(const Complex& x) { return of_complex("Abs", x, length); }
Tensor isreal(const Complex& x) {
  return of_complex("Isreal", x, [](const Complex& z) { return p::ew(Ew::equal, z.second, num(z.second, 0)); });
}

Complex view_as_complex(const Tensor& x) {
  return frame(
      "ViewAsComplex", no_options,
      [](const Tensor& a) {
        if (a.rank() < 1 || (a.shape()[-1] >= 0 && a.shape()[-1] != 2))
          throw ValueError(ErrorText{.what = "the last axis must hold real and imaginary part",
                                     .where = "view_as_complex",
                                     .expected = "(…, 2)",
                                     .received = a.shape().str()}
                               .str());
        Tensor f = as_float(a);
        int axis = a.rank() - 1;
        auto part = [&](int64_t i) { return drop_axes(p::slice_axis(f, axis, i, i + 1), Ints{axis}); };
        return Complex{part(0), part(1)};
      },
      x);
}
Tensor view_as_real(const Complex& x) {
  return of_complex("ViewAsReal", x, [](const Complex& z) {
    int axis = z.first.rank();
    return p::concat(Tensors{expand_dims(z.first, axis), expand_dims(z.second, axis)}, axis);
  });
}

}  // namespace keras::ops
