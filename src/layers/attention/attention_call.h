// What lives here: what the attention layers' calls have in common: their arguments, masks of positions. No layer.
#pragma once
#include <keras/ops.h>

#include "layers/layer_impl.h"
#include "ops/op_frame.h"
#include "prims/build.h"

namespace keras::layers {

/// A plain true or false among the arguments of a call, by keyword or place.
inline bool call_flag(const Call& c, size_t place, std::string_view name) {
  const core::Arg* a = c.args.find(name);
  if (!a && place < c.args.args.size()) a = &c.args.args[place];
  return a && a->v.index() == 0 && a->value().is_bool() && a->value().as_bool();
}

/// Row and column numbers of a (1, rows, columns) mask.
inline std::pair<Tensor, Tensor> places(int64_t rows, int64_t columns) {
  Shape s{1, rows, columns};
  return {ops::iota(DType::Int32, s, 1), ops::iota(DType::Int32, s, 2)};
}
/// True where a step may look: at itself and what came before.
inline Tensor causal_mask(int64_t rows, int64_t columns) {
  auto [row, column] = places(rows, columns);
  return prims::ew(ir::Ew::greater_equal, row, column);
}
/// True less than `window` steps away, on both sides.
inline Tensor window_mask(int64_t rows, int64_t columns, int64_t window) {
  auto [row, column] = places(rows, columns);
  Tensor distance = prims::ew(ir::Ew::abs, prims::sub(row, column));
  return prims::ew(ir::Ew::less, distance, prims::scalar(distance, static_cast<double>(window)));
}
inline Tensor both(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : prims::ew(ir::Ew::logical_and, a, b); }

inline void check_dropout(const LayerImpl& l, double rate) {
  if (!(rate >= 0 && rate <= 1))
    throw ValueError(ErrorText{.what = l.class_name() + ": dropout is outside [0, 1]",
                               .where = l.where(),
                               .expected = "a number from 0 to 1",
                               .received = float_repr(rate)}
                         .str());
}

}  // namespace keras::layers
