// What lives here: compiled functions and gradients: what a training loop of one's own is made of.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <keras/core/tensor.h>
#include <keras/core/variable.h>

namespace keras {

/// A function of tensors that is traced once per shapes and dtypes of its arguments, compiled, and then only run. Variables that it
/// assigns are updated by each call.
class Function {
 public:
  using Body = std::function<Tensors(const Tensors&)>;
  Function() = default;
  explicit Function(Body body, std::string name = "function");
  /// Concrete arguments run the compiled form; inside another trace, the body is traced into that one.
  Tensors operator()(const Tensors& args) const;
  /// The IR for arguments of these shapes, as text; `optimized` after simplification and fusion.
  std::string ir(const Tensors& args, bool optimized = true) const;
  /// The plan: kernels and slots, one per line.
  std::string plan(const Tensors& args) const;
  explicit operator bool() const { return impl_ != nullptr; }

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

/// Gradients of the sum of `target` by each of the sources, all in the trace or tape under way. Zeros where it does not depend on one.
Tensors gradients(const Tensor& target, const Tensors& sources);
Tensors gradients(const Tensor& target, const std::vector<Variable>& sources);

/// Records eager operations while it lives, to differentiate them. Inside a compiled function it costs nothing.
///
///     GradientTape tape;
///     Tensor loss = keras::ops::mean(keras::ops::square(model(x) - y));
///     optimizer.apply(tape.gradient(loss, model.trainable_variables()), model.trainable_variables());
class GradientTape {
 public:
  GradientTape();
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;
  /// Makes a constant tensor one that gradients can be asked for; variables are watched by themselves.
  void watch(const Tensor& tensor);
  Tensors gradient(const Tensor& target, const std::vector<Variable>& sources);
  Tensors gradient(const Tensor& target, const Tensors& sources);
  Tensor gradient(const Tensor& target, const Tensor& source) { return gradient(target, Tensors{source})[0]; }

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace keras
