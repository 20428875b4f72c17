// What lives here: the inside of a layer or model whose class a user derived: everything is passed to the user's object.
#pragma once
#include "layers/layer_impl.h"

namespace keras::layers {

template <class Base> class UserImpl : public Base {
 public:
  using Base::Base;
  bool is_user_class() const override { return true; }
  void build(const std::vector<Shape>& inputs) override { self().build(inputs); }
  Tensors call(const Call& c) override {
    Tensors in;
    for (const core::Arg& a : c.args.args) a.each_tensor([&](const Tensor& x) { in.push_back(x); });
    return self().call(in, c.training);
  }
  Tensors compute_mask(const Call& c, size_t outputs) override {
    Tensor m = self().compute_mask(c.inputs, c.mask());
    return m.defined() ? Tensors(outputs, m) : Tensors{};
  }
  Dict own_config() const override { return self().get_config(); }
  std::string module() const override { return "builtins"; }

 private:
  Layer& self() const {
    if (!this->self_)
      throw RuntimeError(ErrorText{.what = "the object of \"" + this->name_ + "\" (" + this->class_name_ + ") was destroyed, but a model still uses it",
                                   .fix = "keep it alive as long as the model, or make it with keras::make<" + this->class_name_ + ">(…)"}.str());
    return *this->self_;
  }
};

}  // namespace keras::layers
