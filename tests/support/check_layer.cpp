// What lives here: check_layer, one function per thing that must hold.
#include "support/check_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <keras/dtype_policies.h>
#include <keras/layers/core/input_layer.h>

#include "core/impl.h"
#include "io/json.h"
#include "layers/layer_impl.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras::testing {

namespace {

struct PolicyScope {
  std::string before = dtype_policy();
  explicit PolicyScope(const std::string& p) { set_dtype_policy(p); }
  ~PolicyScope() { set_dtype_policy(before); }
};
struct FusionScope {
  bool before = passes::fusion();
  explicit FusionScope(bool on) { passes::set_fusion(on); }
  ~FusionScope() { passes::set_fusion(before); }
};

struct Checker {
  std::function<Layer()> make;
  const LayerCheck& o;
  std::mt19937 bits{17};
  Tensors inputs, masks;

  double draw(double low, double high) { return low + (high - low) * static_cast<double>(bits()) / 4294967296.0; }
  Tensor draw_tensor(const Shape& shape, DType dtype, double low, double high) {
    std::vector<double> v(static_cast<size_t>(shape.numel()));
    for (double& x : v) x = is_floating(dtype) ? draw(low, high) : std::floor(draw(0, static_cast<double>(o.int_limit)));
    return Tensor::from(v, shape).astype(dtype);
  }
  void draw_inputs() {
    inputs = o.inputs;
    for (size_t i = inputs.size(); i < o.input_shapes.size(); ++i)
      inputs.push_back(draw_tensor(o.input_shapes[i], i < o.input_dtypes.size() ? o.input_dtypes[i] : DType::Float32, o.low, o.high));
  }

  // ---- calling
  Output call(const Layer& l, const Tensors& in, std::optional<bool> training) const {
    CallOptions c{.training = training};
    if (o.call) return o.call(l, in, c);
    return in.size() == 1 ? l(in[0], c) : l(in, c);
  }
  Tensors outputs(const Layer& l, const Tensors& in, std::optional<bool> training) const { return call(l, in, training).all; }
  static Tensors with_masks(const Tensors& in, const Tensors& m) {
    Tensors out = in;
    for (size_t i = 0; i < out.size() && i < m.size(); ++i)
      if (m[i].defined()) out[i] = core::with_mask(out[i], m[i]);
    return out;
  }
  Tensors masked(const Tensors& in) const { return with_masks(in, masks); }

  // ---- state: everything that a call may change is put back before the next one, so that equal calls give equal numbers
  struct State {
    std::vector<Variable> variables;
    Tensors values;
  };
  static State save(const Layer& l) {
    State s{l.variables(), {}};
    for (const Variable& v : s.variables) s.values.push_back(v.value());
    return s;
  }
  static void restore(const State& s) {
    for (size_t i = 0; i < s.variables.size(); ++i) s.variables[i].assign(s.values[i]);
  }
  void perturb(const Layer& l) {
    if (!o.perturb_weights) return;
    for (const Variable& v : l.weights())
      if (is_floating(v.dtype())) v.assign(prims::add(v.value(), draw_tensor(v.shape(), v.dtype(), 0.0, 0.3)));
  }
  Layer built(bool perturbed = true) {
    Layer l = make();
    State state = save(l);
    outputs(l, inputs, false);
    restore(state);
    if (perturbed) perturb(l);
    return l;
  }

  static void close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
    ASSERT_TRUE(got.defined() && want.defined()) << what;
    ASSERT_EQ(got.shape(), want.shape()) << what;
    ASSERT_EQ(dtype_name(got.dtype()), std::string(dtype_name(want.dtype()))) << what;
    std::vector<double> g = got.to_vector<double>(), w = want.to_vector<double>();
    for (size_t i = 0; i < g.size(); ++i) {
      if (g[i] == w[i] || (std::isnan(g[i]) && std::isnan(w[i]))) continue;
      ASSERT_LE(std::abs(g[i] - w[i]), tolerance * (1 + std::abs(w[i]))) << what << ", element " << i << ": " << g[i] << " instead of " << w[i];
    }
  }
  static void close(const Tensors& got, const Tensors& want, double tolerance, const std::string& what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    for (size_t i = 0; i < got.size(); ++i) close(got[i], want[i], tolerance, what + " " + std::to_string(i));
  }

