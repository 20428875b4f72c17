// What lives here: keras.ops' linear algebra, composed of the decompositions of prims/linalg.
#include <algorithm>
#include <cmath>
#include <limits>

#include <keras/ops/linalg.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

namespace {
/// As float32 or float64, of rank 2 or more.
Tensor matrix(const Tensor& x, const char* where) {
  if (x.rank() < 2) shape_error(where, "a matrix is needed", "rank 2 or more", x.shape().str());
  return as(x, x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32);
}
Tensor square_matrix(const Tensor& x, const char* where) {
  Tensor a = matrix(x, where);
  if (a.shape()[-2] != a.shape()[-1]) shape_error(where, "the matrix is not square", "(…, n, n)", x.shape().str());
  return a;
}
Tensor back(const Tensor& r, const Tensor& x) { return is_half(x.dtype()) ? as(r, x.dtype()) : r; }
Tensor turned(const Tensor& x) { return swapaxes(x, -1, -2); }
Tensor solve_triangle(const Tensor& a, const Tensor& b, bool lower, bool transposed = false, bool unit = false) {
  return p::emit1<Tensor>(p::triangular_solve_prim, {a, b},
                          {{"lower", int64_t{lower}}, {"transposed", int64_t{transposed}}, {"unit", int64_t{unit}}});
}
Tensor identity_like(const Tensor& a) {
  int64_t n = a.shape()[-1];
  Tensor one = n < 0 ? shape_only(a.dtype(), Shape{None, None}) : eye(n, {}, 0, a.dtype());
  return p::broadcast_to(one, a.shape());
}
/// Both operands of a system with one batch; a right side without a column axis gets one.
struct System {
  Tensor a, b;
  bool vector;
};
System system_of(const Tensor& a0, const Tensor& b0, const char* where, bool vectors_first = false) {
  Tensor a = square_matrix(a0, where);
  DType t = promote(a0, b0) == DType::Float64 ? DType::Float64 : DType::Float32;
  a = as(a, t);
  Tensor b = as(b0, t);
  // One rank less is a batch of vectors, or a matrix for the whole batch: what fits both is the one to solve(), the other to solve_triangular().
  bool vector = b.rank() == 1 || (b.rank() == a.rank() - 1 && (vectors_first || b.shape()[-2] != a.shape()[-1]));
  if (vector) b = expand_dims(b, -1);
  if (b.rank() < 2 || a.shape()[-1] != b.shape()[-2])
    shape_error(where, "the two sides do not fit", "(…, n, n) and (…, n) or (…, n, m)", a0.shape().str() + " and " + b0.shape().str());
  Shape batch = broadcast_shapes(a.shape().slice(0, a.rank() - 2), b.shape().slice(0, b.rank() - 2));
  return {p::broadcast_to(a, batch + a.shape().slice(a.rank() - 2)), p::broadcast_to(b, batch + b.shape().slice(b.rank() - 2)), vector};
}
Tensor solved(const Tensor& a, const Tensor& b) {
  Tensors lu = emit_op(p::lu_prim, {a}, {});
  Tensor rows = p::broadcast_to(expand_dims(lu[2], -1), b.shape());
  return solve_triangle(lu[0], solve_triangle(lu[0], p::take_along_axis(b, rows, b.rank() - 2), true, false, true), false);
}
Tensors singular(const Tensor& a, bool full = false) { return emit_op(p::svd_prim, {a}, {{"full", int64_t{full}}}); }
double epsilon(DType t) {
  return t == DType::Float64 ? std::numeric_limits<double>::epsilon() : static_cast<double>(std::numeric_limits<float>::epsilon());
}
double larger_side(const Tensor& a) { return static_cast<double>(std::max<int64_t>({a.shape()[-1], a.shape()[-2], 1})); }
/// 1/s where s is more than `share` of the largest, else 0.
Tensor inverse_above(const Tensor& s, double share) {
  Tensor keep = p::ew(Ew::greater, s, p::mul(max(s, -1, true), share));
  return p::select(keep, p::div(num(s, 1), p::select(keep, s, num(s, 1))), num(s, 0));
}
/// Sign and logarithm of the size of the determinant, or its factors.
struct Determinant {
  Tensor diagonal, parity;
};
Determinant determinant(const Tensor& a) {
  Tensors lu = emit_op(p::lu_prim, {a}, {});
  Tensor pivots = lu[1], places = iota(DType::Int32, pivots.shape(), pivots.rank() - 1);
  Tensor swaps = p::reduce_sum(as(p::ew(Ew::not_equal, pivots, places), DType::Int32), Ints{pivots.rank() - 1});
  Tensor odd = as(p::ew(Ew::bitwise_and, swaps, num(swaps, 1)), a.dtype());
  return {diagonal(lu[0], 0, -2, -1), p::sub(num(odd, 1), p::mul(odd, 2.0))};
}
}  // namespace

