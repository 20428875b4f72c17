// What lives here: a layer's answer to "why is this my output shape, and why so many parameters?", as text. What is special about a
// layer is in its own `explain`; how models walk their layers is in models/explain.cpp.
#include "layers/explain.h"

#include <fmt/format.h>

namespace keras {

namespace layers {

std::string size_text(int64_t d) { return d < 0 ? "None" : std::to_string(d); }

std::string shapes_text(const std::vector<Shape>& shapes) {
  std::string s;
  for (const Shape& shape : shapes) s += (s.empty() ? "" : ", ") + shape.str();
  return s;
}

std::string explained_call(const std::string& name, const std::string& class_name, const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) {
  if (inputs.empty()) return fmt::format("{} ({}): {}\n", name, class_name, shapes_text(outputs));
  return fmt::format("{} ({}): {} -> {}\n", name, class_name, shapes_text(inputs), shapes_text(outputs));
}

std::vector<std::string> compared_axes(const std::vector<Shape>& ins, const Shape& out, const std::string& maker) {
  std::vector<std::string> axes;
  const Shape in = ins.empty() ? Shape() : ins[0];
  bool same_rank = in.rank() == out.rank();
  for (int i = 0; i < out.rank(); ++i) {
    if (i == 0 && in.rank() > 0 && in[0] == out[0]) axes.push_back("batch, as it came in");
    else if (same_rank && in[i] == out[i]) axes.push_back("kept from the input");
    else if (same_rank) axes.push_back(fmt::format("{} in the input; {} makes it {}", size_text(in[i]), maker, size_text(out[i])));
    else axes.push_back("made by " + maker);
  }
  return axes;
}

std::string explained_axes(const std::vector<std::string>& sentences, const Shape& out) {
  std::string text;
  for (size_t i = 0; i < sentences.size(); ++i) {
    std::string size = static_cast<int>(i) < out.rank() ? " = " + size_text(out[static_cast<int>(i)]) : "";
    text += fmt::format("  axis {}{}: {}\n", i, size, sentences[i]);
  }
  return text;
}

std::string indented(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1);
    std::string line = text.substr(at, end + 1 - at);
    out += (line == "\n" ? "" : "  ") + line;
    at = end + 1;
  }
  return out;
}

int64_t parameter_count(const LayerImpl& layer) {
  int64_t n = 0;
  for (const Variable& v : layer.weights()) n += v.shape().numel();
  return n;
}

static std::string weight_text(const Variable& v, const std::string& name) {
  std::string product;
  for (int64_t d : v.shape()) product += (product.empty() ? "" : " x ") + std::to_string(d);
  return fmt::format("{} {}: {}{}", name, v.shape().str(), v.shape().rank() > 1 ? product + " = " : "", v.shape().numel());
}

Explanation LayerImpl::explain(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const {
  Explanation e;
  const Shape out = outputs.empty() ? Shape() : outputs[0];
  if (inputs.empty() && batch_input_shape_) {
    // Where a graph begins: the shape is what the user declared.
    for (int i = 0; i < out.rank(); ++i)
      e.axes.push_back(i ? "as declared" : out[0] < 0 ? "batch: the number of samples fed at once; Input adds this axis to the shape that it is given" : "batch, of a fixed number of samples");
    if (out.rank() > 0) e.notes.push_back(fmt::format("one sample has the shape {}, of rank {}; with the batch axis the rank is {}", out.slice(1).str(), out.rank() - 1, out.rank()));
    return e;
  }
  e.axes = compared_axes(inputs, out, class_name_);
  std::vector<const LayerImpl*> inside;
  for (const auto& l : sublayers()) inside.push_back(l.get());
  std::vector<Variable> own = own_trainable_;
  own.insert(own.end(), own_non_trainable_.begin(), own_non_trainable_.end());
  for (const Variable& v : own) e.parameters.push_back(weight_text(v, v.name()));
  for (const LayerImpl* l : inside)
    if (int64_t n = parameter_count(*l)) e.parameters.push_back(fmt::format("{} ({}) inside: {}", l->name(), l->class_name(), n));
  if (e.parameters.empty()) e.notes.push_back(class_name_ + " has no parameters");
  return e;
}

std::string LayerImpl::explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const {
  std::string text = explained_call(name(), class_name(), inputs, outputs);
  Explanation e = explain(inputs, outputs);
  text += explained_axes(e.axes, outputs.empty() ? Shape() : outputs[0]);
  for (size_t i = 1; i < outputs.size(); ++i) text += fmt::format("  output {} of {}: {}\n", i + 1, outputs.size(), outputs[i].str());
  if (!e.parameters.empty()) {
    int64_t frozen = 0;
    for (const Variable& v : non_trainable_weights()) frozen += v.shape().numel();
    int64_t total = parameter_count(*this);
    text += fmt::format("  {} parameter{}{}:\n", total, total == 1 ? "" : "s", frozen == 0 ? "" : frozen == total ? ", not trained" : fmt::format(", {} of them not trained", frozen));
  }
  for (const std::string& p : e.parameters) text += "    " + p + "\n";
  for (const std::string& n : e.notes) text += "  " + n + "\n";
  // What a user's class does inside is known by the layers that it called.
  if (is_user_class())
    for (const auto& l : sublayers())
      if (!l->built_shapes_.empty()) text += "\n" + indented(l->explanation(l->built_shapes_, Layer(l).compute_output_shapes(l->built_shapes_)));
  return text;
}

}  // namespace layers

std::string Layer::explain(const Shape& input) const {
  std::vector<Shape> out = compute_output_shapes({input});
  return impl_->explanation({input}, out);
}

std::string Layer::explain() const {
  if (!impl_->nodes().empty()) {
    const core::Node& node = impl_->nodes().back();
    std::vector<Shape> out;
    for (const ir::Type& t : node.output_types) out.push_back(t.shape);
    return impl_->explanation(impl_->build_shapes(node.args), out);
  }
  if (!impl_->built_shapes_.empty()) return impl_->explanation(impl_->built_shapes_, compute_output_shapes(impl_->built_shapes_));
  if (impl_->batch_input_shape_) return explain(*impl_->batch_input_shape_);
  if (impl_->is_model() && impl_->built_) return impl_->explanation({}, {});
  throw ValueError(ErrorText{.what = "there is nothing to explain yet: the layer has not been called", .where = impl_->where(),
                             .fix = "call it, or give an input shape: explain({None, 784})"}.str());
}

}  // namespace keras
