// What lives here: finding attentions in a graph, shared by the gradient pass and the pass that replaces them. Nothing is changed here.
#pragma once
#include "ir/attention.h"
#include "passes/passes.h"

namespace keras::passes {

/// softmax(steps(q k)) v as it stands in a graph.
struct AttentionSite {
  ValueId y = -1;                             // what one node can make instead
  std::vector<ValueId> inputs;                // q, k, v, operands
  std::vector<std::pair<const ir::Primitive*, ValueId>> q_scales;  // q is multiplied or divided by these one-element values first
  ir::AttentionForm form;
};

/// All attentions whose inner values nothing that `roots` needs reads, in the order of their results. `kept` values must not be inner.
std::vector<AttentionSite> find_attentions(const Graph& graph, const std::vector<ValueId>& roots, const std::vector<ValueId>& kept = {});

/// Appends the attention of a site as the last node; `inputs` and `scales` stand for the site's inputs and the values of its q_scales.
/// Returns q as it came and after each scale.
std::vector<ValueId> emit_attention(Graph& graph, const AttentionSite& site, std::vector<ValueId> inputs, const std::vector<ValueId>& scales);

}  // namespace keras::passes
