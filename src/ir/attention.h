// What lives here: the form of a whole attention, softmax(steps(q k)) v, as the attributes of its primitive hold it. Nothing here finds
// or computes one.
#pragma once
#include "ir/graph.h"

namespace keras::ir {

/// y[b, t, :] = sum_s after(softmax_s(steps(q[b, t, :] k[b, s, :]))) v[b, s, :], every tensor read and written where it lies. Inputs are
/// q, k, v and the operands that steps name by number. All in float32; masks are bool.
struct AttentionForm {
  /// Where an element stands in its tensor: `offset`, plus each index times the elements from it to the next.
  struct View {
    int64_t offset = 0;
    Ints batch;                   // one per batch axis
    int64_t row = 0, column = 0;  // of an operand of a step: along query and key places
  };
  /// What happens to a row of scores, in order. Fill sets what its mask leaves out to `value`, FillAdd adds it there. Drop multiplies by
  /// bits that are 1 with probability `value`, drawn from the key that is its operand: element n of the draw stands where the view says.
  enum class Kind : int64_t { Scale, Add, Subtract, Fill, FillAdd, Drop };
  static constexpr int64_t kCausal = -1;  // as an operand: the mask that keeps column <= row
  struct Step {
    Kind kind = Kind::Scale;
    double value = 0;
    int64_t operand = kCausal;
    bool inverted = false;  // the mask tells what is left out
    View view{};
    bool has_operand() const { return kind != Kind::Scale && operand != kCausal; }
    bool is_fill() const { return kind == Kind::Fill || kind == Kind::FillAdd; }
  };
  Ints batch;                                        // sizes of the axes that are not summed, in the order of the scores
  int64_t rows = 1, keys = 1, depth = 1, width = 1;  // of the scores, of q and k, of v and y
  View q, k, v, y;
  std::vector<Step> steps;  // from the products to the numbers whose softmax is taken
  std::vector<Step> after;  // from the softmax to the weights: Scale, Fill with 0, Drop
  Shape shape;              // of y
  /// In the gradient: the cotangents of q, k and v lie as q, k and v do, or, where `joint` has axes, in one tensor of that shape as these say.
  View dq, dk, dv;
  Shape joint;

  Attrs attrs() const;
  static AttentionForm from(const Attrs& attrs);
};

}  // namespace keras::ir