Tensor cholesky(const Tensor& x, bool upper) {
  return frame(
      "Cholesky", [&] { return ArgDict{kw("upper", upper)}; },
      [upper](const Tensor& a0) {
        Tensor l = p::emit1<Tensor>(p::cholesky_prim, {square_matrix(a0, "cholesky")});
        if (l.is_concrete())
          for (double v : l.to_vector<double>())
            if (std::isnan(v))
              throw ValueError(
                  ErrorText{.what = "Cholesky decomposition failed", .where = "cholesky", .expected = "a positive definite matrix"}.str());
        return back(upper ? turned(l) : l, a0);
      },
      x);
}
Tensor cholesky_inverse(const Tensor& x, bool upper) {
  return frame(
      "CholeskyInverse", [&] { return ArgDict{kw("upper", upper)}; },
      [upper](const Tensor& a0) {
        Tensor a = square_matrix(a0, "cholesky_inverse"), inverse = solve_triangle(a, identity_like(a), !upper);
        return back(upper ? matmul(inverse, turned(inverse)) : matmul(turned(inverse), inverse), a0);
      },
      x);
}
Tensor det(const Tensor& x) {
  return unary("Det", x, [](const Tensor& a0) {
    Determinant d = determinant(square_matrix(a0, "det"));
    return back(p::mul(p::reduce(p::reduce_prod_prim, d.diagonal, Ints{d.diagonal.rank() - 1}), d.parity), a0);
  });
}
std::pair<Tensor, Tensor> slogdet(const Tensor& x) {
  return frame(
      "Slogdet", no_options,
      [](const Tensor& a0) {
        if (int r = a0.rank(); r >= 2 && (a0.shape()[r - 1] < 0 || a0.shape()[r - 2] < 0)) {  // Keras lets it pass
          Tensor each = shape_only(as_float(a0).dtype(), a0.shape().slice(0, r - 2));
          return std::pair<Tensor, Tensor>(each, each);
        }
        Determinant d = determinant(square_matrix(a0, "slogdet"));
        Ints along{d.diagonal.rank() - 1};
        Tensor sign = p::mul(p::reduce(p::reduce_prod_prim, p::ew(Ew::sign, d.diagonal), along), d.parity);
        Tensor log = p::reduce_sum(p::ew(Ew::log, p::ew(Ew::abs, d.diagonal)), along);
        return std::pair<Tensor, Tensor>(back(sign, a0), back(log, a0));
      },
      x);
}
std::pair<Tensor, Tensor> eigh(const Tensor& x) {
  return frame(
      "Eigh", no_options,
      [](const Tensor& a0) {
        Tensors r = emit_op(p::eigh_prim, {square_matrix(a0, "eigh")}, {});
        return std::pair<Tensor, Tensor>(back(r[0], a0), back(r[1], a0));
      },
      x);
}
std::pair<Complex, Complex> eig(const Tensor& x) {
  Tensors parts = frame(
      "Eig", no_options, [](const Tensor& a0) { return emit_op(p::eig_prim, {square_matrix(a0, "eig")}, {}); }, x);
  return {{parts[0], parts[1]}, {parts[2], parts[3]}};
}
Tensor inv(const Tensor& x) {
  return unary("Inv", x, [](const Tensor& a0) {
    Tensor a = square_matrix(a0, "inv");
    return back(solved(a, identity_like(a)), a0);
  });
}
/// Factors and pivots of any matrix, by those of its square part, which has a gradient.
static Tensors factored(const Tensor& a) {
  int row = a.rank() - 2, column = row + 1;
  int64_t m = a.shape()[row], n = a.shape()[column];
  if (m == n || m <= 0 || n <= 0) return emit_op(p::lu_prim, {a}, {});
  auto permuted = [&](const Tensor& t, const Tensor& order) {
    return p::take_along_axis(t, p::broadcast_to(expand_dims(order, -1), t.shape()), row);
  };
  if (m < n) {  // the first columns decide the pivots; the others are solved for
    Tensors square = emit_op(p::lu_prim, {p::slice_axis(a, column, 0, m)}, {});
    Tensor rest = solve_triangle(square[0], permuted(p::slice_axis(a, column, m, n), square[2]), true, false, true);
    return {p::concat(Tensors{square[0], rest}, column), square[1]};
  }
  Tensors all = emit_op(p::lu_prim, {a}, {});
  Tensor rows = permuted(a, all[2]);
  Tensor top = emit_op(p::lu_prim, {p::slice_axis(rows, row, 0, n)}, {})[0];  // in the order of its pivots already
  Tensor below = turned(solve_triangle(top, turned(p::slice_axis(rows, row, n, m)), false, true));
  Tensor same = p::concat(Tensors{top, below}, row);
  return {p::add(p::stop_gradient(all[0]), p::sub(same, p::stop_gradient(same))), all[1]};
}
std::pair<Tensor, Tensor> lu_factor(const Tensor& x) {
  return frame(
      "LuFactor", no_options,
      [](const Tensor& a0) {
        Tensors r = factored(matrix(a0, "lu_factor"));
        // Keras tells of symbolic pivots the dtype of the matrix.
        return std::pair<Tensor, Tensor>(back(r[0], a0), abstract_trace() ? as(r[1], back(r[0], a0).dtype()) : r[1]);
      },
      x);
}
std::pair<Tensor, Tensor> qr(const Tensor& x, std::string_view mode) {
  if (mode != "reduced" && mode != "complete") unknown_option("qr", "mode", mode, {"reduced", "complete"});
  bool complete = mode == "complete";
  if (int r = x.rank(); x.is_symbolic() && r >= 2 && (x.shape()[r - 1] < 0 || x.shape()[r - 2] < 0))
    shape_error("qr", "the matrix must have known sizes", "a known size on the last two axes", x.shape().str());
  return frame(
      "Qr", [&] { return ArgDict{kw("mode", mode)}; },
      [complete](const Tensor& a0) {
        Tensors r = emit_op(p::qr_prim, {matrix(a0, "qr")}, {{"complete", int64_t{complete}}});
        return std::pair<Tensor, Tensor>(back(r[0], a0), back(r[1], a0));
      },
      x);
}
Tensor solve(const Tensor& a, const Tensor& b) {
  return frame(
      "Solve", no_options,
      [](const Tensor& a0, const Tensor& b0) {
        System s = system_of(a0, b0, "solve");
        Tensor r = solved(s.a, s.b);
        return s.vector ? squeeze(r, -1) : r;
      },
      a, b);
}
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool lower) {
  return frame(
      "SolveTriangular", [&] { return ArgDict{kw("lower", lower)}; },
      [lower](const Tensor& a0, const Tensor& b0) {
        System s = system_of(a0, b0, "solve_triangular", true);
        Tensor r = solve_triangle(s.a, s.b, lower);
        return s.vector ? squeeze(r, -1) : r;
      },
      a, b);
}
Tensors svd(const Tensor& x, bool full_matrices, bool compute_uv) {
  return frame(
      "SVD",
      [&] {
        return ArgDict{kw("full_matrices", full_matrices), kw("compute_uv", compute_uv)};
      },
      [=](const Tensor& a0) {
        Tensors r = singular(matrix(a0, "svd"), full_matrices && compute_uv);
        if (!compute_uv) return Tensors{back(r[1], a0)};
        for (Tensor& t : r) t = back(t, a0);
        return r;
      },
      x);
}
Tensor lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond) {
  return frame(
      "Lstsq", [&] { return ArgDict{kw("rcond", rcond)}; },
      [rcond](const Tensor& a0, const Tensor& b0) {
        DType t = promote(a0, b0) == DType::Float64 ? DType::Float64 : DType::Float32;
        Tensor m = as(matrix(a0, "lstsq"), t), y = as(b0, t);
        bool vector = y.rank() == 1;
        if (vector) y = expand_dims(y, -1);
        if (m.rank() != 2 || y.rank() != 2 || !compatible(Shape{m.shape()[0]}, Shape{y.shape()[0]}))
          shape_error("lstsq", "the two sides do not fit", "(m, n) and (m,) or (m, k)", a0.shape().str() + " and " + b0.shape().str());
        Tensors r = singular(m);
        Tensor x = matmul(turned(r[2]), p::mul(expand_dims(inverse_above(r[1], rcond.value_or(epsilon(t) * larger_side(m))), -1),
                                               matmul(turned(r[0]), y)));
        return vector ? squeeze(x, -1) : x;
      },
      a, b);
}
Tensor pinv(const Tensor& x, std::optional<double> rcond) {
  return frame(
      "Pinv", [&] { return ArgDict{kw("rcond", rcond)}; },
      [rcond](const Tensor& a0) {
        Tensor a = matrix(a0, "pinv");
        Tensors r = singular(a);
        Tensor scaled =
            p::mul(turned(r[2]), expand_dims(inverse_above(r[1], rcond.value_or(10 * larger_side(a) * epsilon(a.dtype()))), -2));
        return back(matmul(scaled, turned(r[0])), a0);
      },
      x);
}
Tensor matrix_rank(const Tensor& x, std::optional<double> tol) {
  return frame(
      "MatrixRank", [&] { return ArgDict{kw("tol", tol)}; },
      [tol](const Tensor& a0) {
        Tensor a = matrix(a0, "matrix_rank"), s = singular(a)[1];
        Tensor least = tol ? num(s, *tol) : p::mul(max(s, -1, true), larger_side(a) * epsilon(a.dtype()));
        return p::reduce_sum(as(p::ew(Ew::greater, s, least), DType::Int32), Ints{s.rank() - 1});
      },
      x);
}
Tensor matrix_power(const Tensor& x, int64_t n) {
  return frame(
      "MatrixPower", [&] { return ArgDict{kw("n", n)}; },
      [n](const Tensor& a0) {
        if (a0.rank() < 2 || (a0.shape()[-1] >= 0 && a0.shape()[-2] >= 0 && a0.shape()[-1] != a0.shape()[-2]))
          shape_error("matrix_power", "the matrix is not square", "(…, n, n)", a0.shape().str());
        Tensor base = n < 0 ? inv(a0) : a0, r;
        if (n == 0) return identity_like(a0);
        for (int64_t k = std::abs(n); k > 0; k >>= 1) {
          if (k & 1) r = r.defined() ? matmul(r, base) : base;
          if (k > 1) base = matmul(base, base);
        }
        return r;
      },
      x);
}

