// What lives here: how a fused dot or convolution says in its attributes what follows it in the same kernel call.
#pragma once
#include <string_view>
#include <utility>

#include "cpu/dot.h"
#include "ir/graph.h"

namespace keras::prims {

/// "bias" and "add" are flags, "act" is an activation's name as the fusion pass writes it, "alpha" its number.
inline cpu::Epilogue epilogue_of(const ir::Attrs& a) {
  using Act = cpu::Epilogue::Act;
  static constexpr std::pair<std::string_view, Act> kNames[] = {{"relu", Act::Relu},       {"relu6", Act::Relu6}, {"gelu", Act::Gelu},
                                                                {"gelu_tanh", Act::GeluTanh}, {"tanh", Act::Tanh},   {"sigmoid", Act::Sigmoid},
                                                                {"elu", Act::Elu},         {"swish", Act::Swish}, {"hard_swish", Act::HardSwish}};
  cpu::Epilogue e;
  e.bias = a.i_or("bias", 0);
  e.add = a.i_or("add", 0);
  if (a.find("act")) {
    for (const auto& [name, act] : kNames)
      if (a.s("act") == name) e.act = act;
  }
  if (a.find("alpha")) e.alpha = static_cast<float>(a.f("alpha"));
  return e;
}

/// What the epilogue adds to each element: bias, residual and activation one operation each.
inline double epilogue_flops(const ir::KernelRequest& r) {
  const double each = static_cast<double>(r.attrs().i_or("bias", 0) + r.attrs().i_or("add", 0) + (r.attrs().find("act") ? 1 : 0));
  return each * static_cast<double>(r.out().shape.numel());
}

}  // namespace keras::prims
