// What lives here: the merging layers. The elementwise ones share their shapes, masks and checks and differ in one enumerator.
#include <keras/layers/merging/merge.h>
#include <keras/ops.h>

#include <fmt/format.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

std::string shapes_text(const std::vector<Shape>& shapes) {
  std::string s;
  for (const Shape& shape : shapes) s += (s.empty() ? "" : ", ") + shape.str();
  return s;
}
std::string size_text(int64_t d) { return d < 0 ? "None" : std::to_string(d); }

/// What all merging layers begin with: a list of inputs, of one batch size.
struct MergeBase : LayerImpl {
  void need_list(const std::vector<Shape>& inputs, size_t least, const char* expected) const {
    if (inputs.size() < least) throw ValueError(ErrorText{.what = class_name_ + " merges a list of inputs", .where = where(), .expected = expected, .received = shapes_text(inputs)}.str());
  }
  void need_two(const std::vector<Shape>& inputs) const {
    if (inputs.size() != 2)
      throw ValueError(ErrorText{.what = class_name_ + " is called on a list of exactly 2 inputs", .where = where(), .received = std::to_string(inputs.size()) + ": " + shapes_text(inputs)}.str());
  }
  void need_one_batch(const std::vector<Shape>& inputs) const {
    int64_t batch = None;
    for (const Shape& s : inputs) {
      if (s.rank() == 0 || s[0] < 0) continue;
      if (batch >= 0 && s[0] != batch)
        throw ValueError(ErrorText{.what = "inputs of different batch sizes can't be merged", .where = where(), .expected = "equal sizes on axis 0", .received = shapes_text(inputs)}.str());
      batch = s[0];
    }
  }
};

// ---- element by element
enum class Merge { Add, Subtract, Multiply, Average, Maximum, Minimum };
constexpr const char* kMergeNames[] = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"};

struct MergeImpl : MergeBase {
  Merge mode;
  MergeImpl(Merge m, const MergeOptions& o) : mode(m) {
    init_common(kMergeNames[static_cast<int>(m)], o);
    symbolic_in_compute_dtype_ = true;
    supports_masking_ = true;
  }

