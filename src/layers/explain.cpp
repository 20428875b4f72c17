// What lives here: a layer's answer to "why is this my output shape, and why so many parameters?", as text. What is special about a
// layer is in its own `explain`.
#include <fmt/format.h>

#include "layers/layer_impl.h"

namespace keras {

namespace layers {

static std::string size_text(int64_t d) { return d < 0 ? "None" : std::to_string(d); }

Explanation LayerImpl::explain(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const {
  Explanation e;
  const Shape in = inputs.empty() ? Shape() : inputs[0], out = outputs.empty() ? Shape() : outputs[0];
  for (int i = 0; i < out.rank(); ++i) {
    if (i == 0 && in.rank() > 0 && in[0] == out[0]) e.axes.push_back("batch, as it came in");
    else if (i < in.rank() && in[i] == out[i] && in.rank() == out.rank()) e.axes.push_back("kept from the input");
    else if (i < in.rank() && in.rank() == out.rank()) e.axes.push_back(fmt::format("{} in the input; {} makes it {}", size_text(in[i]), class_name_, size_text(out[i])));
    else e.axes.push_back("made by " + class_name_);
  }
  for (const Variable& v : weights()) e.parameters.push_back(fmt::format("{} {} = {}", v.path(), v.shape().str(), v.shape().numel()));
  if (e.parameters.empty()) e.notes.push_back(class_name_ + " has no parameters");
  return e;
}

static std::string explanation_text(const LayerImpl& l, const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) {
  auto list = [](const std::vector<Shape>& shapes) {
    std::string s;
    for (const Shape& shape : shapes) s += (s.empty() ? "" : ", ") + shape.str();
    return s;
  };
  std::string text = fmt::format("{} ({}): {} -> {}\n", l.name(), l.class_name(), list(inputs), list(outputs));
  Explanation e = l.explain(inputs, outputs);
  for (size_t i = 0; i < e.axes.size(); ++i) {
    std::string size = !outputs.empty() && static_cast<int>(i) < outputs[0].rank() ? " = " + size_text(outputs[0][static_cast<int>(i)]) : "";
    text += fmt::format("  axis {}{}: {}\n", i, size, e.axes[i]);
  }
  int64_t total = 0;
  for (const Variable& v : l.weights()) total += v.shape().numel();
  if (!e.parameters.empty()) text += fmt::format("  {} parameters:\n", total);
  for (const std::string& p : e.parameters) text += "    " + p + "\n";
  for (const std::string& n : e.notes) text += "  " + n + "\n";
  return text;
}

}  // namespace layers

std::string Layer::explain(const Shape& input) const { return layers::explanation_text(*impl_, {input}, compute_output_shapes({input})); }

std::string Layer::explain() const {
  std::vector<Shape> in, out;
  if (!impl_->nodes().empty()) {
    const core::Node& node = impl_->nodes().back();
    for (const Tensor& t : node.args.inputs()) in.push_back(t.shape());
    for (const ir::Type& t : node.output_types) out.push_back(t.shape);
  } else if (!impl_->built_shapes_.empty()) {
    in = impl_->built_shapes_;
    out = compute_output_shapes(in);
  } else {
    throw ValueError(ErrorText{.what = "there is nothing to explain yet: the layer has not been called", .where = "layer \"" + name() + "\" (" + class_name() + ")",
                               .fix = "call it, or give an input shape: explain({None, 784})"}.str());
  }
  return layers::explanation_text(*impl_, in, out);
}

}  // namespace keras
