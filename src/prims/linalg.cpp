// What lives here: decompositions of the last two axes and the triangular solve, with their gradient rules. Products and inverses are
// compositions of them, in ops.
#include "cpu/eig.h"
#include "cpu/linalg.h"
#include "prims/build.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static const Shape& matrix(const Type& t, bool square, const char* where) {
  if (t.dtype != DType::Float32 && t.dtype != DType::Float64)
    throw TypeError(ErrorText{.what = "decompositions need float32 or float64", .where = where, .received = t.str()}.str());
  const Shape& s = t.shape;
  if (s.rank() < 2 || (square && s[-1] >= 0 && s[-2] >= 0 && s[-1] != s[-2]))
    throw ValueError(ErrorText{.what = square ? "a square matrix is needed" : "a matrix is needed", .where = where,
                               .expected = square ? "(…, n, n)" : "(…, m, n)", .received = s.str()}.str());
  return s;
}
static Shape batch(const Shape& s) { return s.slice(0, s.rank() - 2); }
static int64_t least(int64_t a, int64_t b) { return a < 0 || b < 0 ? None : std::min(a, b); }

// ---- the algebra of gradient rules: matrices on the last two axes of values of equal batch
static int last(const V& v) { return v.shape().rank() - 1; }
static V mm(const V& a, const V& b) {
  int64_t n = a.shape().rank() - 2;
  return dot(a, b, Ints{n + 1}, Ints{n}, iota_axes(n), iota_axes(n));
}
static V tr(const V& a) {
  Ints perm = iota_axes(a.shape().rank());
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transpose(a, perm);
}
static V solve(const V& a, const V& b, bool lower, bool transposed, bool unit = false) {
  return emit1<V>(triangular_solve_prim, {a, b}, {{"lower", int64_t{lower}}, {"transposed", int64_t{transposed}}, {"unit", int64_t{unit}}});
}
static V numbers(const V& like, const Shape& shape, int axis) {
  like.graph->emit(iota_prim, {}, {{"dtype", DType::Int32}, {"shape", shape.dims()}, {"axis", int64_t{axis}}});
  return {like.graph, like.graph->nodes().back().outputs[0]};
}
/// The part of v where row `op` column + k holds; zeros elsewhere.
static V part(const V& v, Ew op, int64_t k = 0) {
  Shape s{v.shape()[-2], v.shape()[-1]};
  V row = numbers(v, s, 0), column = add(numbers(v, s, 1), static_cast<double>(k));
  return select(ew(op, row, column), v, scalar(v, 0));
}
static V lower_part(const V& v, bool strict = false) { return part(v, strict ? Ew::greater : Ew::greater_equal); }
static V upper_part(const V& v, bool strict = false) { return part(v, strict ? Ew::less : Ew::less_equal); }
static V on_diagonal(const V& d, int64_t n) {  // (…, n) → (…, n, n)
  Shape s = d.shape();
  s.push_back(1);
  Shape full = d.shape();
  full.push_back(n);
  return part(broadcast_to(reshape(d, s), full), Ew::equal);
}
static V as_row(const V& d) {
  Shape s = d.shape();
  s.insert(s.rank() - 1, 1);
  return reshape(d, s);
}
static V as_column(const V& d) {
  Shape s = d.shape();
  s.push_back(1);
  return reshape(d, s);
}
/// 1 / (x_j - x_i) off the diagonal, 0 on it and where the two are equal.
static V inverse_gaps(const V& x) {
  V gap = sub(as_row(x), as_column(x)), none = ew(Ew::equal, gap, scalar(gap, 0));
  return select(none, scalar(gap, 0), div(scalar(gap, 1), select(none, scalar(gap, 1), gap)));
}
static V zeros_like(const V& v) { return broadcast_to(scalar(v, 0), v.shape()); }
static V ct_or_zeros(const Rule& r, size_t i) { return r.ct(i) ? r.ct(i) : zeros_like(r.out(i)); }

// ---- Cholesky (Murray 2016)
/// About `factor` n m min(n, m) operations per matrix.
static ir::Cost cubic(const KernelRequest& r, double factor) {
  const Shape& s = r.in(0).shape;
  return {factor * static_cast<double>(s.numel()) * static_cast<double>(least(s[-1], s[-2])), ir::bytes_moved(r)};
}

const Primitive cholesky_prim{.name = "cholesky",
                              .infer = [](TypeSpan in, const Attrs&) { return std::vector<Type>{{in[0].dtype, matrix(in[0], true, "cholesky")}}; },
                              .vjp = [](const VjpRequest& q) {
                                Rule r{q};
                                V l = r.out(), p = lower_part(mm(tr(l), r.ct()));
                                p = mul(add(p, lower_part(p, true)), 0.5);  // the diagonal halved
                                V s = solve(l, tr(solve(l, p, true, true)), true, true);
                                return std::vector<ValueId>{mul(add(s, tr(s)), 0.5).id};
                              },
                              .cpu = [](const KernelRequest& r) { return cpu::make_cholesky(r.in(0).dtype, r.in(0).shape); },
                              .cost = [](const KernelRequest& r) { return cubic(r, 1.0 / 3); }};