  // ---- the checks
  void counts() {
    Layer l = built(false);
    EXPECT_TRUE(l.built());
    if (o.num_trainable_weights) {
      EXPECT_EQ(static_cast<int>(l.trainable_weights().size()), *o.num_trainable_weights);
    }
    if (o.num_non_trainable_weights) {
      EXPECT_EQ(static_cast<int>(l.non_trainable_weights().size()), *o.num_non_trainable_weights);
    }
    if (o.num_seeds) {
      EXPECT_EQ(static_cast<int>(l.variables().size() - l.weights().size()), *o.num_seeds);
    }
    if (o.count_params) {
      EXPECT_EQ(l.count_params(), *o.count_params);
    }
    if (o.supports_masking) {
      EXPECT_EQ(l.supports_masking(), *o.supports_masking);
    }
    l.set_trainable(false);
    EXPECT_TRUE(l.trainable_weights().empty()) << "a frozen layer has no trainable weights";
    EXPECT_EQ(l.non_trainable_weights().size(), l.weights().size());
    l.set_trainable(true);
    Tensors got = outputs(l, inputs, false);
    if (o.output_dtype) {
      EXPECT_EQ(dtype_name(got[0].dtype()), std::string(dtype_name(*o.output_dtype)));
    }
    if (!o.output_shapes.empty()) {
      ASSERT_EQ(got.size(), o.output_shapes.size());
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].shape(), o.output_shapes[i]) << "output " << i;
      }
    }
    if (o.output.defined()) close(got[0], o.output, o.tolerance, "output");
  }

  Tensors symbolic(const std::vector<int>& unknown) const {
    Tensors in;
    for (const Tensor& t : inputs) {
      Shape s = t.shape();
      for (int axis : unknown)
        if (axis < s.rank()) s[axis] = None;
      in.push_back(Input({.dtype = dtype_name(t.dtype()), .batch_shape = s}));
    }
    return in;
  }
  void symbolic_calls() {
    std::vector<std::vector<int>> cases{{}};
    if (o.dynamic_batch) cases.push_back({0});
    if (!o.unknown_axes.empty()) {
      cases.push_back(o.unknown_axes);
      if (o.dynamic_batch) {
        cases.push_back(o.unknown_axes);
        cases.back().push_back(0);
      }
    }
    for (const std::vector<int>& unknown : cases) {
      std::string which = unknown.empty() ? "known sizes" : "None on axis " + Shape(std::vector<int64_t>(unknown.begin(), unknown.end())).str();
      SCOPED_TRACE("symbolic call with " + which);
      Layer l = unknown.empty() || unknown == std::vector<int>{0} ? make() : built();  // weights may need what is unknown here
      Tensors in = symbolic(unknown), out = outputs(l, in, std::nullopt);
      EXPECT_TRUE(l.built());
      ASSERT_EQ(l.num_nodes(), 1);
      // The recorded node called again on numbers is what a model does.
      core::CallArgs args = l.impl()->nodes().back().args.map_tensors([&](const Tensor& t) {
        for (size_t i = 0; i < in.size(); ++i)
          if (t.same(in[i])) return inputs[i];
        return t;
      });
      State state = save(l);
      Tensors real = l.impl()->rerun(args);
      restore(state);
      close(outputs(l, inputs, std::nullopt), real, 0, "a node called again");
      ASSERT_EQ(out.size(), real.size());
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_TRUE(out[i].is_symbolic());
        EXPECT_EQ(dtype_name(out[i].dtype()), std::string(dtype_name(real[i].dtype()))) << "output " << i;
        if (unknown.empty()) {
          Shape want = real[i].shape();
          for (int a : o.open_axes) want[a] = None;
          EXPECT_EQ(out[i].shape(), want) << "output " << i;
        }
        EXPECT_TRUE(compatible(out[i].shape(), real[i].shape())) << out[i].shape().str() << " against the real " << real[i].shape().str();
        if (unknown == std::vector<int>{0})
          for (int a = 1; a < out[i].rank(); ++a) {
            if (std::find(o.open_axes.begin(), o.open_axes.end(), a) != o.open_axes.end()) continue;
            EXPECT_NE(out[i].shape()[a], None) << "axis " << a << " of output " << i << " is unknown where only the batch was";
          }
      }
      if (!o.call) {
        std::vector<Shape> shapes, got;
        for (const Tensor& t : in) shapes.push_back(t.shape());
        for (const Tensor& t : out) got.push_back(t.shape());
        EXPECT_EQ(l.compute_output_shapes(shapes), got);
        EXPECT_FALSE(l.explain().empty());
      }
    }
  }

  void config() {
    core::clear_names();
    Layer fresh = make();
    Dict config = fresh.config();
    if (!o.keras_config.empty()) {
      EXPECT_EQ(io::to_json(config, 1), io::to_json(io::parse_json(o.keras_config, "Keras' configuration"), 1));
    }
    std::string text = io::to_json(layers::serialize(fresh), 1);
    Layer unbuilt = layers::deserialize(io::parse_json(text, "configuration"));
    EXPECT_EQ(io::to_json(layers::serialize(unbuilt), 1), text) << "configuration there and back";

    Layer l = built();
    text = io::to_json(layers::serialize(l), 1);
    Layer again = layers::deserialize(io::parse_json(text, "configuration"));
    EXPECT_EQ(again.class_name(), l.class_name());
    EXPECT_EQ(again.name(), l.name());
    if (!again.built() || again.weights().size() != l.weights().size()) outputs(again, inputs, false);
    EXPECT_EQ(io::to_json(again.config(), 1), io::to_json(l.config(), 1)) << "configuration of a built layer there and back";
    std::vector<Variable> a = l.weights(), b = again.weights();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].path(), b[i].path());
      EXPECT_EQ(a[i].trainable(), b[i].trainable()) << a[i].path();
    }
    again.set_weights(l.get_weights());
    State both{again.variables(), save(l).values};  // seeds too
    restore(both);
    State state = save(l);
    Tensors want = outputs(l, masked(inputs), false);
    close(outputs(again, masked(inputs), false), want, 0, "output of the layer made again");
    restore(state);
    restore(both);
    want = outputs(l, masked(inputs), true);
    close(outputs(again, masked(inputs), true), want, 0, "training output of the layer made again");
  }

  void draw_masks() {
    masks = o.masks;
    if (!masks.empty() || !o.draw_masks || !make().supports_masking()) return;
    for (const Tensor& t : inputs) {
      if (t.rank() < 3) {
        masks.emplace_back();
        continue;
      }
      std::vector<uint8_t> bits_(static_cast<size_t>(t.shape()[0] * t.shape()[1]));
      for (size_t i = 0; i < bits_.size(); ++i) bits_[i] = i % static_cast<size_t>(t.shape()[1]) == 0 || draw(0, 1) < 0.6;
      masks.push_back(Tensor::from_bytes(bits_.data(), bits_.size(), DType::Bool, {t.shape()[0], t.shape()[1]}));
    }
  }
  void masks_pass() {
    bool any = false;
    for (const Tensor& m : masks) any |= m.defined();
    if (!any) return;
    Layer l = built();
    Tensors real = outputs(l, masked(inputs), false);
    Tensors in = symbolic(o.dynamic_batch ? std::vector<int>{0} : std::vector<int>{});
    for (size_t i = 0; i < in.size() && i < masks.size(); ++i)
      if (masks[i].defined()) {
        Shape s = masks[i].shape();
        if (o.dynamic_batch) s[0] = None;
        in[i].impl()->mask = Input({.dtype = "bool", .batch_shape = s}).impl();
      }
    Tensors out = outputs(l, in, std::nullopt);
    ASSERT_EQ(out.size(), real.size());
    for (size_t i = 0; i < out.size(); ++i) {
      Tensor s = core::mask_of(out[i]), r = core::mask_of(real[i]);
      EXPECT_EQ(s.defined(), r.defined()) << "output " << i << " has a mask in the symbolic call alone, or in the real call alone";
      if (s.defined() && r.defined()) {
        EXPECT_TRUE(compatible(s.shape(), r.shape())) << "mask of output " << i << ": symbolic " << s.shape().str() << ", real " << r.shape().str();
        EXPECT_EQ(dtype_name(s.dtype()), std::string(dtype_name(r.dtype())));
      }
      if (o.output_masks) {
        Tensor want = i < o.output_masks->size() ? (*o.output_masks)[i] : Tensor();
        ASSERT_EQ(r.defined(), want.defined()) << "mask of output " << i;
        if (want.defined()) close(r, want, 0, "mask of output " + std::to_string(i));
      }
    }
  }

  void eager_equals_compiled() {
    Layer l = built();
    State state = save(l);
    for (bool training : {false, true})
      for (bool with_mask : {false, true}) {
        Tensors given = with_mask ? masks : Tensors(), defined;
        for (const Tensor& m : given)
          if (m.defined()) defined.push_back(m);
        if (with_mask && defined.empty()) continue;
        SCOPED_TRACE(std::string(training ? "training" : "inference") + (with_mask ? " with masks" : ""));
        restore(state);
        l.impl()->reset_states();
        State start = save(l);
        Tensors eager = outputs(l, with_masks(inputs, given), training), after = save(l).values;
        restore(start);
        close(outputs(l, with_masks(inputs, given), training), eager, 0, "the same call twice, output");
        if (!training && l.weights().size() == l.variables().size() && o.perturb_weights) close(save(l).values, after, 0, "variables after the same call twice");
        for (bool fused : {true, false}) {
          SCOPED_TRACE(fused ? "fused" : "not fused");
          FusionScope fusion(fused);
          restore(start);
          Function f([&](const Tensors& args) -> Tensors {
            Tensors in(args.begin(), args.begin() + static_cast<int64_t>(inputs.size())), m = given;
            size_t next = inputs.size();
            for (Tensor& t : m)
              if (t.defined()) t = args[next++];
            return outputs(l, with_masks(in, m), training);
          });
          Tensors args = inputs;
          args.insert(args.end(), defined.begin(), defined.end());
          close(f(args), eager, o.tolerance, "compiled output");
          close(save(l).values, after, o.tolerance, "variable after the compiled call");
        }
      }
    restore(state);
  }

  void gradients_are_right() {
    PolicyScope policy("float64");
    Tensors in64;
    for (const Tensor& t : inputs) in64.push_back(is_floating(t.dtype()) ? t.astype(DType::Float64) : t);
    Layer l = make();
    {
      State before = save(l);
      outputs(l, in64, false);
      restore(before);
    }
    perturb(l);
    State state = save(l);
    Tensors cotangents;
    std::vector<Variable> weights;
    for (const Variable& v : l.trainable_weights())
      if (is_floating(v.dtype())) weights.push_back(v);
    for (bool training : {false, true}) {
      if (training && !o.training_gradient) continue;
      SCOPED_TRACE(training ? "training" : "inference");
      auto loss_of = [&](const Tensors& in) {
        Tensors out = outputs(l, with_masks(in, masks), training);
        Tensor sum;
        for (size_t i = 0; i < out.size(); ++i) {
          if (!is_floating(out[i].dtype())) continue;
          if (cotangents.size() <= i) cotangents.resize(i + 1);
          if (!cotangents[i].defined()) cotangents[i] = draw_tensor(out[i].shape(), DType::Float64, -1, 1);
          Tensor y = prims::cast(out[i], DType::Float64);
          Tensor part = prims::reduce_sum(prims::mul(y, cotangents[i]), prims::iota_axes(y.rank()));
          sum = sum.defined() ? prims::add(sum, part) : part;
        }
        return sum;
      };
      std::vector<size_t> floats;
      if (o.input_gradient)
        for (size_t i = 0; i < in64.size(); ++i)
          if (is_floating(in64[i].dtype())) floats.push_back(i);
      if (weights.empty() && floats.empty()) return;
      restore(state);
      Tensors by_tape, by_function;
      {
        GradientTape tape;
        Tensors sources;
        for (const Variable& v : weights) sources.push_back(v.value());
        for (size_t i : floats) {
          tape.watch(in64[i]);
          sources.push_back(in64[i]);
        }
        Tensor loss = loss_of(in64);
        if (!loss.defined()) return;  // no output is differentiable
        by_tape = tape.gradient(loss, sources);
      }
      for (bool fused : {true, false}) {
        FusionScope fusion(fused);
        restore(state);
        Function f([&](const Tensors& args) -> Tensors {
          Tensors sources;
          for (const Variable& v : weights) sources.push_back(v.value());
          for (size_t i : floats) sources.push_back(args[i]);
          return gradients(loss_of(args), sources);
        });
        close(f(in64), by_tape, 1e-9, fused ? "compiled gradient" : "compiled gradient without fusion");
      }
      // Numbers: along some directions, which sees every element, and at some elements, which says where.
      auto check = [&](const Tensor& start, const Tensor& gradient, const std::string& name, const std::function<double(const Tensor&)>& at) {
        std::vector<double> x = start.to_vector<double>(), g = gradient.to_vector<double>();
        if (x.empty()) return;
        const double h = 1e-5;
        auto compare = [&](const std::vector<double>& direction, const std::string& where) {
          std::vector<double> up = x, down = x;
          double want = 0, scale = 1;
          for (size_t i = 0; i < x.size(); ++i) {
            up[i] += h * direction[i], down[i] -= h * direction[i];
            want += g[i] * direction[i];
            scale += std::abs(g[i] * direction[i]);
          }
          double got = (at(Tensor::from(up, start.shape())) - at(Tensor::from(down, start.shape()))) / (2 * h);
          EXPECT_NEAR(want, got, o.gradient_tolerance * scale) << "gradient of " << name << ", " << where << ": by rule " << want << ", by differences " << got;
        };
        for (int k = 0; k < 2; ++k) {
          std::vector<double> direction(x.size());
          for (double& d : direction) d = draw(-1, 1);
          compare(direction, "a direction over all elements");
        }
        for (size_t k = 0; k < std::min<size_t>(4, x.size()); ++k) {
          std::vector<double> direction(x.size(), 0);
          size_t element = k * x.size() / std::min<size_t>(4, x.size());
          direction[element] = 1;
          compare(direction, "element " + std::to_string(element));
        }
      };
      for (size_t i = 0; i < weights.size(); ++i) {
        Tensor start = weights[i].value();
        check(start, by_tape[i], weights[i].path(), [&](const Tensor& value) {
          restore(state);
          weights[i].assign(value);
          double y = loss_of(in64).item();
          restore(state);
          return y;
        });
      }
      for (size_t k = 0; k < floats.size(); ++k)
        check(in64[floats[k]], by_tape[weights.size() + k], "input " + std::to_string(floats[k]), [&](const Tensor& value) {
          restore(state);
          Tensors in = in64;
          in[floats[k]] = value;
          return loss_of(in).item();
        });
    }
    restore(state);
  }

  void training_step() {
    Layer l = built();
    std::vector<Variable> weights = l.trainable_weights();
    if (weights.empty()) return;
    State state = save(l);
    Tensors targets;
    auto loss_of = [&] {
      Tensors out = outputs(l, masked(inputs), true);
      Tensor sum;
      for (size_t i = 0; i < out.size(); ++i) {
        if (!is_floating(out[i].dtype())) continue;
        if (targets.size() <= i) targets.resize(i + 1);
        if (!targets[i].defined()) targets[i] = draw_tensor(out[i].shape(), DType::Float32, -1, 1);
        Tensor e = prims::sub(out[i], targets[i]);
        Tensor part = prims::reduce_sum(prims::mul(e, e), prims::iota_axes(e.rank()));
        sum = sum.defined() ? prims::add(sum, part) : part;
      }
      return sum;
    };
    double before;
    Tensors g;
    {
      GradientTape tape;
      Tensor loss = loss_of();
      if (!loss.defined()) return;
      before = loss.item();
      g = tape.gradient(loss, weights);
    }
    double norm = 0;
    for (const Tensor& t : g)
      for (double d : t.to_vector<double>()) norm += d * d;
    ASSERT_TRUE(std::isfinite(norm)) << "a gradient is not finite";
    ASSERT_GT(norm, 0) << "no weight has a gradient";
    double after = before;
    for (double rate = 0.1; rate > 1e-6 && !(after < before); rate *= 0.2) {
      restore(state);
      for (size_t i = 0; i < weights.size(); ++i) weights[i].assign_sub(prims::mul(g[i], rate / std::max(1.0, std::sqrt(norm))));
      after = loss_of().item();
    }
    EXPECT_LT(after, before) << "a training step did not lower the loss";
  }

  void mixed_precision() {
    Layer reference = built(false);
    Tensors want = outputs(reference, inputs, false);
    PolicyScope policy("mixed_bfloat16");
    Layer l = make();
    Tensors got = outputs(l, inputs, false);
    Layer symbolic_layer = make();
    Tensors out = outputs(symbolic_layer, symbolic({}), std::nullopt);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].shape(), want[i].shape());
      EXPECT_EQ(dtype_name(out[i].dtype()), std::string(dtype_name(got[i].dtype()))) << "symbolic and real dtype of output " << i << " in mixed precision";
      if (is_floating(want[i].dtype())) {
        EXPECT_EQ(std::string(dtype_name(got[i].dtype())), "bfloat16") << "output " << i << " in mixed precision";
      }
    }
    for (const Variable& v : l.weights())
      if (is_floating(v.dtype())) {
        EXPECT_EQ(std::string(dtype_name(v.dtype())), "float32") << v.path() << " in mixed precision";
      }
  }

  void run(const char* what, void (Checker::*check)(), bool wanted = true) {
    if (!wanted) return;
    SCOPED_TRACE(what);
    try {
      (this->*check)();
    } catch (const std::exception& e) {
      ADD_FAILURE() << what << ": " << e.what();
    }
  }
};

}  // namespace

void check_layer(const std::function<Layer()>& make, const LayerCheck& options) {
  Checker c{make, options};
  try {
    c.draw_inputs();
    c.draw_masks();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "the layer can't be made: " << e.what();
    return;
  }
  SCOPED_TRACE(make().class_name());
  c.run("counts", &Checker::counts);
  c.run("symbolic calls", &Checker::symbolic_calls);
  c.run("configuration", &Checker::config, options.config);
  c.run("masks", &Checker::masks_pass);
  c.run("eager and compiled", &Checker::eager_equals_compiled);
  c.run("gradients", &Checker::gradients_are_right, options.gradient);
  c.run("training step", &Checker::training_step, options.training_step);
  c.run("mixed precision", &Checker::mixed_precision, options.mixed_precision);
}

}  // namespace keras::testing
