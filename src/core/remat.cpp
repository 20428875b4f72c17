// What lives here: names of layers on what is traced, and the scopes of rematerialisation.
#include <keras/core/remat.h>

#include "core/impl.h"

namespace keras {

namespace core {

static thread_local std::vector<std::shared_ptr<const RematMode>> g_remat_scopes;
std::shared_ptr<const RematMode> current_remat_mode() { return g_remat_scopes.empty() ? nullptr : g_remat_scopes.back(); }

bool RematMode::applies(const Tensors& outputs) const {
  if (mode == "full") return true;
  if (mode != "larger_than") return false;
  int64_t size = 0;
  for (const Tensor& t : outputs) size += std::max<int64_t>(t.shape().numel(), 0);
  return size > output_size_threshold;
}

// Nothing is kept for gradients of operations outside of a trace, or while shapes alone are asked for.
static bool named() { return current_trace() && !current_trace()->abstract; }

NameScope::NameScope(const std::string& name) {
  if (!named()) return;
  const ir::OriginPtr& outer = ir::current_origin();
  auto origin = std::make_shared<ir::Origin>();
  origin->name = outer && !outer->name.empty() ? outer->name + "/" + name : name;
  if (outer) origin->remat = outer->remat;
  scope_.emplace(std::move(origin));
}

RematRegion::RematRegion() {
  if (!named()) return;
  const ir::OriginPtr& outer = ir::current_origin();
  auto origin = outer ? std::make_shared<ir::Origin>(*outer) : std::make_shared<ir::Origin>();
  auto remat = std::make_shared<ir::Remat>();
  remat->outer = origin->remat;
  origin->remat = remat;
  remat_ = std::move(remat);
  scope_ = std::make_shared<ir::OriginScope>(std::move(origin));
}
RematRegion::~RematRegion() = default;
void RematRegion::cancel() {
  if (remat_) static_cast<ir::Remat*>(remat_.get())->off = true;
}

static thread_local bool g_activations = false;
RematActivations::RematActivations(bool on) : before_(g_activations) { g_activations = on; }
RematActivations::~RematActivations() { g_activations = before_; }
bool RematActivations::on() { return g_activations; }

}  // namespace core

RematScope::RematScope(const RematScopeOptions& options) {
  if (options.mode && *options.mode != "full" && *options.mode != "activations" && *options.mode != "larger_than" &&
      *options.mode != "list_of_layers")
    throw ValueError(ErrorText{.what = "the mode of the RematScope is unknown",
                               .expected = "\"full\", \"activations\", \"larger_than\", \"list_of_layers\" or none",
                               .received = *options.mode}
                         .str());
  core::g_remat_scopes.push_back(std::make_shared<const core::RematMode>(
      core::RematMode{options.mode.value_or(""), options.output_size_threshold, options.layer_names}));
}
RematScope::~RematScope() { core::g_remat_scopes.pop_back(); }

}  // namespace keras
