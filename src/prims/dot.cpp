// What lives here: the general dot product. After fusion a dot may carry a bias, a residual and an activation ("bias", "add", "act").
#include "cpu/dot.h"
#include "prims/build.h"
#include "prims/epilogue.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static bool has(const Ints& v, int64_t x) { return std::find(v.begin(), v.end(), x) != v.end(); }
static Ints free_axes(int rank, const Ints& a, const Ints& b) {
  Ints f;
  for (int i = 0; i < rank; ++i)
    if (!has(a, i) && !has(b, i)) f.push_back(i);
  return f;
}

static std::vector<Type> infer_dot(TypeSpan in, const Attrs& a) {
  const Ints &lc = a.ints("lc"), &rc = a.ints("rc"), &lb = a.ints("lb"), &rb = a.ints("rb");
  const Shape &l = in[0].shape, &r = in[1].shape;
  if (in[0].dtype != in[1].dtype) throw TypeError("dot: dtypes differ: " + in[0].str() + " and " + in[1].str());
  auto fits = [&](const Ints& x, const Ints& y) {
    if (x.size() != y.size()) return false;
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t p = l[static_cast<int>(x[i])], q = r[static_cast<int>(y[i])];
      if (p >= 0 && q >= 0 && p != q) return false;
    }
    return true;
  };
  if (!fits(lc, rc) || !fits(lb, rb))
    throw ValueError(ErrorText{.what = "dot: the axes to contract do not fit",
                               .expected = "equal sizes on axes " + Shape(lc).str() + " and " + Shape(rc).str(),
                               .received = l.str() + " and " + r.str()}.str());
  Shape out;
  for (size_t i = 0; i < lb.size(); ++i) {
    int64_t p = l[static_cast<int>(lb[i])], q = r[static_cast<int>(rb[i])];
    out.push_back(p < 0 ? q : p);
  }
  for (int64_t i : free_axes(l.rank(), lc, lb)) out.push_back(l[static_cast<int>(i)]);
  for (int64_t i : free_axes(r.rank(), rc, rb)) out.push_back(r[static_cast<int>(i)]);
  return {{in[0].dtype, out}};
}

/// Turns a value whose axis i stands for axis `names[i]` of the wanted value into that order.
static V to_order(V v, const Ints& names) {
  Ints perm(names.size());
  for (size_t i = 0; i < names.size(); ++i) perm[static_cast<size_t>(names[i])] = static_cast<int64_t>(i);
  return transpose(v, perm);
}

static std::vector<ValueId> vjp_dot(const VjpRequest& q) {
  Rule r{q};
  const Ints &lc = q.attrs.ints("lc"), &rc = q.attrs.ints("rc"), &lb = q.attrs.ints("lb"), &rb = q.attrs.ints("rb");
  Ints lf = free_axes(r.in(0).shape().rank(), lc, lb), rf = free_axes(r.in(1).shape().rank(), rc, rb);
  int64_t nb = static_cast<int64_t>(lb.size()), nl = static_cast<int64_t>(lf.size()), nr = static_cast<int64_t>(rf.size());
  Ints cb = iota_axes(nb), cl = iota_axes(nl, nb), cr = iota_axes(nr, nb + nl);
  std::vector<ValueId> result(2, -1);
  auto partner = [](const Ints& from, const Ints& to, Ints sorted) {  // the axes `to` that pair with `from`, in order of `from`
    std::sort(sorted.begin(), sorted.end());
    Ints out;
    for (int64_t x : sorted) out.push_back(to[static_cast<size_t>(std::find(from.begin(), from.end(), x) - from.begin())]);
    return out;
  };
  if (r.wants(0)) {
    V g = dot(r.ct(), r.in(1), cr, rf, cb, rb);  // batch, free of lhs, contracted axes in order of rhs
    Ints names = lb;
    names.insert(names.end(), lf.begin(), lf.end());
    for (int64_t x : partner(rc, lc, rc)) names.push_back(x);
    result[0] = to_order(g, names).id;
  }
  if (r.wants(1)) {
    V g = dot(r.in(0), r.ct(), lf, cl, lb, cb);  // batch, contracted axes in order of lhs, free of rhs
    Ints names = rb;
    for (int64_t x : partner(lc, rc, lc)) names.push_back(x);
    names.insert(names.end(), rf.begin(), rf.end());
    result[1] = to_order(g, names).id;
  }
  return result;
}

const Primitive dot_prim{.name = "dot", .infer = infer_dot, .vjp = vjp_dot, .cpu = [](const KernelRequest& r) {
                           auto ints = [&](const char* k) { const Ints& v = r.attrs().ints(k); return std::vector<int>(v.begin(), v.end()); };
                           cpu::DotDesc d;
                           d.dtype = r.in(0).dtype;
                           d.lhs = r.in(0).shape, d.rhs = r.in(1).shape;
                           d.lhs_contract = ints("lc"), d.rhs_contract = ints("rc"), d.lhs_batch = ints("lb"), d.rhs_batch = ints("rb");
                           d.epilogue = epilogue_of(r.attrs());
                           return cpu::make_dot(d);
                         },
                         .cost = [](const KernelRequest& r) {
                           double k = 1;
                           for (int64_t a : r.attrs().ints("lc")) k *= static_cast<double>(r.in(0).shape[static_cast<int>(a)]);
                           return ir::Cost{2 * k * static_cast<double>(r.out().shape.numel()) + epilogue_flops(r), ir::bytes_moved(r)};
                         }};

}  // namespace keras::prims