// ---- op(a) x = b
const Primitive triangular_solve_prim{
    .name = "triangular_solve",
    .infer = [](TypeSpan in, const Attrs&) {
      const Shape &a = matrix(in[0], true, "triangular_solve"), &b = matrix(in[1], false, "triangular_solve");
      if (in[0].dtype != in[1].dtype) throw TypeError("triangular_solve: dtypes differ: " + in[0].str() + " and " + in[1].str());
      if (!compatible(batch(a), batch(b)) || !compatible(Shape{a[-1]}, Shape{b[-2]}))
        throw ValueError(ErrorText{.what = "the system does not fit", .where = "triangular_solve", .expected = "(…, n, n) and (…, n, m)", .received = a.str() + " and " + b.str()}.str());
      return std::vector<Type>{in[1]};
    },
    .vjp = [](const VjpRequest& q) {
      Rule r{q};
      bool lower = q.attrs.i("lower"), transposed = q.attrs.i("transposed"), unit = q.attrs.i("unit");
      V db = solve(r.in(0), r.ct(), lower, !transposed, unit);
      std::vector<ValueId> result(2, -1);
      if (r.wants(1)) result[1] = db.id;
      if (r.wants(0)) {
        V da = neg(transposed ? mm(r.out(), tr(db)) : mm(db, tr(r.out())));
        result[0] = (lower ? lower_part(da, unit) : upper_part(da, unit)).id;
      }
      return result;
    },
    .cpu = [](const KernelRequest& r) {
      return cpu::make_triangular_solve(r.in(0).dtype, r.in(0).shape, r.in(1).shape, r.attrs().i("lower"), r.attrs().i("transposed"), r.attrs().i("unit"));
    }};

// ---- LU with partial pivoting: factors in one matrix, pivots, permutation
const Primitive lu_prim{.name = "lu",
                        .infer = [](TypeSpan in, const Attrs&) {
                          const Shape& s = matrix(in[0], false, "lu");
                          Shape pivots = batch(s), rows = batch(s);
                          pivots.push_back(least(s[-1], s[-2]));
                          rows.push_back(s[-2]);
                          return std::vector<Type>{in[0], {DType::Int32, pivots}, {DType::Int32, rows}};
                        },
                        .vjp = [](const VjpRequest& q) {
                          Rule r{q};
                          if (!r.ct()) return std::vector<ValueId>{-1};
                          Shape s = r.in(0).shape();
                          if (s[-1] != s[-2]) throw NotImplementedError("the gradient of the LU decomposition of a matrix that is not square");
                          V lu = r.out();
                          V ones = broadcast_to(scalar(lu, 1), s), lower = add(lower_part(lu, true), part(ones, Ew::equal)), upper = upper_part(lu);
                          V inner = add(lower_part(mm(tr(lower), lower_part(r.ct(), true)), true), upper_part(mm(upper_part(r.ct()), tr(upper))));
                          V right = tr(solve(lu, tr(inner), false, false));
                          V permuted = solve(lu, right, true, true, true);
                          // Row i of this belongs to row permutation[i] of the matrix.
                          V rows = broadcast_to(as_column(r.out(2)), s);
                          return std::vector<ValueId>{emit1<V>(scatter_add_along_axis_prim, {rows, permuted}, {{"axis", int64_t{last(lu) - 1}}, {"size", s[-1]}}).id};
                        },
                        .cpu = [](const KernelRequest& r) { return cpu::make_lu(r.in(0).dtype, r.in(0).shape); }};

// ---- QR
const Primitive qr_prim{.name = "qr",
                        .infer = [](TypeSpan in, const Attrs& a) {
                          const Shape& s = matrix(in[0], false, "qr");
                          int64_t k = a.i("complete") ? s[-2] : least(s[-2], s[-1]);
                          Shape rr = batch(s) + Shape{k, s[-1]};
                          return std::vector<Type>{{in[0].dtype, batch(s) + Shape{s[-2], k}}, {in[0].dtype, rr}};
                        },
                        .vjp = [](const VjpRequest& q) {
                          Rule r{q};
                          Shape s = r.in(0).shape();
                          if (q.attrs.i("complete") && s[-2] > s[-1])
                            throw NotImplementedError("the gradient of the complete QR decomposition of a tall matrix");
                          V Q = r.out(0), R = r.out(1), dq = ct_or_zeros(r, 0), dr = ct_or_zeros(r, 1), rest;
                          int64_t m = s[-2], n = s[-1];
                          // A wide matrix is (X | Y) = Q (U | QᵀY): what the right part of R got goes to Y, and through Q to X.
                          if (m < n) {
                            int axis = last(R);
                            V right = slice_axis(dr, axis, m, n);
                            dq = add(dq, mm(slice_axis(r.in(0), axis, m, n), tr(right)));
                            rest = mm(Q, right);
                            R = slice_axis(R, axis, 0, m), dr = slice_axis(dr, axis, 0, m);
                          }
                          V inner = sub(mm(R, tr(dr)), mm(tr(dq), Q));
                          V symmetric = add(lower_part(inner), tr(lower_part(inner, true)));
                          V x = tr(solve(R, tr(add(dq, mm(Q, symmetric))), false, false));
                          return std::vector<ValueId>{(rest ? concat(std::vector<V>{x, rest}, last(x)) : x).id};
                        },
                        .cpu = [](const KernelRequest& r) { return cpu::make_qr(r.in(0).dtype, r.in(0).shape, r.attrs().i("complete")); }};

