// What lives here: keras.ops' sums of products: matmul, tensordot, einsum and what is built on them.
#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

/// Both operands in the dtype in which the products are summed: 8-bit integers sum in int32.
static std::pair<Tensor, Tensor> factors(const Tensor& a, const Tensor& b) {
  DType t = promote(a, b);
  if (a.dtype() == DType::Int8 && b.dtype() == DType::Int8) t = DType::Int32;
  if (t == DType::Bool) t = DType::Int32;
  return {as(a, t), as(b, t)};
}
static DType product_type(const Tensor& a, const Tensor& b, DType summed) { return promote(a, b) == DType::Bool ? DType::Bool : summed; }
static Tensor finish(const Tensor& r, DType t) { return t == DType::Bool ? as_bool(r) : r; }

static Tensor matrix_product(const Tensor& x, const Tensor& y) {
  if (x.rank() == 0 || y.rank() == 0)
    shape_error("matmul", "scalars have no matrix product", "rank 1 or more", x.shape().str() + " and " + y.shape().str());
  auto [a, b] = factors(x, y);
  DType t = product_type(x, y, a.dtype());
  int ra = a.rank(), rb = b.rank(), ca = ra - 1, cb = rb == 1 ? 0 : rb - 2;
  int64_t ka = a.shape()[ca], kb = b.shape()[cb];
  if (ka >= 0 && kb >= 0 && ka != kb)
    shape_error("matmul", "the inner sizes differ", "the last axis of the first as long as axis " + std::to_string(cb) + " of the second",
                x.shape().str() + " and " + y.shape().str());
  if (ra <= 2 && rb <= 2) return finish(p::dot(a, b, Ints{ca}, Ints{cb}), t);
  if (rb <= 2) return finish(p::dot(a, b, Ints{ca}, Ints{cb}), t);  // the batch axes of a are free axes: one matrix product
  if (ra == 1) return finish(p::dot(a, b, Ints{0}, Ints{cb}), t);
  if (ra == 2) {  // (batch…, m, n) by b first, then the last two axes change places
    Tensor r = p::dot(b, a, Ints{cb}, Ints{ca});
    Ints perm = p::iota_axes(r.rank());
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return finish(p::transpose(r, perm), t);
  }
  Shape batch = broadcast_shapes(a.shape().slice(0, ra - 2), b.shape().slice(0, rb - 2));
  a = p::broadcast_to(a, batch + a.shape().slice(ra - 2));
  b = p::broadcast_to(b, batch + b.shape().slice(rb - 2));
  int n = batch.rank();
  return finish(p::dot(a, b, Ints{n + 1}, Ints{n}, p::iota_axes(n), p::iota_axes(n)), t);
}
Tensor matmul(const Tensor& x1, const Tensor& x2) { return binary("Matmul", x1, x2, matrix_product); }