std::pair<Tensors, Tensors> jvp(const std::function<Tensors(const Tensors&)>& fun, const Tensors& primals, const Tensors& tangents) {
  if (primals.size() != tangents.size())
    throw ValueError(ErrorText{.what = "`primals` and `tangents` differ in length",
                               .where = "jvp",
                               .expected = std::to_string(primals.size()),
                               .received = std::to_string(tangents.size())}
                         .str());
  std::vector<ir::Type> types;
  for (const Tensor& t : primals) types.push_back({t.dtype(), t.shape()});
  Tensors args = primals;
  args.insert(args.end(), tangents.begin(), tangents.end());
  for (const ir::Type& t : core::infer(types, fun)) args.push_back(zeros(t.shape, t.dtype));
  // The gradient of <u, f> by the primals is linear in u; its own gradient along the tangents is the derivative.
  size_t n = primals.size();
  Function f([&fun, n](const Tensors& in) {
    Tensors x(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n)), u(in.begin() + static_cast<std::ptrdiff_t>(2 * n), in.end());
    Tensors y = fun(x);
    auto inner_product = [](const Tensors& a, const Tensors& b) {
      Tensor total = Tensor::full({}, 0, a[0].dtype());
      for (size_t i = 0; i < a.size(); ++i)
        if (is_floating(a[i].dtype()))
          total = p::add(total, p::reduce_sum(p::mul(a[i], as(b[i], a[i].dtype())), p::iota_axes(a[i].rank())));
      return total;
    };
    Tensors g = gradients(inner_product(y, u), x);
    Tensors d = gradients(
        inner_product(g, Tensors(in.begin() + static_cast<std::ptrdiff_t>(n), in.begin() + static_cast<std::ptrdiff_t>(2 * n))), u);
    y.insert(y.end(), d.begin(), d.end());
    return y;
  });
  Tensors both = f(args);
  auto half = both.begin() + static_cast<std::ptrdiff_t>(both.size() / 2);
  return {Tensors(both.begin(), half), Tensors(half, both.end())};
}

