// What lives here: attention as one primitive, and its gradient. Made by the pass that finds attentions and by the gradient pass; what they
// mean in smaller primitives stands here too, for gradients of gradients.
#include "cpu/attention.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras::prims {

using ir::AttentionForm;
using ir::Graph;
using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;
using Kind = AttentionForm::Kind;
using View = AttentionForm::View;

static std::vector<Type> infer_attention(TypeSpan, const Attrs& a) {
  AttentionForm f = AttentionForm::from(a);
  return {{DType::Float32, f.shape}, {DType::Float32, Shape(f.batch) + Shape{f.rows, 2}}};
}
static std::vector<Type> infer_attention_backward(TypeSpan in, const Attrs& a) {
  AttentionForm f = AttentionForm::from(a);
  if (f.joint.rank() > 0) return {{DType::Float32, f.joint}};
  return {in[0], in[1], in[2]};
}

namespace {

/// An axis of a tensor in the order of memory, and which axis of the attention it is.
struct Side {
  int64_t size, stride;
  int axis;  // batch axes by number, then row, then column
};
/// The axes of `v` from the outermost in memory to the innermost; those that don't move (stride 0 or size 1) are left out.
std::vector<Side> sides(const AttentionForm& f, const View& v, int64_t rows, int64_t columns) {
  std::vector<Side> out;
  const int nb = static_cast<int>(f.batch.size());
  const auto put = [&](int64_t size, int64_t stride, int axis) {
    if (size > 1 && stride != 0) out.push_back({size, stride, axis});
  };
  for (int i = 0; i < nb; ++i) put(f.batch[static_cast<size_t>(i)], v.batch[static_cast<size_t>(i)], i);
  put(rows, v.row, nb);
  put(columns, v.column, nb + 1);
  std::stable_sort(out.begin(), out.end(), [](const Side& a, const Side& b) { return a.stride > b.stride; });
  return out;
}
/// (batch…, rows, columns) of the form; sizes of 1 where the view does not move.
V in_order(const AttentionForm& f, V x, const View& v, int64_t rows, int64_t columns) {
  const std::vector<Side> all = sides(f, v, rows, columns);
  Shape split;
  for (const Side& s : all) split.push_back(s.size);
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return all[a].axis < all[b].axis; });
  Ints perm;
  Shape kept(std::vector<int64_t>(f.batch.size() + 2, 1));
  for (size_t i : order) perm.push_back(static_cast<int64_t>(i)), kept[all[i].axis] = all[i].size;
  return reshape(transpose(reshape(x, split), perm), kept);
}
/// The way back: a tensor of `shape` from (batch…, rows, columns).
V in_memory(const AttentionForm& f, V x, const View& v, int64_t rows, int64_t columns, const Shape& shape) {
  const std::vector<Side> all = sides(f, v, rows, columns);
  Shape kept;
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return all[a].axis < all[b].axis; });
  Ints perm(all.size());
  for (size_t i = 0; i < order.size(); ++i) kept.push_back(all[order[i]].size), perm[order[i]] = static_cast<int64_t>(i);
  return reshape(transpose(reshape(x, kept), perm), shape);
}

/// y of q, k, v and the operands (which begin at in[3]).
V defined(const AttentionForm& f, const std::vector<V>& in) {
  const int nb = static_cast<int>(f.batch.size());
  const auto whole = [&](V x, int64_t rows, int64_t columns) { return broadcast_to(x, Shape(f.batch) + Shape{rows, columns}); };
  V q = in_order(f, in[0], f.q, f.rows, f.depth), k = whole(in_order(f, in[1], f.k, f.keys, f.depth), f.keys, f.depth),
    v = whole(in_order(f, in[2], f.v, f.keys, f.width), f.keys, f.width);
  const Ints batch = iota_axes(nb);
  V x = dot(q, k, Ints{nb + 1}, Ints{nb + 1}, batch, batch);
  const Shape scores = x.shape();
  const auto operand = [&](const AttentionForm::Step& s) { return in_order(f, in[3 + static_cast<size_t>(s.operand)], s.view, f.rows, f.keys); };
  const auto mask = [&](const AttentionForm::Step& s) {
    V m;
    if (s.operand == AttentionForm::kCausal) {
      const auto line = [&](int64_t n, Shape as) {
        return reshape(V{x.graph, x.graph->emit(iota_prim, {}, {{"dtype", DType::Int32}, {"shape", Ints{n}}, {"axis", int64_t{0}}})}, as);
      };
      m = ew(Ew::greater_equal, line(f.rows, Shape{f.rows, 1}), line(f.keys, Shape{1, f.keys}));
    } else {
      m = operand(s);
    }
    return s.inverted ? ew(Ew::logical_not, m) : m;
  };
  const auto stepped = [&](V from, const std::vector<AttentionForm::Step>& steps) {
    for (const AttentionForm::Step& s : steps) switch (s.kind) {
        case Kind::Scale: from = mul(from, s.value); break;
        case Kind::Add: from = add(from, operand(s)); break;
        case Kind::Subtract: from = sub(from, operand(s)); break;
        case Kind::Fill: from = select(mask(s), from, scalar(from, s.value)); break;
        case Kind::FillAdd: from = select(mask(s), from, add(from, s.value)); break;
        case Kind::Drop: {
          // The draw is laid out as the view says, which reaches all of it.
          V bits = random(in[3 + static_cast<size_t>(s.operand)], RandomKind::Bernoulli, DType::Bool, Shape{scores.numel()}, s.value, 0);
          from = select(in_order(f, bits, s.view, f.rows, f.keys), from, scalar(from, 0));
          break;
        }
      }
    return from;
  };
  x = stepped(x, f.steps);
  V e = ew(Ew::exp, sub(x, stop_gradient(reduce(reduce_max_prim, x, {nb + 1}, true))));
  V w = stepped(div(e, reduce_sum(e, {nb + 1}, true)), f.after);
  return in_memory(f, dot(w, v, Ints{nb + 1}, Ints{nb}, batch, batch), f.y, f.rows, f.width, f.shape);
}