/// Unlike those of matmul and einsum, sums of 8-bit integers stay such.
static Tensor contracted(const Tensor& x, const Tensor& y, Ints cx, Ints cy) {
  auto [a, b] = factors(x, y);
  Tensor r = finish(p::dot(a, b, std::move(cx), std::move(cy)), product_type(x, y, a.dtype()));
  return x.dtype() == DType::Int8 && y.dtype() == DType::Int8 ? as(r, DType::Int8) : r;
}
/// The same for calls that Keras does not check while only shapes are asked for: what doesn't fit shows when there are numbers.
static Tensor contracted_later(const Tensor& x, const Tensor& y, const Ints& cx, const Ints& cy) {
  bool fit = cx.size() == cy.size();
  for (size_t i = 0; fit && i < cx.size(); ++i)
    fit = compatible(Shape{x.shape()[static_cast<int>(cx[i])]}, Shape{y.shape()[static_cast<int>(cy[i])]});
  if (fit || !abstract_trace()) return contracted(x, y, cx, cy);
  Shape out;
  auto add_free = [&out](const Tensor& t, const Ints& taken) {
    for (int i = 0; i < t.rank(); ++i)
      if (std::find(taken.begin(), taken.end(), i) == taken.end()) out.push_back(t.shape()[i]);
  };
  add_free(x, cx), add_free(y, cy);
  bool bytes = x.dtype() == DType::Int8 && y.dtype() == DType::Int8;
  return shape_only(bytes ? DType::Int8 : product_type(x, y, factors(x, y).first.dtype()), out);
}
Tensor dot(const Tensor& x1, const Tensor& x2) {
  return binary("Dot", x1, x2, [](const Tensor& a, const Tensor& b) {
    if (a.rank() == 0 || b.rank() == 0) return multiply(a, b);
    return contracted(a, b, Ints{a.rank() - 1}, Ints{b.rank() == 1 ? 0 : b.rank() - 2});
  });
}
Tensor inner(const Tensor& x1, const Tensor& x2) {
  return binary("Inner", x1, x2, [](const Tensor& a, const Tensor& b) {
    if (a.rank() == 0 || b.rank() == 0) return multiply(a, b);
    return contracted(a, b, Ints{a.rank() - 1}, Ints{b.rank() - 1});
  });
}
Tensor vdot(const Tensor& x1, const Tensor& x2) {
  return binary("Vdot", x1, x2, [](const Tensor& a, const Tensor& b) { return contracted_later(flatten(a), flatten(b), {0}, {0}); });
}
Tensor outer(const Tensor& x1, const Tensor& x2) {
  return binary("Outer", x1, x2, [](const Tensor& a, const Tensor& b) {
    return multiply(p::reshape(a, Shape{a.numel(), 1}), p::reshape(b, Shape{1, b.numel()}));
  });
}
Tensor tensordot(const Tensor& x1, const Tensor& x2, int axes) {
  return frame(
      "Tensordot", [&] { return ArgDict{kw("axes", axes)}; },
      [axes](const Tensor& a, const Tensor& b) {
        if (axes < 0 || axes > a.rank() || axes > b.rank())
          shape_error("tensordot", "more axes than the tensors have", "at most " + std::to_string(std::min(a.rank(), b.rank())),
                      std::to_string(axes));
        return contracted_later(a, b, p::iota_axes(axes, a.rank() - axes), p::iota_axes(axes));
      },
      x1, x2);
}
Tensor tensordot(const Tensor& x1, const Tensor& x2, const std::vector<int>& axes1, const std::vector<int>& axes2) {
  return frame(
      "Tensordot",
      [&] {
        return ArgDict{kw("axes", List{Value(axes1), Value(axes2)})};
      },
      [=](const Tensor& a, const Tensor& b) {
        Ints ca, cb;
        for (int i : axes1) ca.push_back(axis_of(i, a, "tensordot"));
        for (int i : axes2) cb.push_back(axis_of(i, b, "tensordot"));
        return contracted_later(a, b, ca, cb);
      },
      x1, x2);
}