// ---- norms
static Tensor vector_norm(const Tensor& x, const Ints& axes, std::optional<double> ord) {
  if (!ord || *ord == 2) return p::ew(Ew::sqrt, p::reduce_sum(p::ew(Ew::square, x), axes, true));
  Tensor size = p::ew(Ew::abs, x);
  if (std::isinf(*ord)) return p::reduce(*ord > 0 ? p::reduce_max_prim : p::reduce_min_prim, size, axes, true);
  if (*ord == 0) return p::reduce_sum(as(as_bool(x), x.dtype()), axes, true);
  if (*ord == 1) return p::reduce_sum(size, axes, true);
  return p::ew(Ew::pow, p::reduce_sum(p::ew(Ew::pow, size, num(x, *ord)), axes, true), num(x, 1 / *ord));
}
static Tensor matrix_norm(const Tensor& x, int row, int column, std::optional<double> ord, std::string_view name) {
  Ints both{std::min(row, column), std::max(row, column)};
  if (name == "fro" || (name.empty() && !ord)) return vector_norm(x, both, {});
  auto reach = [](bool max, const Tensor& t, int axis) {
    return p::reduce(max ? p::reduce_max_prim : p::reduce_min_prim, t, Ints{axis}, true);
  };
  if (name == "nuc" || *ord == 2 || *ord == -2) {
    Tensor s = back(singular(matrix(to_end(x, Ints{row, column}), "norm"))[1], x);
    Ints last{s.rank() - 1};
    Tensor r = name == "nuc" ? p::reduce_sum(s, last) : p::reduce(*ord > 0 ? p::reduce_max_prim : p::reduce_min_prim, s, last);
    return p::reshape(r, kept_shape(x.shape(), both));
  }
  Tensor size = p::ew(Ew::abs, x);
  if (std::isinf(*ord)) return reach(*ord > 0, p::reduce_sum(size, Ints{column}, true), row);
  if (*ord == 1 || *ord == -1) return reach(*ord > 0, p::reduce_sum(size, Ints{row}, true), column);
  throw ValueError(ErrorText{.what = "invalid `ord` for a matrix norm",
                             .where = "norm",
                             .expected = "None, 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2",
                             .received = float_repr(*ord)}
                       .str());
}
static Tensor norm_op(const Tensor& x, std::optional<double> ord, std::string_view name, const Axes& axis, bool keepdims) {
  if (!name.empty() && name != "fro" && name != "nuc") unknown_option("norm", "ord", name, {"fro", "nuc"});
  return frame(
      "Norm",
      [&] {
        return ArgDict{{"ord", name.empty() ? Arg(Value(ord)) : Arg(Value(name))}, kw("axis", axis), kw("keepdims", keepdims)};
      },
      [=, name = std::string(name)](const Tensor& a0) {
        Tensor a = as_float(a0);
        if (a.rank() == 0) a = p::reshape(a, Shape{1});
        bool plain = !ord && name.empty();
        std::vector<int> order;
        if (axis.all()) {
          for (int i = 0; i < a.rank(); ++i) order.push_back(i);
          if (!plain && a.rank() > 2) shape_error("norm", "`ord` needs one axis or two", "`axis`", a0.shape().str());
        } else {
          (void)axis.resolve(a.rank(), "norm");
          for (int i : axis.list()) order.push_back(axis_of(i, a, "norm"));
        }
        Ints axes(order.begin(), order.end());
        std::sort(axes.begin(), axes.end());
        Tensor r;
        if (plain && (axis.all() || order.size() <= 2)) r = vector_norm(a, axes, {});
        else if (order.size() == 1 && !name.empty())
          throw ValueError(
              ErrorText{.what = "invalid `ord` for a vector norm", .where = "norm", .expected = "a number", .received = "'" + name + "'"}
                  .str());
        else if (order.size() == 1) r = vector_norm(a, axes, ord);
        else if (order.size() == 2) r = matrix_norm(a, order[0], order[1], ord, name);
        else shape_error("norm", "a norm is taken over one axis or two", "1 or 2 axes", std::to_string(order.size()));
        if (a0.rank() == 0) return p::reshape(r, Shape{});
        return keepdims ? r : drop_axes(r, axes);
      },
      x);
}
Tensor norm(const Tensor& x, std::optional<double> ord, const Axes& axis, bool keepdims) { return norm_op(x, ord, "", axis, keepdims); }
Tensor norm(const Tensor& x, std::string_view ord, const Axes& axis, bool keepdims) { return norm_op(x, {}, ord, axis, keepdims); }

}  // namespace keras::ops
