// What lives here: keras.ops' activation functions.
#include <cmath>
#include <numbers>

#include <keras/ops/nn.h>

#include "ops/op_frame.h"

namespace keras::ops {

static Tensor e1(Ew op, const Tensor& x) { return p::ew(op, x); }
static Tensor at_least(const Tensor& x, double v) { return p::ew(Ew::maximum, x, num(x, v)); }
// Written so that the kinks have gradient 0, which a minimum would share.
static Tensor at_most(const Tensor& x, double v) { return p::select(p::ew(Ew::greater_equal, x, num(x, v)), num(x, v), x); }
static Tensor above(const Tensor& x, double v) { return p::ew(Ew::greater, x, num(x, v)); }

/// Bools beside whole numbers are whole numbers.
static Tensor counted(const Tensor& a) { return a.dtype() == DType::Bool ? as(a, DType::Int32) : a; }
Tensor relu(const Tensor& x) {
  return unary("Relu", x, [](const Tensor& a) { return at_least(counted(a), 0); });
}
/// The 6 is a float in Keras.
Tensor relu6(const Tensor& x) {
  return unary("Relu6", x, [](const Tensor& a) { return at_most(at_least(as_float(a), 0), 6); });
}
Tensor sigmoid(const Tensor& x) {
  return unary("Sigmoid", x, [](const Tensor& a) { return e1(Ew::sigmoid, as_float(a)); });
}
Tensor sparse_sigmoid(const Tensor& x) {
  return unary("SparseSigmoid", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    // Clipped, not selected: at the bounds the gradient is shared.
    return p::mul(p::ew(Ew::minimum, p::ew(Ew::maximum, num(f, 0), p::add(f, 1.0)), num(f, 2)), 0.5);
  });
}
Tensor softplus(const Tensor& x) {
  return unary("Softplus", x, [](const Tensor& a) { return e1(Ew::softplus, as_float(a)); });
}
Tensor softsign(const Tensor& x) {
  return unary("Softsign", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    return p::div(f, p::add(e1(Ew::abs, f), 1.0));
  });
}
static Tensor silu_of(const Tensor& a) {
  Tensor f = as_float(a);
  return p::mul(f, e1(Ew::sigmoid, f));
}
Tensor silu(const Tensor& x) { return unary("Silu", x, silu_of); }
Tensor swish(const Tensor& x) { return silu(x); }
Tensor log_sigmoid(const Tensor& x) {
  return unary("LogSigmoid", x, [](const Tensor& a) { return p::neg(e1(Ew::softplus, p::neg(as_float(a)))); });
}
Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return frame(
      "LeakyRelu", [&] { return ArgDict{kw("negative_slope", negative_slope)}; },
      [negative_slope](const Tensor& a) {
        Tensor f = as_float(a);
        return p::select(p::ew(Ew::greater_equal, f, num(f, 0)), f, p::mul(f, negative_slope));
      },
      x);
}
static Tensor hard_sigmoid_of(const Tensor& f) { return p::div(at_most(at_least(p::add(f, 3.0), 0), 6), num(f, 6)); }
static Tensor hard_silu_of(const Tensor& a) {
  Tensor f = as_float(a);
  return p::mul(f, hard_sigmoid_of(f));
}
Tensor hard_sigmoid(const Tensor& x) {
  return unary("HardSigmoid", x, [](const Tensor& a) { return hard_sigmoid_of(as_float(a)); });
}
Tensor hard_silu(const Tensor& x) { return unary("HardSilu", x, hard_silu_of); }
Tensor hard_swish(const Tensor& x) { return hard_silu(x); }
Tensor hard_tanh(const Tensor& x) {
  return unary("HardTanh", x, [](const Tensor& a0) {
    Tensor a = counted(a0);
    return p::select(above(a, 1), num(a, 1), p::select(p::ew(Ew::less, a, num(a, -1)), num(a, -1), a));
  });
}
/// x above 0, else alpha·(e^(x/scale) - 1); the exponential never sees a positive number.
static Tensor exponential_below(const Tensor& f, double alpha, double scale) {
  // Selected, not clipped: at 0 the slope is that of the exponential.
  Tensor low = p::select(above(f, 0), num(f, 0), f);
  if (scale != 1) low = p::div(low, num(f, scale));
  return p::select(above(f, 0), f, p::mul(e1(Ew::expm1, low), alpha));
}
Tensor elu(const Tensor& x, double alpha) {
  return frame(
      "Elu", [&] { return ArgDict{kw("alpha", alpha)}; }, [alpha](const Tensor& a) { return exponential_below(as_float(a), alpha, 1); }, x);
}
Tensor selu(const Tensor& x) {
  return unary("Selu", x, [](const Tensor& a) {
    return p::mul(exponential_below(as_float(a), 1.6732632423543772848170429916717, 1), 1.0507009873554804934193349852946);
  });
}
Tensor celu(const Tensor& x, double alpha) {
  return frame(
      "Celu", [&] { return ArgDict{kw("alpha", alpha)}; },
      [alpha](const Tensor& a) { return exponential_below(as_float(a), alpha, alpha); }, x);
}
Tensor gelu(const Tensor& x, bool approximate) {
  return frame(
      "Gelu", [&] { return ArgDict{kw("approximate", approximate)}; },
      [approximate](const Tensor& a) {
        Tensor f = as_float(a);
        if (!approximate) return p::mul(p::mul(f, 0.5), p::add(e1(Ew::erf, p::mul(f, 1 / std::numbers::sqrt2)), 1.0));
        Tensor cubic = p::add(f, p::mul(p::mul(e1(Ew::square, f), f), 0.044715));
        return p::mul(f, p::mul(p::add(e1(Ew::tanh, p::mul(cubic, std::sqrt(2 / std::numbers::pi))), 1.0), 0.5));
      },
      x);
}
Tensor glu(const Tensor& x, int axis) {
  return frame(
      "Glu", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        int along = axis_of(axis, a, "glu");
        int64_t n = a.shape()[along];
        if (n < 0) return as_float(a);
        if (n % 2) shape_error("glu", "the axis can't be halved", "an even size of axis " + std::to_string(along), a.shape().str());
        Tensor f = as_float(a);
        return p::mul(p::slice_axis(f, along, 0, n / 2), e1(Ew::sigmoid, p::slice_axis(f, along, n / 2, n)));
      },
      x);
}
Tensor tanh_shrink(const Tensor& x) {
  return unary("TanhShrink", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    return p::sub(f, e1(Ew::tanh, f));
  });
}
Tensor hard_shrink(const Tensor& x, double threshold) {
  return frame(
      "HardShrink", [&] { return ArgDict{kw("threshold", threshold)}; },
      [threshold](const Tensor& a) {
        Tensor f = as_float(a);
        return p::select(above(e1(Ew::abs, f), threshold), f, num(f, 0));
      },
      x);
}
Tensor soft_shrink(const Tensor& x, double threshold) {
  return frame(
      "SoftShrink", [&] { return ArgDict{kw("threshold", threshold)}; },
      [threshold](const Tensor& a) {
        Tensor f = as_float(a);
        Tensor low = p::select(p::ew(Ew::less, f, num(f, -threshold)), p::add(f, threshold), num(f, 0));
        return p::select(above(f, threshold), p::add(f, -threshold), low);
      },
      x);
}
Tensor squareplus(const Tensor& x, double b) {
  return frame(
      "Squareplus", [&] { return ArgDict{kw("b", b)}; },
      [b](const Tensor& a) {
        Tensor f = as_float(a);
        return p::mul(p::add(f, e1(Ew::sqrt, p::add(e1(Ew::square, f), b))), 0.5);
      },
      x);
}
Tensor sparse_plus(const Tensor& x) {
  return unary("SparsePlus", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    Tensor curve = p::mul(e1(Ew::square, p::add(f, 1.0)), 0.25);
    return p::select(p::ew(Ew::less_equal, f, num(f, -1)), num(f, 0), p::select(p::ew(Ew::greater_equal, f, num(f, 1)), f, curve));
  });
}
Tensor threshold(const Tensor& x, double threshold, double default_value) {
  return frame(
      "Threshold",
      [&] {
        return ArgDict{kw("threshold", threshold), kw("default_value", default_value)};
      },
      [=](const Tensor& a) {
        // A value with a fraction makes floats of whole numbers.
        Tensor t = std::trunc(default_value) == default_value ? counted(a) : as_float(a);
        return p::select(above(counted(a), threshold), t, num(t, default_value));
      },
      x);
}