// ---- einsum
namespace {
using Labels = std::vector<int>;  // letters, and numbers from 1000 on for the axes that "..." stands for, counted from the right
struct Term {
  Tensor t;
  Labels labels;
};
bool has(const Labels& l, int x) { return std::find(l.begin(), l.end(), x) != l.end(); }
int64_t position(const Labels& l, int x) { return std::find(l.begin(), l.end(), x) - l.begin(); }

[[noreturn]] void bad_subscripts(std::string_view subscripts, std::string what) {
  shape_error("einsum", std::move(what), "subscripts like 'bij,bjk->bik' that fit the operands", "'" + std::string(subscripts) + "'");
}
struct Subscripts {
  std::vector<Labels> inputs;  // -1 stands for the ellipsis
  Labels output;
};
Labels read_labels(std::string_view text, std::string_view all) {
  Labels l;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) continue;
    if (text.substr(i, 3) == "...") {
      if (has(l, -1)) bad_subscripts(all, "an operand has two ellipses");
      l.push_back(-1);
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(text[i]))) {
      l.push_back(text[i]);
    } else {
      bad_subscripts(all, std::string("unexpected character '") + text[i] + "'");
    }
  }
  return l;
}
Subscripts parse(std::string_view text, size_t operands) {
  size_t arrow = text.find("->");
  std::string_view left = text.substr(0, arrow);
  Subscripts s;
  while (true) {
    size_t comma = left.find(',');
    s.inputs.push_back(read_labels(left.substr(0, comma), text));
    if (comma == std::string_view::npos) break;
    left = left.substr(comma + 1);
  }
  if (s.inputs.size() != operands)
    bad_subscripts(text, std::to_string(s.inputs.size()) + " operands are named, " + std::to_string(operands) + " are given");
  if (arrow != std::string_view::npos) {
    s.output = read_labels(text.substr(arrow + 2), text);
  } else {  // what occurs once, in alphabetical order, after the ellipsis
    std::map<int, int> times_seen;
    for (const Labels& l : s.inputs)
      for (int x : l) ++times_seen[x];
    if (times_seen.count(-1)) s.output.push_back(-1);
    for (auto [x, n] : times_seen)
      if (x >= 0 && n == 1) s.output.push_back(x);
  }
  return s;
}
Tensor sum_out(const Tensor& t, const Labels& labels, const Labels& keep, Labels* left) {
  Ints axes;
  left->clear();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (has(keep, labels[i])) left->push_back(labels[i]);
    else axes.push_back(static_cast<int64_t>(i));
  }
  return p::reduce_sum(t, axes);
}
Tensor ordered(const Tensor& t, const Labels& from, const Labels& to) {
  Ints perm;
  for (int x : to) perm.push_back(position(from, x));
  return p::transpose(t, perm);
}
/// The product of two terms with all labels summed that `keep` does not need.
Term combine(const Term& a, const Term& b, const Labels& keep, const Labels& wanted) {
  Labels batch, contract;
  for (int x : a.labels)
    if (has(b.labels, x)) (has(keep, x) ? batch : contract).push_back(x);
  if (contract.empty()) {  // no sum: multiply with aligned axes
    Labels all = a.labels;
    for (int x : b.labels)
      if (!has(all, x)) all.push_back(x);
    Labels order;
    for (int x : wanted)
      if (has(all, x)) order.push_back(x);
    for (int x : all)
      if (!has(order, x)) order.push_back(x);
    auto align = [&](const Term& t) {
      Labels own;
      for (int x : order)
        if (has(t.labels, x)) own.push_back(x);
      Tensor r = ordered(t.t, t.labels, own);
      Shape s;
      for (int x : order) s.push_back(has(own, x) ? r.shape()[static_cast<int>(position(own, x))] : 1);
      return p::reshape(r, s);
    };
    return {p::mul(align(a), align(b)), order};
  }
  auto product = [&](const Term& l, const Term& r) {
    auto axes = [](const Term& t, const Labels& which) {
      Ints out;
      for (int x : which) out.push_back(position(t.labels, x));
      return out;
    };
    Labels out = batch;
    for (int x : l.labels)
      if (!has(batch, x) && !has(contract, x)) out.push_back(x);
    for (int x : r.labels)
      if (!has(batch, x) && !has(contract, x)) out.push_back(x);
    return std::pair(std::move(out),
                     [=] { return p::dot(l.t, r.t, axes(l, contract), axes(r, contract), axes(l, batch), axes(r, batch)); });
  };
  // Batch axes in the order in which the result wants them, and the operands too: often no transpose is left.
  Labels sorted;
  for (int x : wanted)
    if (has(batch, x)) sorted.push_back(x);
  if (sorted.size() == batch.size()) batch = sorted;
  auto [out, make] = product(a, b);
  if (out != wanted) {
    auto [other, make_other] = product(b, a);
    if (other == wanted) return {make_other(), other};
  }
  return {make(), out};
}

