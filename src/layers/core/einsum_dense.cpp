// What lives here: EinsumDense: what an equation and two shapes say about kernel and bias.
#include <keras/layers/core/einsum_dense.h>
#include <keras/ops.h>

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "layers/core/lora.h"
#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

struct Equation {
  std::string input, kernel, output;  // letters, without what is elided
  bool elided_left = false, elided_right = false;
};
/// "[X],[Y]->[Z]", with "..." on the left or on the right of both X and Z.
std::optional<Equation> parse(const std::string& text) {
  size_t comma = text.find(','), arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma) return std::nullopt;
  Equation e{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1), text.substr(arrow + 2)};
  auto take = [](std::string& s, bool left) {
    if (s.size() < 3 || s.compare(left ? 0 : s.size() - 3, 3, "...") != 0) return false;
    s.erase(left ? 0 : s.size() - 3, 3);
    return true;
  };
  bool left_in = take(e.input, true), left_out = take(e.output, true), right_in = take(e.input, false), right_out = take(e.output, false);
  if (left_in != left_out || right_in != right_out || (left_in && right_in)) return std::nullopt;
  e.elided_left = left_in, e.elided_right = right_in;
  for (const std::string* s : {&e.input, &e.kernel, &e.output})
    if (s->empty() || !std::all_of(s->begin(), s->end(), [](unsigned char c) { return std::isalpha(c); })) return std::nullopt;
  return e;
}

struct EinsumDenseImpl : LayerImpl, LoraHost {
  std::string equation;
  Shape partial_output;
  EinsumDenseOptions o;
  Equation e;
  Variable kernel, bias;

  EinsumDenseImpl(const std::string& eq, const Shape& output_shape, const EinsumDenseOptions& options) : equation(eq), partial_output(output_shape), o(options) {
    init_common("EinsumDense", o);
    auto parsed = parse(equation);
    if (!parsed)
      throw ValueError(ErrorText{.what = "EinsumDense: invalid equation", .where = where(), .expected = "[X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]...", .received = "\"" + equation + "\""}.str());
    e = *parsed;
    for (char c : e.output)
      if (e.input.find(c) == std::string::npos && e.kernel.find(c) == std::string::npos) wrong(fmt::format("the output has a letter '{}' that neither the input nor the kernel has", c));
    for (char c : e.kernel)
      if (e.input.find(c) == std::string::npos && e.output.find(c) == std::string::npos) wrong(fmt::format("the kernel has a letter '{}' that neither the input nor the output has", c));
    if (o.bias_axes)
      for (char c : *o.bias_axes)
        if (e.output.find(c) == std::string::npos) wrong(fmt::format("bias_axes has a letter '{}' that the output has not", c));
    read_lora(o.lora_rank, o.lora_alpha, *this);
    o.kernel_initializer.object();
    o.bias_initializer.object();
    activity_regularizer_ = o.activity_regularizer;
  }
  [[noreturn]] void wrong(const std::string& what, const std::string& received = "") const {
    throw ValueError(ErrorText{.what = "EinsumDense: " + what, .where = where(), .received = "equation \"" + equation + "\"" + (received.empty() ? "" : ", " + received)}.str());
  }

  struct Shapes {
    Shape kernel, bias, output;
    std::vector<int64_t> input_axes, output_axes;
  };
  Shapes shapes_for(const Shape& input) const {
    const int n = static_cast<int>(e.input.size()), elided = input.rank() - n;
    if (elided < 0 || (elided > 0 && !e.elided_left && !e.elided_right))
      wrong(fmt::format("the input has another rank than the equation's \"{}\"", e.input), "input " + input.str());
    Shape out{input[0]};
    if (e.elided_left)
      for (int i = 1; i < elided; ++i) out.push_back(input[i]);
    for (int64_t d : partial_output) out.push_back(d);
    if (!e.elided_left)
      for (int i = n; i < input.rank(); ++i) out.push_back(input[i]);
    const int skipped = e.elided_left ? elided : 0;
    if (out.rank() != static_cast<int>(e.output.size()) + elided)
      wrong(fmt::format("output_shape {} has another rank than the equation's \"{}\" asks for without the batch", partial_output.str(), e.output), "input " + input.str());
    auto in_size = [&](size_t i) { return input[static_cast<int>(i) + skipped]; };
    auto out_size = [&](size_t i) -> int64_t& { return out[static_cast<int>(i) + skipped]; };
    for (size_t i = 0; i < e.input.size(); ++i)
      if (size_t k = e.output.find(e.input[i]); k != std::string::npos) {
        int64_t d = out_size(k);
        if (d >= 0 && d != in_size(i))
          wrong(fmt::format("input and output differ in the size of '{}': {} and {}", e.input[i], in_size(i) < 0 ? "None" : std::to_string(in_size(i)), d), "input " + input.str());
      }
    Shapes s;
    s.output = out;
    for (size_t i = 0; i < e.kernel.size(); ++i) {
      if (size_t k = e.output.find(e.kernel[i]); k != std::string::npos) {
        s.kernel.push_back(out_size(k));
        s.output_axes.push_back(static_cast<int64_t>(i));
      } else {
        s.kernel.push_back(in_size(e.input.find(e.kernel[i])));
        s.input_axes.push_back(static_cast<int64_t>(i));
      }
    }
    if (o.bias_axes) {
      size_t first = e.output.find_first_of(*o.bias_axes);
      for (size_t i = first; i < e.output.size(); ++i) s.bias.push_back(o.bias_axes->find(e.output[i]) != std::string::npos ? out_size(i) : 1);
      if (!e.elided_left)
        for (int i = 0; i < elided; ++i) s.bias.push_back(1);
    }
    return s;
  }