// ---- eigenvalues of symmetric matrices
const Primitive eigh_prim{.name = "eigh",
                          .infer = [](TypeSpan in, const Attrs&) {
                            const Shape& s = matrix(in[0], true, "eigh");
                            return std::vector<Type>{{in[0].dtype, s.slice(0, s.rank() - 1)}, in[0]};
                          },
                          .vjp = [](const VjpRequest& q) {
                            Rule r{q};
                            V w = r.out(0), v = r.out(1);
                            int64_t n = w.shape()[-1];
                            V middle = on_diagonal(ct_or_zeros(r, 0), n);
                            if (r.ct(1)) middle = add(middle, mul(inverse_gaps(w), mm(tr(v), r.ct(1))));
                            V g = mm(mm(v, middle), tr(v));
                            return std::vector<ValueId>{mul(add(g, tr(g)), 0.5).id};
                          },
                          .cpu = [](const KernelRequest& r) { return cpu::make_eigh(r.in(0).dtype, r.in(0).shape); }};

// ---- eigenvalues of any square matrix: real and imaginary parts of the values, then of the vectors
const Primitive eig_prim{.name = "eig",
                         .infer = [](TypeSpan in, const Attrs&) {
                           const Shape& s = matrix(in[0], true, "eig");
                           Type values{in[0].dtype, s.slice(0, s.rank() - 1)};
                           return std::vector<Type>{values, values, in[0], in[0]};
                         },
                         .cpu = [](const KernelRequest& r) { return cpu::make_eig(r.in(0).dtype, r.in(0).shape); },
                         .cost = [](const KernelRequest& r) { return cubic(r, 25); }};

// ---- singular values (Townsend 2016)
const Primitive svd_prim{.name = "svd",
                         .infer = [](TypeSpan in, const Attrs& a) {
                           const Shape& s = matrix(in[0], false, "svd");
                           int64_t k = least(s[-2], s[-1]);
                           bool full = a.i("full");
                           DType t = in[0].dtype;
                           Shape values = batch(s);
                           values.push_back(k);
                           return std::vector<Type>{{t, batch(s) + Shape{s[-2], full ? s[-2] : k}}, {t, values}, {t, batch(s) + Shape{full ? s[-1] : k, s[-1]}}};
                         },
                         .vjp = [](const VjpRequest& q) {
                           Rule r{q};
                           Shape shape = r.in(0).shape();
                           V s = r.out(1);
                           int64_t k = s.shape()[-1], rank = shape.rank();
                           bool vectors = r.ct(0) || r.ct(2);
                           if (q.attrs.i("full") && vectors && shape[-1] != shape[-2])
                             throw NotImplementedError("the gradient of whole singular bases of a matrix that is not square; use full_matrices=false");
                           V u = slice_axis(r.out(0), static_cast<int>(rank - 1), 0, k), vt = slice_axis(r.out(2), static_cast<int>(rank - 2), 0, k);
                           V middle = on_diagonal(ct_or_zeros(r, 1), k);
                           if (!vectors) return std::vector<ValueId>{mm(mm(u, middle), vt).id};
                           V gaps = inverse_gaps(ew(Ew::square, s)), v = tr(vt), g{};
                           V zero = ew(Ew::equal, s, scalar(s, 0));
                           V inverse = select(zero, scalar(s, 0), div(scalar(s, 1), select(zero, scalar(s, 1), s)));
                           auto plus = [&](V x) { g = g ? add(g, x) : x; };
                           if (r.ct(0)) {
                             V inside = mm(tr(u), r.ct(0)), j = mul(gaps, inside);
                             middle = add(middle, mul(add(j, tr(j)), as_row(s)));
                             plus(mm(mul(sub(r.ct(0), mm(u, inside)), as_row(inverse)), vt));
                           }
                           if (r.ct(2)) {
                             V dv = tr(r.ct(2)), inside = mm(vt, dv), j = mul(gaps, inside);
                             middle = add(middle, mul(as_column(s), add(j, tr(j))));
                             plus(mm(mul(u, as_row(inverse)), tr(sub(dv, mm(v, inside)))));
                           }
                           plus(mm(mm(u, middle), vt));
                           return std::vector<ValueId>{g.id};
                         },
                         .cpu = [](const KernelRequest& r) { return cpu::make_svd(r.in(0).dtype, r.in(0).shape, r.attrs().i("full"), true); }};

}  // namespace keras::prims
