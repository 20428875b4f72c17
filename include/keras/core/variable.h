// What lives here: variables: named state that layers, optimizers and metrics own.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include <keras/core/tensor.h>

namespace keras {

namespace core {
struct VariableImpl;
}

struct VariableOptions {
  std::string name = "variable";
  bool trainable = true;
  /// Names before the name: "lstm/lstm_cell". Empty: none.
  std::string path_prefix = "";
  /// Whether a layer that computes in another float than it keeps its weights in reads this variable in the float that it computes in.
  bool autocast = true;
};

/// A tensor that can be assigned. Copying shares the state. Inside a trace its value is the traced one, and an assignment becomes a
/// state that the compiled step writes back.
class Variable {
 public:
  Variable() = default;
  /// Starts with the numbers of `value`.
  explicit Variable(const Tensor& value, const VariableOptions& options = {});

  /// The value now. Within the `call` of a layer of one's own under mixed precision it comes in the dtype that the layer computes in, and so
  /// does `dtype()`; the variable itself keeps its own.
  Tensor value() const;
  operator Tensor() const { return value(); }
  /// ValueError when the shape differs; the dtype is cast.
  void assign(const Tensor& value) const;
  void assign_add(const Tensor& value) const;
  void assign_sub(const Tensor& value) const;

  const Shape& shape() const;
  DType dtype() const;
  int ndim() const { return shape().rank(); }
  const std::string& name() const;
  /// Owner and name: "dense/kernel".
  const std::string& path() const;
  void set_path(const std::string& path) const;
  bool trainable() const;
  void set_trainable(bool trainable) const;
  bool autocast() const;
  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  bool same(const Variable& other) const { return impl_ == other.impl_; }
  std::string str() const;

  /// Penalty on the value, added to the model's loss; null for none.
  std::function<Tensor(const Tensor&)> regularizer() const;
  void set_regularizer(std::function<Tensor(const Tensor&)> f) const;
  /// Applied to the value after each optimizer update; null for none.
  std::function<Tensor(const Tensor&)> constraint() const;
  void set_constraint(std::function<Tensor(const Tensor&)> f) const;

  const std::shared_ptr<core::VariableImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<core::VariableImpl> impl_;
};

}  // namespace keras