// Written as reductions that keep their axes: fusion makes one pass of them.
Tensor softmax(const Tensor& x, const Axes& axis) {
  return frame(
      "Softmax", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Tensor f = as_float(a);
        Ints axes = axis.resolve(f.rank(), "softmax");
        Tensor e = e1(Ew::exp, p::sub(f, p::stop_gradient(p::reduce(p::reduce_max_prim, f, axes, true))));
        return p::div(e, p::reduce_sum(e, axes, true));
      },
      x);
}
Tensor log_softmax(const Tensor& x, const Axes& axis) {
  return frame(
      "LogSoftmax", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Tensor f = as_float(a);
        Ints axes = axis.resolve(f.rank(), "log_softmax");
        Tensor shifted = p::sub(f, p::stop_gradient(p::reduce(p::reduce_max_prim, f, axes, true)));
        return p::sub(shifted, e1(Ew::log, p::reduce_sum(e1(Ew::exp, shifted), axes, true)));
      },
      x);
}
Tensor sparsemax(const Tensor& x, int axis) {
  return frame(
      "Sparsemax", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Tensor f = as_float(a);
        int along = axis_of(axis, f, "sparsemax");
        if (f.shape()[along] < 0) return f;
        Tensor sorted = p::emit1<Tensor>(p::sort_prim, {f}, {{"axis", int64_t{along}}, {"descending", int64_t{1}}});
        Tensor running = p::cumulative(p::cumsum_prim, sorted, along);
        Shape line(std::vector<int64_t>(f.shape().size(), 1));
        line[along] = f.shape()[along];
        Tensor rank = p::add(iota(f.dtype(), line, along), 1.0);
        Tensor support = above(p::sub(sorted, p::div(p::add(running, -1.0), rank)), 0);
        Tensor k = p::reduce_sum(as(support, f.dtype()), Ints{along}, true);
        // Keras sums the running sums here, not the numbers.
        Tensor last = p::reduce_sum(p::select(support, running, num(f, 0)), Ints{along}, true);
        return p::ew(Ew::maximum, num(f, 0), p::sub(f, p::div(p::add(last, -1.0), k)));
      },
      x);
}
static bool can_broadcast(const Shape& a, const Shape& b) {
  for (int i = -1; i >= -std::min(a.rank(), b.rank()); --i)
    if (a[i] >= 0 && b[i] >= 0 && a[i] != b[i] && a[i] != 1 && b[i] != 1) return false;
  return true;
}
std::pair<Tensor, Tensor> polar(const Tensor& abs_, const Tensor& angle) {
  return frame(
      "Polar", no_options,
      [](const Tensor& r, const Tensor& t) {
        DType type = float_type(promote(r, t));
        Tensor length = as(r, type), turn = as(t, type);
        if (abstract_trace() && !can_broadcast(r.shape(), t.shape())) return std::pair<Tensor, Tensor>(length, length);  // Keras doesn't look
        return std::pair<Tensor, Tensor>(p::mul(length, e1(Ew::cos, turn)), p::mul(length, e1(Ew::sin, turn)));
      },
      abs_, angle);
}

}  // namespace keras::ops
