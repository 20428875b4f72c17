// What lives here: how a fused dot or convolution says in its attributes what follows it in the same kernel call.
#pragma once
#include "cpu/dot.h"
#include "ir/graph.h"

namespace keras::prims {

/// "bias" and "add" are flags, "act" is an activation's name as the fusion pass writes it.
inline cpu::Epilogue epilogue_of(const ir::Attrs& a) {
  using Act = cpu::Epilogue::Act;
  cpu::Epilogue e;
  e.bias = a.i_or("bias", 0);
  e.add = a.i_or("add", 0);
  if (a.find("act")) {
    const std::string& act = a.s("act");
    e.act = act == "relu" ? Act::Relu : act == "relu6" ? Act::Relu6 : act == "gelu" ? Act::Gelu : act == "gelu_tanh" ? Act::GeluTanh : act == "tanh" ? Act::Tanh : act == "sigmoid" ? Act::Sigmoid : Act::None;
  }
  return e;
}

}  // namespace keras::prims