  /// An axis that output_shape leaves open stays so until there are numbers.
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    types.at(0).shape = shapes_for(args.inputs().at(0).shape()).output;
    return types;
  }
  void build(const std::vector<Shape>& inputs) override {
    Shapes s = shapes_for(inputs[0]);
    // The fans of a kernel that is no matrix are those of the axes that face the input and the output.
    Initializer start = [init = o.kernel_initializer.object(), in = s.input_axes, out = s.output_axes](const Shape& shape, DType dtype) {
      return init->call_with_axes(shape, dtype, in, out);
    };
    kernel = add_weight({.name = "kernel", .shape = s.kernel, .initializer = o.kernel_initializer ? start : Initializer(), .regularizer = o.kernel_regularizer, .constraint = o.kernel_constraint});
    if (o.bias_axes) bias = add_weight({.name = "bias", .shape = s.bias, .initializer = o.bias_initializer, .regularizer = o.bias_regularizer, .constraint = o.bias_constraint});
    input_spec_ = {{.ndim = inputs[0].rank()}};
    if (lora_rank) enable_lora(*lora_rank, lora_alpha, "he_uniform", "zeros");
  }
  Variable lora_target() const override { return kernel; }
  void enable_lora(int64_t rank, const Value& alpha, const Initializer& a, const Initializer& b) {
    LoraHost::enable_lora(*this, rank, alpha, a, b, o.kernel_regularizer, o.kernel_constraint);
  }
  Tensors call(const Call& c) override {
    Tensor x = prims::cast(c.input(), compute_dtype_);
    Tensor y = ops::einsum(equation, {x, lora_value(compute_dtype_)});
    if (o.bias_axes) y = prims::add(y, prims::cast(bias.value(), compute_dtype_));
    if (o.activation) y = o.activation->call(y);
    return {y};
  }
  Dict own_config() const override {
    Dict d{{"output_shape", Value(partial_output)}, {"equation", equation}};
    for (const auto& [k, v] : serial::to_config(o)) d.set(k, v);
    write_lora(d);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation x;
    const int skipped = e.elided_left ? in[0].rank() - static_cast<int>(e.input.size()) : 0;
    for (int i = 0; i < out[0].rank(); ++i) {
      int k = i - skipped;
      if (k < 0 || k >= static_cast<int>(e.output.size())) {
        x.axes.push_back("elided by \"...\": as it came in");
        continue;
      }
      char c = e.output[static_cast<size_t>(k)];
      bool of_input = e.input.find(c) != std::string::npos, of_kernel = e.kernel.find(c) != std::string::npos;
      x.axes.push_back(fmt::format("'{}': {}", c, of_input && of_kernel ? "an axis of the input, with a kernel of its own for each place" : of_input ? "an axis of the input" : "an axis of the kernel, from output_shape"));
    }
    Shapes s = shapes_for(in[0]);
    x.parameters.push_back(fmt::format("kernel {}: the sizes of \"{}\" = {}", s.kernel.str(), e.kernel, s.kernel.numel()));
    if (o.bias_axes) x.parameters.push_back(fmt::format("bias {}: the sizes of bias_axes=\"{}\" = {}", s.bias.str(), *o.bias_axes, s.bias.numel()));
    for (char c : e.input)
      if (e.output.find(c) == std::string::npos) x.notes.push_back(fmt::format("'{}' is not in the output: it is multiplied and summed away", c));
    return x;
  }
};
}  // namespace

EinsumDense::EinsumDense(const std::string& equation, const Shape& output_shape, const EinsumDenseOptions& o) : Layer(make_impl<EinsumDenseImpl>(equation, output_shape, o)) {}
EinsumDense::EinsumDense(const std::string& equation, int64_t output_size, const EinsumDenseOptions& o) : EinsumDense(equation, Shape{output_size}, o) {}
Layer EinsumDense::from_config(const Dict& c) {
  const Value& out = c.at("output_shape");
  auto o = options_from<EinsumDenseOptions>(c, "EinsumDense");
  read_lora_options(o, c, "EinsumDense");
  return EinsumDense(c.at("equation").as_string(), out.is_list() ? out.as_shape() : Shape{out.as_int()}, o);
}
Variable EinsumDense::kernel() const { return static_cast<EinsumDenseImpl&>(*impl_).kernel; }
Variable EinsumDense::bias() const { return static_cast<EinsumDenseImpl&>(*impl_).bias; }
void EinsumDense::enable_lora(int64_t rank, const std::optional<double>& lora_alpha, const Initializer& a, const Initializer& b) {
  layers::enable_lora<EinsumDenseImpl>(*impl_, rank, lora_alpha, a, b);
}

}  // namespace keras::layers