std::vector<ValueId> vjp_attention(const VjpRequest& q) {
  AttentionForm f = AttentionForm::from(q.attrs);
  std::vector<ValueId> result(q.inputs.size(), -1);
  if (q.cotangents[0] < 0) return result;
  for (size_t i = 3; i < q.inputs.size(); ++i)
    if (q.wanted[i] && is_floating(q.graph.type(q.inputs[i]).dtype)) throw NotImplementedError("the gradient of an attention by its bias");
  std::vector<ValueId> in{q.inputs[0], q.inputs[1], q.inputs[2], q.outputs[0], q.outputs.at(1), q.cotangents[0]};
  in.insert(in.end(), q.inputs.begin() + 3, q.inputs.end());
  q.graph.emit(attention_backward_prim, std::move(in), f.attrs());
  const std::vector<ValueId> made = q.graph.nodes().back().outputs;
  std::copy(made.begin(), made.begin() + 3, result.begin());
  return result;
}

// y and the stats are functions of q, k and v, so all that the gradient depends on is in those, the cotangent and the operands.
std::vector<ValueId> vjp_attention_backward(const VjpRequest& q) {
  AttentionForm f = AttentionForm::from(q.attrs);
  Graph body;
  std::vector<ValueId> params, args;
  for (size_t i = 0; i < q.inputs.size(); ++i) {
    if (i == 3 || i == 4) continue;
    params.push_back(body.add_param(q.graph.type(q.inputs[i])));
    args.push_back(q.inputs[i]);
  }
  std::vector<V> in;
  for (size_t i = 0; i < params.size(); ++i)
    if (i != 3) in.push_back({&body, params[i]});
  V y = defined(f, in);
  std::vector<ValueId> first = passes::vjp(body, {y.id}, {params[3]}, {params[0], params[1], params[2]}, false);
  std::vector<ValueId> ys, cts;
  for (size_t i = 0; i < 3; ++i) {
    if (q.cotangents[i] < 0 || first[i] < 0) continue;
    ys.push_back(first[i]);
    cts.push_back(body.add_param(q.graph.type(q.cotangents[i])));
    args.push_back(q.cotangents[i]);
  }
  const std::vector<ValueId> wrt{params[0], params[1], params[2], params[3]};
  body.outputs = passes::vjp(body, ys, cts, wrt, false);
  std::vector<ValueId> result(q.inputs.size(), -1);
  std::vector<size_t> to{0, 1, 2, 5}, kept;
  for (size_t i = 0; i < 4; ++i)
    if (body.outputs[i] >= 0) kept.push_back(i);
  std::vector<ValueId> outputs;
  for (size_t i : kept) outputs.push_back(body.outputs[i]);
  body.outputs = outputs;
  const std::vector<ValueId> made = passes::inline_graph(q.graph, body, args);
  for (size_t i = 0; i < kept.size(); ++i) result[to[kept[i]]] = made[i];
  return result;
}

}  // namespace

// Products along the depth of queries and keys, and along the width of values; four operations per score for its softmax, one per step.
static ir::Cost attention_cost(const KernelRequest& r, int along_depth, int along_width) {
  const AttentionForm f = AttentionForm::from(r.attrs());
  double scores = static_cast<double>(f.rows) * static_cast<double>(f.keys);
  for (int64_t n : f.batch) scores *= static_cast<double>(n);
  const double each = 2.0 * static_cast<double>(along_depth * f.depth + along_width * f.width) + 4 + static_cast<double>(f.steps.size() + f.after.size());
  return {scores * each, ir::bytes_moved(r)};
}

const Primitive attention_prim{.name = "attention",
                               .infer = infer_attention,
                               .vjp = vjp_attention,
                               .cpu = [](const KernelRequest& r) { return cpu::make_attention(AttentionForm::from(r.attrs())); },
                               .cost = [](const KernelRequest& r) { return attention_cost(r, 1, 1); }};
const Primitive attention_backward_prim{.name = "attention_backward",
                                        .infer = infer_attention_backward,
                                        .vjp = vjp_attention_backward,
                                        .cpu = [](const KernelRequest& r) { return cpu::make_attention_backward(AttentionForm::from(r.attrs())); },
                                        .cost = [](const KernelRequest& r) { return attention_cost(r, 3, 2); }};

}  // namespace keras::prims
