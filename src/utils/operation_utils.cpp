// What lives here: walks over the graph of symbolic tensors.
#include <keras/utils/operation_utils.h>

#include <set>

#include <keras/base/error.h>

#include "core/impl.h"

namespace keras::utils {

Tensors get_source_inputs(const Tensor& tensor) {
  if (!tensor.is_symbolic())
    throw ValueError(
        ErrorText{.what = "a tensor without a graph has no inputs", .where = "get_source_inputs", .expected = "a symbolic tensor"}.str());
  Tensors sources;
  std::set<const core::TensorImpl*> found;
  std::set<std::pair<const core::Operation*, int>> walked;
  auto walk = [&](const Tensor& t, const auto& again) -> void {
    const core::History& h = t.impl()->history;
    Tensors before = h.operation && h.node >= 0 ? h.operation->nodes()[static_cast<size_t>(h.node)].args.tensors() : Tensors{};
    std::erase_if(before, [](const Tensor& b) { return !b.defined() || !b.is_symbolic(); });
    if (before.empty()) {
      if (found.insert(t.impl().get()).second) sources.push_back(t);
      return;
    }
    if (!walked.insert({h.operation.get(), h.node}).second) return;
    for (const Tensor& b : before) again(b, again);
  };
  walk(tensor, walk);
  return sources;
}

}  // namespace keras::utils