  /// Keras' rule: a size is unknown as soon as one of the inputs leaves it open; the batch is known as soon as one tells it.
  Shape merged(const std::vector<Shape>& inputs) const {
    if (mode == Merge::Subtract) need_two(inputs);
    need_list(inputs, 1, "layer({a, b, …})");
    need_one_batch(inputs);
    int rank = 0;
    int64_t batch = None;
    for (const Shape& s : inputs) {
      rank = std::max(rank, s.rank());
      if (s.rank() && s[0] >= 0) batch = s[0];
    }
    Shape out(std::vector<int64_t>(static_cast<size_t>(rank), 1));
    if (rank == 0) return out;
    out[0] = batch;
    for (int axis = 1; axis < rank; ++axis) {
      int64_t size = 1;
      for (const Shape& s : inputs) {
        int own = axis - (rank - s.rank());
        int64_t d = own >= 1 ? s[own] : 1;
        if (size < 0 || d < 0) size = None;
        else if (size == 1) size = d;
        else if (d != 1 && d != size)
          throw ValueError(ErrorText{.what = fmt::format("the inputs' shapes can't be merged: sizes {} and {} on axis {} of the result", size, d, axis), .where = where(),
                                     .expected = "equal sizes, or 1, after the batch axis", .received = shapes_text(inputs)}.str());
      }
      out[axis] = size;
    }
    return out;
  }
  void build(const std::vector<Shape>& inputs) override { merged(inputs); }
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<Shape> shapes;
    for (const Tensor& t : args.inputs()) shapes.push_back(t.shape());
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    types.at(0).shape = merged(shapes);
    return types;
  }

  /// The inputs at one rank; as in Keras, one that had to be reshaped has lost its mask.
  static Tensors one_rank(const Tensors& inputs, Tensors& masks) {
    int rank = 0;
    for (const Tensor& t : inputs) rank = std::max(rank, t.rank());
    Tensors out;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Shape s = inputs[i].shape();
      if (s.rank() < rank && i < masks.size()) masks[i] = Tensor();
      while (s.rank() < rank) s.insert(std::min(1, s.rank()), 1);
      out.push_back(prims::reshape(inputs[i], s));
    }
    return out;
  }
  /// A mask (batch, steps) in the shape of the tensor it belongs to.
  static Tensor full_mask(const Tensor& mask, const Tensor& x) {
    if (!mask.defined()) return {};
    Shape s = mask.shape();
    while (s.rank() < x.rank()) s.push_back(1);
    return prims::broadcast_to(prims::reshape(mask, s), x.shape());
  }
  Tensor where_not(const Tensor& mask, const Tensor& x, const Tensor& otherwise) const { return mask.defined() ? ops::where(mask, x, otherwise) : x; }

  Tensors call(const Call& c) override {
    Tensors masks = c.masks, x = one_rank(c.inputs, masks);
    std::vector<Shape> shapes;
    for (const Tensor& t : x) shapes.push_back(t.shape());
    merged(shapes);
    masks.resize(x.size());
    Tensor y = x[0];
    switch (mode) {
      case Merge::Add:
      case Merge::Average:
        for (size_t i = 1; i < x.size(); ++i) y = ops::add(y, x[i]);
        return {mode == Merge::Average ? ops::divide(y, Tensor(static_cast<int64_t>(x.size()))) : y};
      case Merge::Subtract: return {ops::subtract(x[0], x[1])};
      case Merge::Multiply: {
        Tensor product, covered;
        bool all = true;
        for (size_t i = 0; i < x.size(); ++i) {
          Tensor m = full_mask(masks[i], x[i]);
          Tensor factor = where_not(m, x[i], prims::scalar(x[i], 1));
          all &= m.defined();
          if (m.defined()) covered = covered.defined() ? ops::logical_or(covered, m) : m;
          product = product.defined() ? ops::multiply(product, factor) : factor;
        }
        return {all ? where_not(covered, product, prims::scalar(product, 0)) : product};
      }
      case Merge::Maximum:
      case Merge::Minimum: {
        Tensor known = full_mask(masks[0], x[0]);  // where y holds something that is not masked
        for (size_t i = 1; i < x.size(); ++i) {
          Tensor m = full_mask(masks[i], x[i]);
          Tensor next = where_not(m, x[i], y);
          y = where_not(known, y, next);
          known = m.defined() && known.defined() ? ops::logical_or(known, m) : Tensor();
          y = mode == Merge::Maximum ? ops::maximum(y, next) : ops::minimum(y, next);
        }
        return {y};
      }
    }
    return {};
  }
  Tensors compute_mask(const Call& c, size_t) override {
    Tensor all;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      Tensor m = i < c.masks.size() ? c.masks[i] : Tensor();
      if (!m.defined()) return {};
      all = all.defined() ? ops::logical_or(all, m) : m;
    }
    return {all};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    const int rank = out[0].rank();
    for (int i = 0; i < rank; ++i) {
      if (i == 0) {
        e.axes.push_back("batch, as it came in");
        continue;
      }
      std::string sizes;
      bool equal = true;
      for (const Shape& s : in) {
        int own = i - (rank - s.rank());
        int64_t d = own >= 1 ? s[own] : 1;
        sizes += (sizes.empty() ? "" : ", ") + size_text(d);
        equal &= d == out[0][i];
      }
      e.axes.push_back(equal ? "the same in all inputs: " + class_name_ + " works element by element" : "the inputs have " + sizes + " here, and a 1 is repeated to fit the others");
    }
    e.notes.push_back(class_name_ + " has no parameters");
    return e;
  }
};