Tensor einsum_of(const Subscripts& s, std::string_view text, const Tensors& operands) {
  DType t = promote(operands), summed = t;
  bool all_int8 = true;
  for (const Tensor& x : operands) all_int8 &= x.dtype() == DType::Int8;
  if (all_int8 || t == DType::Bool) summed = DType::Int32;
  // 1. Labels per axis.
  std::vector<Term> terms;
  std::map<int, int64_t> size;
  size_t dots = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    Term term{as(operands[i], summed), {}};
    size_t named = s.inputs[i].size() - (has(s.inputs[i], -1) ? 1 : 0), rank = operands[i].shape().size();
    if (named > rank || (named < rank && !has(s.inputs[i], -1)))
      shape_error("einsum", "operand " + std::to_string(i) + " of '" + std::string(text) + "' has another rank",
                  "rank " + std::to_string(named), operands[i].shape().str());
    for (int x : s.inputs[i]) {
      if (x != -1) {
        term.labels.push_back(x);
        continue;
      }
      dots = std::max(dots, rank - named);
      for (size_t k = rank - named; k-- > 0;) term.labels.push_back(1000 + static_cast<int>(k));
    }
    for (size_t d = 0; d < rank; ++d) {
      int64_t n = operands[i].shape()[static_cast<int>(d)];
      auto [it, fresh] = size.try_emplace(term.labels[d], n);
      if (fresh || it->second == n) continue;
      if (it->second == 1 || (it->second < 0 && n > 1)) it->second = n;
      else if (n > 1 && it->second >= 0)
        shape_error("einsum", "the sizes of an axis of '" + std::string(text) + "' differ", std::to_string(it->second),
                    std::to_string(n) + " in operand " + std::to_string(i));
    }
    terms.push_back(std::move(term));
  }
  Labels output;
  for (int x : s.output) {
    if (x == -1) {
      for (size_t k = dots; k-- > 0;) output.push_back(1000 + static_cast<int>(k));
    } else {
      if (!size.count(x)) bad_subscripts(text, std::string("output label '") + static_cast<char>(x) + "' is in no operand");
      if (has(output, x)) bad_subscripts(text, std::string("output label '") + static_cast<char>(x) + "' is given twice");
      output.push_back(x);
    }
  }
  // 2. Diagonals of labels given twice, axes of size 1 that broadcast dropped, labels of one operand alone summed.
  for (size_t i = 0; i < terms.size(); ++i) {
    Term& term = terms[i];
    for (size_t d = 0; d < term.labels.size(); ++d)
      for (size_t e = d + 1; e < term.labels.size();) {
        if (term.labels[d] != term.labels[e]) {
          ++e;
          continue;
        }
        int x = term.labels[d];
        term.t = diagonal(term.t, 0, static_cast<int>(d), static_cast<int>(e));
        term.labels.erase(term.labels.begin() + static_cast<int64_t>(e));
        term.labels.erase(term.labels.begin() + static_cast<int64_t>(d));
        term.labels.push_back(x);
        e = d + 1;
        if (d >= term.labels.size()) break;
      }
    Ints ones;
    Labels rest;
    for (size_t d = 0; d < term.labels.size(); ++d) {
      if (term.t.shape()[static_cast<int>(d)] == 1 && size[term.labels[d]] != 1) ones.push_back(static_cast<int64_t>(d));
      else rest.push_back(term.labels[d]);
    }
    if (!ones.empty()) term.t = drop_axes(term.t, ones), term.labels = rest;
  }
  auto needed = [&](size_t skip1, size_t skip2) {
    Labels keep = output;
    for (size_t i = 0; i < terms.size(); ++i)
      if (i != skip1 && i != skip2) keep.insert(keep.end(), terms[i].labels.begin(), terms[i].labels.end());
    return keep;
  };
  for (size_t i = 0; i < terms.size(); ++i) {
    Labels left;
    terms[i].t = sum_out(terms[i].t, terms[i].labels, needed(i, i), &left);
    terms[i].labels = left;
  }
  // 3. Pair by pair, the pair with the smallest result first.
  while (terms.size() > 1) {
    size_t best_i = 0, best_j = 1;
    double best = -1;
    for (size_t i = 0; terms.size() > 2 && i < terms.size(); ++i)
      for (size_t j = i + 1; j < terms.size(); ++j) {
        Labels keep = needed(i, j);
        double cost = 1, shrink = 0;
        std::set<int> seen;
        for (const Labels* l : {&terms[i].labels, &terms[j].labels}) {
          double n = 1;
          for (int x : *l) {
            double d = static_cast<double>(size[x] < 0 ? 64 : size[x]);
            n *= d;
            if (has(keep, x) && seen.insert(x).second) cost *= d;
          }
          shrink += n;
        }
        cost -= shrink;
        if (best < 0 && i == 0 && j == 1) best = cost, best_i = i, best_j = j, best = cost;
        else if (cost < best || (i == 0 && j == 1)) best = cost, best_i = i, best_j = j;
      }
    Labels keep = needed(best_i, best_j);
    Labels wanted;
    if (terms.size() == 2) wanted = output;
    Term r = combine(terms[best_i], terms[best_j], keep, wanted);
    Labels left;
    r.t = sum_out(r.t, r.labels, keep, &left);
    r.labels = left;
    terms.erase(terms.begin() + static_cast<int64_t>(best_j));
    terms[best_i] = std::move(r);
  }
  // 4. The order of the output; broadcast labels that only size-1 axes had.
  Term& r = terms[0];
  Labels present;
  for (int x : output)
    if (has(r.labels, x)) present.push_back(x);
  Tensor out = ordered(r.t, r.labels, present);
  if (present.size() != output.size()) {
    Shape narrow, wide;
    for (int x : output) {
      wide.push_back(size[x]);
      narrow.push_back(has(present, x) ? out.shape()[static_cast<int>(position(present, x))] : 1);
    }
    out = p::broadcast_to(p::reshape(out, narrow), wide);
  }
  return t == DType::Bool ? as_bool(out) : out;
}
}  // namespace

