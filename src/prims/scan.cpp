// What lives here: the loop over a leading axis: what it computes, and its gradient, another scan that walks backwards. Its body is a graph
// of its own; how that runs stands in loop_kernel.cpp.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "passes/passes.h"
#include "prims/build.h"
#include "prims/loop_kernel.h"

namespace keras::prims {

using ir::Graph;
using ir::Node;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static Shape with_length(int64_t length, const Shape& s) { return Shape{length} + s; }

static std::vector<Type> infer_scan(TypeSpan in, const Attrs& a) {
  const Graph& body = a.graph("body");
  size_t consts = static_cast<size_t>(a.i("consts")), carries = static_cast<size_t>(a.i("carries"));
  if (body.params().size() != in.size()) throw RuntimeError("scan: the body takes another number of values");
  for (size_t i = 0; i < in.size(); ++i) {
    const Type& want = body.type(body.params()[i]);
    Shape got = i < consts + carries ? in[i].shape : in[i].shape.slice(1);
    if (want.dtype != in[i].dtype || !compatible(want.shape, got))
      throw RuntimeError(fmt::format("scan: body parameter {} is {}, given {}", i, want.str(), in[i].str()));
  }
  std::vector<Type> out;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    const Type& t = body.type(body.outputs[i]);
    if (i < carries) {
      if (t.dtype != in[consts + i].dtype || !compatible(t.shape, in[consts + i].shape))
        throw ValueError(fmt::format("scan: the step turns a state of {} into {}", in[consts + i].str(), t.str()));
      out.push_back(in[consts + i]);
    } else {
      out.push_back({t.dtype, with_length(a.i("length"), t.shape)});
    }
  }
  return out;
}