// ---- Concatenate
struct ConcatenateImpl : MergeBase {
  ConcatenateOptions o;
  explicit ConcatenateImpl(const ConcatenateOptions& options) : o(options) {
    init_common("Concatenate", o);
    symbolic_in_compute_dtype_ = true;
    supports_masking_ = true;
  }
  int axis_in(const Shape& s) const { return normalize_axis(static_cast<int>(o.axis), s.rank(), "Concatenate: axis"); }
  Shape joined(const std::vector<Shape>& inputs) const {
    need_list(inputs, 1, "layer({a, b, …})");
    Shape out = inputs[0];
    const int axis = axis_in(out);
    for (size_t i = 1; i < inputs.size(); ++i) {
      const Shape& s = inputs[i];
      bool fits = s.rank() == out.rank();
      for (int k = 0; fits && k < s.rank(); ++k)
        if (k != axis && s[k] >= 0 && inputs[0][k] >= 0 && s[k] != inputs[0][k]) fits = false;
      if (!fits)
        throw ValueError(ErrorText{.what = "Concatenate needs inputs with matching shapes except for the concatenation axis", .where = where(),
                                   .expected = fmt::format("equal sizes on all axes but axis {}", axis), .received = shapes_text(inputs)}.str());
      out[axis] = out[axis] < 0 || s[axis] < 0 ? None : out[axis] + s[axis];
    }
    return out;
  }
  void build(const std::vector<Shape>& inputs) override { joined(inputs); }
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<Shape> shapes;
    for (const Tensor& t : args.inputs()) shapes.push_back(t.shape());
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    types.at(0).shape = joined(shapes);
    return types;
  }
  Tensors call(const Call& c) override {
    std::vector<Shape> shapes;
    for (const Tensor& t : c.inputs) shapes.push_back(t.shape());
    joined(shapes);
    return {ops::concatenate(c.inputs, static_cast<int>(o.axis))};
  }
  Tensors compute_mask(const Call& c, size_t) override {
    Tensors masks;
    bool any = false;
    for (const Tensor& m : c.masks) any |= m.defined();
    if (!any) return {};
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      const Tensor& x = c.inputs[i];
      Tensor m = i < c.masks.size() ? c.masks[i] : Tensor();
      if (!m.defined()) m = ops::ones_like(x, DType::Bool);
      else if (m.rank() < x.rank()) m = ops::logical_or(ops::expand_dims(m, -1), ops::zeros_like(x, DType::Bool));
      masks.push_back(m);
    }
    return {ops::any(ops::concatenate(masks, static_cast<int>(o.axis)), -1)};
  }
  Dict own_config() const override { return serial::to_config(o); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    const int axis = axis_in(out[0]);
    std::string sum;
    for (const Shape& s : in) sum += (sum.empty() ? "" : " + ") + size_text(s[axis]);
    for (int i = 0; i < out[0].rank(); ++i)
      e.axes.push_back(i == axis ? fmt::format("axis={}: the inputs lie one after the other here, {} = {}", o.axis, sum, size_text(out[0][i])) : i == 0 ? "batch, as it came in" : "the same in all inputs");
    e.notes.push_back("Concatenate has no parameters");
    return e;
  }
};

// ---- Dot
struct DotImpl : MergeBase {
  Axes axes;
  DotOptions o;
  DotImpl(const Axes& a, const DotOptions& options) : axes(a), o(options) {
    init_common("Dot", o);
    if (axes.all() || (!axes.single() && axes.list().size() != 2))
      throw ValueError(ErrorText{.what = "Dot: axes is one axis for both inputs, or one for each", .where = where(), .expected = "Dot(1) or Dot({1, 2})", .received = std::to_string(axes.list().size()) + " axes"}.str());
    supports_masking_ = true;
  }
  /// The contracted axis of both inputs; checks everything that can be wrong.
  std::pair<int, int> contracted(const std::vector<Shape>& inputs) const {
    need_two(inputs);
    need_one_batch(inputs);
    int a[2];
    for (int i = 0; i < 2; ++i) {
      const Shape& s = inputs[static_cast<size_t>(i)];
      int given = axes.single() ? axes.list()[0] : axes.list()[static_cast<size_t>(i)];
      if (s.rank() < 2)
        throw ValueError(ErrorText{.what = "Dot needs a batch axis and one more in each input", .where = where(), .expected = "rank 2 or more", .received = shapes_text(inputs)}.str());
      a[i] = normalize_axis(given, s.rank(), "Dot: axes");
      if (a[i] == 0)
        throw ValueError(ErrorText{.what = "Dot can't contract axis 0, the batch", .where = where(), .received = fmt::format("axes with {} for inputs of shapes {}", given, shapes_text(inputs)),
                                   .fix = "if the inputs have no batch axis, add one: keras::ops::expand_dims(x, 0)"}.str());
    }
    int64_t p = inputs[0][a[0]], q = inputs[1][a[1]];
    if (p >= 0 && q >= 0 && p != q)
      throw ValueError(ErrorText{.what = fmt::format("Dot: the contracted axes have different sizes, {} on axis {} and {} on axis {}", p, a[0], q, a[1]), .where = where(), .expected = "equal sizes",
                                 .received = shapes_text(inputs)}.str());
    return {a[0], a[1]};
  }
  void build(const std::vector<Shape>& inputs) override { contracted(inputs); }
  Tensors call(const Call& c) override {
    std::vector<Shape> shapes;
    for (const Tensor& t : c.inputs) shapes.push_back(t.shape());
    auto [a, b] = contracted(shapes);
    Tensor x = prims::cast(c.inputs[0], compute_dtype_), y = prims::cast(c.inputs[1], compute_dtype_);
    if (o.normalize) {
      x = ops::normalize(x, a);
      y = ops::normalize(y, b);
    }
    Tensor z = prims::dot(x, y, {a}, {b}, {0}, {0});
    return {z.rank() == 1 ? prims::reshape(z, Shape{z.shape()[0], 1}) : z};
  }
  Tensors compute_mask(const Call&, size_t) override { return {}; }
  Dict own_config() const override {
    List both;
    for (int a : axes.list()) both.push_back(a);
    return {{"axes", axes.single() ? both[0] : Value(both)}, {"normalize", o.normalize}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    auto [a, b] = contracted(in);
    Explanation e;
    e.axes.push_back("batch, as it came in: samples are multiplied one by one");
    for (int i = 1; i < in[0].rank(); ++i)
      if (i != a) e.axes.push_back(fmt::format("axis {} of the first input", i));
    for (int i = 1; i < in[1].rank(); ++i)
      if (i != b) e.axes.push_back(fmt::format("axis {} of the second input", i));
    if (static_cast<int>(e.axes.size()) < out[0].rank()) e.axes.push_back("one number per sample: two vectors give their product");
    e.notes.push_back(fmt::format("axis {} of the first input and axis {} of the second, both {}, are multiplied and summed away; Dot has no parameters", a, b, size_text(in[0][a])));
    return e;
  }
};

}  // namespace