Tensor einsum(std::string_view subscripts, const Tensors& operands) {
  if (operands.empty()) bad_subscripts(subscripts, "there are no operands");
  Subscripts s = parse(subscripts, operands.size());
  return frame(
      "Einsum", [&] { return ArgDict{kw("subscripts", subscripts)}; },
      [s, text = std::string(subscripts)](const Tensors& xs) { return einsum_of(s, text, xs); }, operands);
}

// ---- others
Tensor kron(const Tensor& x1, const Tensor& x2) {
  return binary("Kron", x1, x2, [](const Tensor& a, const Tensor& b) {
    Shape sa = a.shape(), sb = b.shape(), wa, wb, merged;
    while (sa.size() < sb.size()) sa.insert(0, 1);
    while (sb.size() < sa.size()) sb.insert(0, 1);
    for (int i = 0; i < sa.rank(); ++i) {
      wa.push_back(sa[i]), wa.push_back(1);
      wb.push_back(1), wb.push_back(sb[i]);
      merged.push_back(times(sa[i], sb[i]));
    }
    return p::reshape(multiply(p::reshape(a, wa), p::reshape(b, wb)), merged);
  });
}
Tensor cross(const Tensor& x1, const Tensor& x2, int axisa, int axisb, int axisc, std::optional<int> axis) {
  return frame(
      "Cross",
      [&] {
        return ArgDict{kw("axisa", axisa), kw("axisb", axisb), kw("axisc", axisc), kw("axis", axis)};
      },
      [=](const Tensor& x, const Tensor& y) {
        auto [a0, b0] = promoted(x, y);
        Tensor a = move_axis(a0, axis_of(axis.value_or(axisa), a0, "cross"), a0.rank() - 1),
               b = move_axis(b0, axis_of(axis.value_or(axisb), b0, "cross"), b0.rank() - 1);
        int64_t na = a.shape()[-1], nb = b.shape()[-1];
        auto fits = [](int64_t n) { return n == 2 || n == 3 || n < 0; };
        if (!fits(na) || !fits(nb))
          shape_error("cross", "vectors of 2 or 3 elements are needed", "sizes 2 or 3", x.shape().str() + " and " + y.shape().str());
        auto at = [](const Tensor& t, int64_t i) {
          int last = t.rank() - 1;
          return t.shape()[last] < 0 ? drop_axes(shape_only(t.dtype(), t.shape().slice(0, last) + Shape{1}), Ints{last})
                                     : drop_axes(p::slice_axis(t, last, i, i + 1), Ints{last});
        };
        auto z = p::sub(p::mul(at(a, 0), at(b, 1)), p::mul(at(a, 1), at(b, 0)));
        // Of two unknown lengths Keras says that they are 2.
        if ((na == 2 && nb == 2) || (na < 0 && nb < 0)) return z;
        auto third = [&](const Tensor& t, int64_t n) { return n == 2 ? num(t, 0) : at(t, 2); };
        Tensor az = third(a, na), bz = third(b, nb);
        Tensor vx = p::sub(p::mul(at(a, 1), bz), p::mul(az, at(b, 1))), vy = p::sub(p::mul(az, at(b, 0)), p::mul(at(a, 0), bz));
        Shape s = z.shape(), column = s;
        column.push_back(1);
        Tensors parts;
        for (const Tensor& v : {vx, vy, z}) parts.push_back(p::reshape(p::broadcast_to(v, s), column));
        Tensor r = p::concat(parts, s.rank());
        return move_axis(r, r.rank() - 1, normalize_axis(axis.value_or(axisc), r.rank(), "cross"));
      },
      x1, x2);
}
Tensor correlate(const Tensor& x1, const Tensor& x2, std::string_view mode) {
  if (mode != "valid" && mode != "same" && mode != "full") unknown_option("correlate", "mode", mode, {"valid", "same", "full"});
  return frame(
      "Correlate", [&] { return ArgDict{kw("mode", mode)}; },
      [mode = std::string(mode)](const Tensor& x, const Tensor& y) {
        if (x.rank() != 1 || y.rank() != 1)
          shape_error("correlate", "correlate takes vectors", "rank 1", x.shape().str() + " and " + y.shape().str());
        DType t = float_type(promote(x, y));
        Tensor a = as(x, t), b = as(y, t);
        int64_t n = a.shape()[0], m = b.shape()[0];
        if (n < 0 || m < 0) return shape_only(t, Shape{None});
        if (n == 0 || m == 0)
          shape_error("correlate", "an empty vector has no correlation", "at least one element",
                      x.shape().str() + " and " + y.shape().str());
        bool turned = n < m;
        if (turned) std::swap(a, b), std::swap(n, m);
        int64_t lo = mode == "full" ? m - 1 : mode == "same" ? m / 2 : 0, hi = mode == "full" ? m - 1 : mode == "same" ? m - m / 2 - 1 : 0;
        p::ConvSpec spec{{1}, {1}, {lo}, {hi}, 1};
        Tensor r = p::reshape(p::conv(p::reshape(a, {1, n, 1}), p::reshape(b, {m, 1, 1}), spec), Shape{n + lo + hi - m + 1});
        return turned ? p::reverse(r, Ints{0}) : r;
      },
      x1, x2);
}
Tensor corrcoef(const Tensor& x) {
  return unary("Corrcoef", x, [](const Tensor& a0) {
    Tensor a = as_float(a0);
    if (a.rank() == 0) return p::div(a, a);
    // Keras says of an unknown number of observations that the result has as many columns: not known.
    if (a.rank() == 2 && a.shape()[1] < 0) return shape_only(a.dtype(), Shape{a.shape()[0], None});
    if (a.rank() > 2) shape_error("corrcoef", "corrcoef takes a vector or a matrix", "rank 1 or 2", a.shape().str());
    if (a.rank() == 1) a = p::reshape(a, Shape{1, a.shape()[0]});
    Tensor centered = p::sub(a, mean(a, 1, true));
    Tensor c = p::dot(centered, centered, Ints{1}, Ints{1});
    Tensor d = p::ew(Ew::sqrt, diagonal(c));
    int64_t n = a.shape()[0];
    Tensor r = p::div(p::div(c, p::reshape(d, Shape{n, 1})), p::reshape(d, Shape{1, n}));
    r = p::ew(Ew::minimum, p::ew(Ew::maximum, r, num(r, -1)), num(r, 1));
    return n == 1 ? p::reshape(r, Shape{}) : r;
  });
}
Tensor cdist(const Tensor& x, const Tensor& y) {
  return binary("Cdist", x, y, [](const Tensor& a0, const Tensor& b0) {
    if (a0.rank() < 2 || b0.rank() < 2)
      shape_error("cdist", "the rank is too small", "rank 2 or more", a0.shape().str() + " and " + b0.shape().str());
    DType t = float_type(promote(a0, b0));
    Tensor a = expand_dims(as(a0, t), -2), b = expand_dims(as(b0, t), -3);
    Tensor d = p::ew(Ew::square, p::sub(a, b));
    return p::ew(Ew::sqrt, p::reduce_sum(d, Ints{d.rank() - 1}));
  });
}

}  // namespace keras::ops