// The joint graph of a step and its gradient is split in two: what the forward step computes and the backward step needs is stacked
// by the forward scan (extra outputs of the node itself) and read by a scan in the other direction.
static std::vector<ValueId> vjp_scan(const VjpRequest& q) {
  Graph& g = q.graph;
  const Graph& body = q.attrs.graph("body");
  size_t consts = static_cast<size_t>(q.attrs.i("consts")), carries = static_cast<size_t>(q.attrs.i("carries"));
  size_t ys = body.outputs.size() - carries;
  bool reverse = q.attrs.i("reverse");
  int64_t length = q.attrs.i("length");

  Graph joint;
  std::vector<ValueId> params;
  for (ValueId p : body.params()) params.push_back(joint.add_param(body.type(p)));
  std::vector<ValueId> outs = passes::inline_graph(joint, body, params);
  size_t forward_nodes = joint.nodes().size();
  auto floating = [&](ValueId v) { return is_floating(joint.type(v).dtype); };
  // Cotangents arrive as extra parameters: carries, then ys.
  std::vector<ValueId> cts, diff_outs;
  std::vector<int> ct_of(outs.size(), -1);
  for (size_t i = 0; i < outs.size(); ++i) {
    bool comes = floating(outs[i]) && (i < carries || q.cotangents[i] >= 0);
    if (!comes) continue;
    ct_of[i] = static_cast<int>(cts.size());
    diff_outs.push_back(outs[i]);
    cts.push_back(joint.add_param(joint.type(outs[i])));
  }
  std::vector<ValueId> wrt;
  std::vector<int> wrt_of(params.size(), -1);
  for (size_t i = 0; i < params.size(); ++i) {
    bool carry = i >= consts && i < consts + carries;
    if (!floating(params[i]) || (!carry && !q.wanted[i])) continue;
    wrt_of[i] = static_cast<int>(wrt.size());
    wrt.push_back(params[i]);
  }
  std::vector<ValueId> grads = passes::vjp(joint, diff_outs, cts, wrt);

  // Which forward values does the backward part read?
  std::vector<char> forward(joint.num_values(), 0), constant_only(joint.num_values(), 0);
  for (size_t i = 0; i < params.size(); ++i) forward[static_cast<size_t>(params[i])] = 1, constant_only[static_cast<size_t>(params[i])] = i < consts;
  for (size_t i = 0; i < forward_nodes; ++i) {
    const Node& n = joint.nodes()[i];
    bool all = true;
    for (ValueId v : n.inputs) all &= constant_only[static_cast<size_t>(v)] != 0;
    for (ValueId v : n.outputs) forward[static_cast<size_t>(v)] = 1, constant_only[static_cast<size_t>(v)] = all;
  }
  std::vector<ValueId> residuals;
  std::vector<char> seen(joint.num_values(), 0);
  auto read = [&](ValueId v) {
    if (v < 0 || !forward[static_cast<size_t>(v)] || constant_only[static_cast<size_t>(v)] || seen[static_cast<size_t>(v)]) return;
    seen[static_cast<size_t>(v)] = 1;
    residuals.push_back(v);
  };
  for (size_t i = forward_nodes; i < joint.nodes().size(); ++i)
    for (ValueId v : joint.nodes()[i].inputs) read(v);
  for (ValueId v : grads) read(v);

  // Forward: the node's own body gains the residuals as ys. Slices of xs are read from the xs again, not stacked twice.
  auto x_index = [&](ValueId v) {
    for (size_t i = consts + carries; i < params.size(); ++i)
      if (params[i] == v) return static_cast<int>(i);
    return -1;
  };
  auto forward_body = std::make_shared<Graph>();
  std::vector<ValueId> fmap(joint.num_values(), -1);
  for (ValueId p : params) fmap[static_cast<size_t>(p)] = forward_body->add_param(joint.type(p));
  for (size_t i = 0; i < forward_nodes; ++i) {
    const Node& n = joint.nodes()[i];
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(fmap[static_cast<size_t>(v)]);
    const ir::OriginScope origin(n.origin);
    forward_body->emit(*n.prim, std::move(in), n.attrs);
    for (size_t k = 0; k < n.outputs.size(); ++k) fmap[static_cast<size_t>(n.outputs[k])] = forward_body->nodes().back().outputs[k];
  }
  for (ValueId v : outs) forward_body->outputs.push_back(fmap[static_cast<size_t>(v)]);
  std::vector<ValueId> stacked;  // in the outer graph, one per residual
  {
    auto& nodes = ir::GraphEditor::nodes(g);
    auto& values = ir::GraphEditor::values(g);
    for (ValueId v : residuals) {
      int x = x_index(v);
      if (x >= 0) {
        stacked.push_back(q.inputs[static_cast<size_t>(x)]);
        continue;
      }
      if (auto y = std::find(outs.begin() + static_cast<std::ptrdiff_t>(carries), outs.end(), v); y != outs.end()) {
        stacked.push_back(q.outputs[static_cast<size_t>(y - outs.begin())]);
        continue;
      }
      forward_body->outputs.push_back(fmap[static_cast<size_t>(v)]);
      ValueId id = static_cast<ValueId>(values.size());
      Node& node = nodes[static_cast<size_t>(q.node)];
      values.push_back({{joint.type(v).dtype, with_length(length, joint.type(v).shape)}, q.node, static_cast<int>(node.outputs.size())});
      node.outputs.push_back(id);
      stacked.push_back(id);
    }
    nodes[static_cast<size_t>(q.node)].attrs.set("body", std::shared_ptr<const Graph>(forward_body));
  }

  // Backward: consts; carries are cotangents of the states and sums for the consts; xs are residuals and cotangents of the ys.
  auto back = std::make_shared<Graph>();
  std::vector<ValueId> bmap(joint.num_values(), -1), args, state_args, sum_args;
  for (size_t i = 0; i < consts; ++i) {
    bmap[static_cast<size_t>(params[i])] = back->add_param(joint.type(params[i]));
    args.push_back(q.inputs[i]);
  }
  auto zeros = [&](Type t) {  // by value: the graph grows
    V z{&g, g.constant(t.dtype, 0)};
    return broadcast_to(z, t.shape).id;
  };
  std::vector<size_t> state_index;  // which carries have cotangents
  for (size_t i = 0; i < carries; ++i) {
    if (ct_of[i] < 0) continue;
    state_index.push_back(i);
    ValueId ct = cts[static_cast<size_t>(ct_of[i])];
    bmap[static_cast<size_t>(ct)] = back->add_param(joint.type(ct));
    args.push_back(q.cotangents[i] >= 0 ? q.cotangents[i] : zeros(g.type(q.inputs[consts + i])));
  }
  // A const's gradient that is a sum of products of values of the step (a weight's) or of their sums (a bias') is not added up step by
  // step: the values are stacked, and one product or sum over all steps follows the loop.
  struct Term {
    ValueId values[2];  // the second is -1 for a sum
    const Node* node;
  };
  struct Whole {
    size_t param;
    std::vector<Term> terms;
  };
  std::vector<Whole> wholes;
  std::vector<size_t> summed;
  std::vector<ValueId> sum_params;
  auto per_step = [&](ValueId v) { return static_cast<size_t>(v) >= constant_only.size() || !constant_only[static_cast<size_t>(v)]; };
  auto collect = [&](auto&& self, ValueId v, std::vector<Term>& terms) -> bool {
    const Node* made = joint.producer(v);
    if (!made) return false;
    if (made->prim->ew == ir::Ew::add && joint.type(made->inputs[0]) == joint.type(v) && joint.type(made->inputs[1]) == joint.type(v))
      return self(self, made->inputs[0], terms) && self(self, made->inputs[1], terms);
    while (made && made->prim->is("reshape")) made = joint.producer(made->inputs[0]);
    if (!made) return false;
    if (made->prim == &dot_prim && made->attrs.ints("lb").empty() && per_step(made->inputs[0]) && per_step(made->inputs[1]))
      return terms.push_back({{made->inputs[0], made->inputs[1]}, made}), true;
    if (made->prim == &reduce_sum_prim && per_step(made->inputs[0]) && joint.type(made->inputs[0]).dtype == joint.type(v).dtype)
      return terms.push_back({{made->inputs[0], -1}, made}), true;
    return false;
  };
  for (size_t i = 0; i < consts; ++i) {
    if (wrt_of[i] < 0 || grads[static_cast<size_t>(wrt_of[i])] < 0) continue;
    Whole whole{i, {}};
    if (collect(collect, grads[static_cast<size_t>(wrt_of[i])], whole.terms)) {
      wholes.push_back(std::move(whole));
      continue;
    }
    summed.push_back(i);
    sum_params.push_back(back->add_param(joint.type(params[i])));
    args.push_back(zeros(g.type(q.inputs[i])));
  }
  for (size_t i = 0; i < residuals.size(); ++i) {
    bmap[static_cast<size_t>(residuals[i])] = back->add_param(joint.type(residuals[i]));
    args.push_back(stacked[i]);
  }
  for (size_t i = carries; i < carries + ys; ++i) {
    if (ct_of[i] < 0) continue;
    ValueId ct = cts[static_cast<size_t>(ct_of[i])];
    bmap[static_cast<size_t>(ct)] = back->add_param(joint.type(ct));
    args.push_back(q.cotangents[i]);
  }
  for (size_t i = 0; i < joint.nodes().size(); ++i) {
    const Node& n = joint.nodes()[i];
    // Forward values that depend on the consts alone are made again here, the others came in as residuals.
    if (i < forward_nodes && !constant_only[static_cast<size_t>(n.outputs[0])]) continue;
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(bmap[static_cast<size_t>(v)]);
    const ir::OriginScope origin(n.origin);
    back->emit(*n.prim, std::move(in), n.attrs);
    for (size_t k = 0; k < n.outputs.size(); ++k) bmap[static_cast<size_t>(n.outputs[k])] = back->nodes().back().outputs[k];
  }
  auto grad_of = [&](size_t param) -> ValueId {
    ValueId v = wrt_of[param] < 0 ? -1 : grads[static_cast<size_t>(wrt_of[param])];
    return v < 0 ? -1 : bmap[static_cast<size_t>(v)];
  };
  auto zero_in_back = [&](const Type& t) { return broadcast_to(V{back.get(), back->constant(t.dtype, 0)}, t.shape).id; };
  for (size_t i : state_index) {
    ValueId v = grad_of(consts + i);
    back->outputs.push_back(v >= 0 ? v : zero_in_back(joint.type(params[consts + i])));
  }
  for (size_t i = 0; i < summed.size(); ++i)
    back->outputs.push_back(add(V{back.get(), sum_params[i]}, V{back.get(), grad_of(summed[i])}).id);
  std::vector<size_t> x_grads;
  for (size_t i = consts + carries; i < params.size(); ++i)
    if (ValueId v = grad_of(i); v >= 0) x_grads.push_back(i), back->outputs.push_back(v);

  // Where the stack of a value is: among what the backward loop reads already, or a result of it.
  const size_t first_stack = state_index.size() + summed.size();
  auto stack_of = [&](ValueId v) -> std::pair<bool, size_t> {
    for (size_t i = 0; i < residuals.size(); ++i)
      if (residuals[i] == v) return {true, i};
    ValueId made = bmap[static_cast<size_t>(v)];
    for (size_t i = first_stack; i < back->outputs.size(); ++i)
      if (back->outputs[i] == made) return {false, i};
    back->outputs.push_back(made);
    return {false, back->outputs.size() - 1};
  };
  std::vector<std::vector<std::array<std::pair<bool, size_t>, 2>>> sides;
  for (const Whole& w : wholes) {
    sides.emplace_back();
    for (const Term& t : w.terms) sides.back().push_back({stack_of(t.values[0]), t.values[1] >= 0 ? stack_of(t.values[1]) : std::pair<bool, size_t>{}});
  }

  std::vector<V> in;
  for (ValueId v : args) in.push_back({&g, v});
  std::vector<ValueId> result(q.inputs.size(), -1);
  if (in.empty() || back->outputs.empty()) return result;
  auto out = scan<V>(back, in, static_cast<int64_t>(consts), static_cast<int64_t>(state_index.size() + summed.size()), length, !reverse);
  size_t at = 0;
  for (size_t i : state_index) result[consts + i] = out[at++].id;
  for (size_t i : summed) result[i] = out[at++].id;
  for (size_t i : x_grads) result[i] = out[at++].id;
  auto with_time = [](const Ints& axes) {  // the steps are contracted too
    Ints r{0};
    for (int64_t a : axes) r.push_back(a + 1);
    return r;
  };
  for (size_t k = 0; k < wholes.size(); ++k) {
    V sum;
    for (size_t i = 0; i < wholes[k].terms.size(); ++i) {
      const Term& t = wholes[k].terms[i];
      auto stack = [&](size_t s) { return sides[k][i][s].first ? V{&g, stacked[sides[k][i][s].second]} : out[sides[k][i][s].second]; };
      V term = t.values[1] >= 0 ? dot(stack(0), stack(1), with_time(t.node->attrs.ints("lc")), with_time(t.node->attrs.ints("rc")))
                                : reduce_sum(stack(0), with_time(t.node->attrs.ints("axes")));
      term = reshape(term, joint.type(params[wholes[k].param]).shape);
      sum = sum ? add(sum, term) : term;
    }
    result[wholes[k].param] = sum.id;
  }
  return result;
}

const Primitive scan_prim{.name = "scan", .infer = infer_scan, .vjp = vjp_scan,
                          .cpu = make_loop, .cost = [](const ir::KernelRequest& r) {
                            return ir::Cost{static_cast<double>(r.attrs().i("length")) * ir::cost_of(r.attrs().graph("body")).flops, ir::bytes_moved(r)};
                          }};

// Made only by the passes.
static std::vector<Type> infer_together(TypeSpan, const Attrs& a) {
  const Graph& body = a.graph("body");
  std::vector<Type> out;
  for (ValueId v : body.outputs) out.push_back(body.type(v));
  return out;
}
const Primitive together_prim{.name = "together", .infer = infer_together, .cpu = make_loops, .cost = [](const ir::KernelRequest& r) { return ir::cost_of(r.attrs().graph("body")); }};

}  // namespace keras::prims