Add::Add(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Add, o)) {}
Layer Add::from_config(const Dict& c) { return Add(common_options_from<MergeOptions>(c)); }
Subtract::Subtract(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Subtract, o)) {}
Layer Subtract::from_config(const Dict& c) { return Subtract(common_options_from<MergeOptions>(c)); }
Multiply::Multiply(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Multiply, o)) {}
Layer Multiply::from_config(const Dict& c) { return Multiply(common_options_from<MergeOptions>(c)); }
Average::Average(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Average, o)) {}
Layer Average::from_config(const Dict& c) { return Average(common_options_from<MergeOptions>(c)); }
Maximum::Maximum(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Maximum, o)) {}
Layer Maximum::from_config(const Dict& c) { return Maximum(common_options_from<MergeOptions>(c)); }
Minimum::Minimum(const MergeOptions& o) : Layer(make_impl<MergeImpl>(Merge::Minimum, o)) {}
Layer Minimum::from_config(const Dict& c) { return Minimum(common_options_from<MergeOptions>(c)); }
Concatenate::Concatenate(const ConcatenateOptions& o) : Layer(make_impl<ConcatenateImpl>(o)) {}
static ConcatenateOptions along(int64_t axis, ConcatenateOptions o) {
  o.axis = axis;
  return o;
}
Concatenate::Concatenate(int64_t axis, ConcatenateOptions o) : Concatenate(along(axis, std::move(o))) {}
Layer Concatenate::from_config(const Dict& c) { return Concatenate(options_from<ConcatenateOptions>(c, "Concatenate")); }
Dot::Dot(const Axes& axes, const DotOptions& o) : Layer(make_impl<DotImpl>(axes, o)) {}
Layer Dot::from_config(const Dict& c) {
  const Value& v = c.at("axes");
  std::vector<int> axes;
  if (v.is_list())
    for (int64_t a : v.as_ints()) axes.push_back(static_cast<int>(a));
  return Dot(v.is_list() ? Axes(axes) : Axes(v.as_int()), options_from<DotOptions>(c, "Dot"));
}

Tensor add(const Tensors& inputs, const MergeOptions& o) { return Add(o)(inputs); }
Tensor subtract(const Tensors& inputs, const MergeOptions& o) { return Subtract(o)(inputs); }
Tensor multiply(const Tensors& inputs, const MergeOptions& o) { return Multiply(o)(inputs); }
Tensor average(const Tensors& inputs, const MergeOptions& o) { return Average(o)(inputs); }
Tensor maximum(const Tensors& inputs, const MergeOptions& o) { return Maximum(o)(inputs); }
Tensor minimum(const Tensors& inputs, const MergeOptions& o) { return Minimum(o)(inputs); }
Tensor concatenate(const Tensors& inputs, int64_t axis, ConcatenateOptions o) { return Concatenate(axis, std::move(o))(inputs); }
Tensor dot(const Tensors& inputs, const Axes& axes, const DotOptions& o) { return Dot(axes, o)(inputs); }

}  // namespace keras::layers
