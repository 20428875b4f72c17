// What lives here: tests of the names of layers on the nodes of a step, through passes and gradients, and of what nodes are said to cost.
#include <gtest/gtest.h>

#include <map>

#include "core/impl.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras {
namespace {

using ir::Ew;
using prims::Ints;

ir::Type f32(Shape shape) { return {DType::Float32, std::move(shape)}; }
Tensor matmul(const Tensor& a, const Tensor& b) { return prims::dot(a, b, {1}, {0}); }

/// The names on nodes of a primitive, with ' for a backward pass.
std::vector<std::string> names_of(const ir::Graph& g, std::string_view primitive) {
  std::vector<std::string> out;
  for (const ir::Node& n : g.nodes())
    if (n.prim->is(primitive)) out.push_back(!n.origin ? "?" : n.origin->name + (n.origin->gradient ? "'" : ""));
  return out;
}

Tensors two_layers(const Tensors& in) {
  const core::NameScope model("m");
  Tensor h;
  {
    const core::NameScope name("first");
    h = prims::ew(Ew::maximum, prims::add(matmul(in[0], in[1]), in[2]), Tensor::full({}, 0));
  }
  const core::NameScope name("second");
  return {matmul(h, in[3])};
}
const std::vector<ir::Type> kTypes{f32({8, 4}), f32({4, 6}), f32({6}), f32({6, 3})};

TEST(OriginTest, NamesPassThroughFusion) {
  const auto c = core::compile(two_layers, kTypes);
  EXPECT_EQ(names_of(c->exe->graph(), "dot"), (std::vector<std::string>{"m/first", "m/second"}));
}

TEST(OriginTest, GradientsAreOfTheLayerOfTheForwardNode) {
  const auto c = core::compile(
      [](const Tensors& in) -> Tensors {
        return gradients(prims::reduce_sum(two_layers(in)[0], {0, 1}), Tensors{in[1], in[3]});
      },
      kTypes);
  std::map<std::string, int> count;
  for (const std::string& name : names_of(c->exe->graph(), "dot")) ++count[name];
  EXPECT_EQ(count["m/first"], 1);
  EXPECT_EQ(count["m/first'"], 1);
  EXPECT_GE(count["m/second'"], 1);
  EXPECT_EQ(count["?"], 0);
}

TEST(OriginTest, WhatIsFusedFromSeveralLayersKeepsAllNames) {
  const auto c = core::compile(
      [](const Tensors& in) -> Tensors {
        Tensor y;
        {
          const core::NameScope name("scale");
          y = prims::mul(in[0], Tensor::full({}, 2));
          y = prims::add(y, Tensor::full({}, 3));
        }
        const core::NameScope name("wave");
        return {prims::ew(Ew::sin, y)};
      },
      {f32({64, 64})});
  ASSERT_EQ(names_of(c->exe->graph(), "cluster"), (std::vector<std::string>{"scale"}));
  EXPECT_EQ(c->exe->graph().nodes().back().origin->others, (std::vector<std::string>{"wave"}));
}

TEST(OriginTest, NodesThatDifferInNamesAloneAreOne) {
  const auto both = [](const char* a, const char* b) {
    return [=](const Tensors& in) -> Tensors {
      Tensor x, y;
      {
        const core::NameScope name(a);
        x = matmul(in[0], in[1]);
      }
      const core::NameScope name(b);
      y = matmul(in[0], in[1]);
      return {prims::add(x, y)};
    };
  };
  const std::vector<ir::Type> types{f32({8, 4}), f32({4, 6})};
  const auto other = core::compile(both("one", "two"), types, true), same = core::compile(both("one", "one"), types, true);
  EXPECT_EQ(names_of(other->exe->graph(), "dot").size(), 1u);
  EXPECT_EQ(other->unoptimized.str(), same->unoptimized.str());
}

TEST(OriginTest, LoopsKeepTheNamesOfTheirBodies) {
  const auto c = core::compile(
      [](const Tensors& in) -> Tensors {
        const core::NameScope name("rnn");
        return core::scan(
                   [&](const Tensors& s, const Tensors& x) {
                     const core::NameScope cell("cell");
                     Tensor h = prims::ew(Ew::tanh, prims::add(matmul(s[0], in[1]), x[0]));
                     return std::pair{Tensors{h}, Tensors{}};
                   },
                   {in[0]}, {in[2]})
            .states;
      },
      {f32({8, 4}), f32({4, 4}), f32({5, 8, 4})});
  const ir::Node& loop = c->exe->graph().nodes().back();
  ASSERT_TRUE(loop.prim->is("scan"));
  EXPECT_EQ(loop.origin->name, "rnn");
  for (const std::string& name : names_of(loop.attrs.graph("body"), "dot")) EXPECT_EQ(name, "rnn/cell");
}

// ---- costs
TEST(CostTest, AreThoseOfTheDefinitions) {
  const auto of = [](const std::function<Tensors(const Tensors&)>& f, const std::vector<ir::Type>& types) {
    return ir::cost_of(core::compile(f, types, true)->unoptimized);
  };
  // A product: two operations per number of a row and column, three matrices moved.
  ir::Cost c = of([](const Tensors& in) -> Tensors { return {matmul(in[0], in[1])}; }, {f32({8, 4}), f32({4, 6})});
  EXPECT_EQ(c.flops, 2.0 * 8 * 4 * 6);
  EXPECT_EQ(c.bytes, 4.0 * (8 * 4 + 4 * 6 + 8 * 6));
  // A convolution, its input's gradient and its filter's take the same.
  const prims::ConvSpec spec{{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
  const std::vector<ir::Type> image{f32({2, 10, 10, 3}), f32({3, 3, 3, 8})};
  const double conv = 2.0 * 2 * 10 * 10 * 8 * 3 * 3 * 3;
  EXPECT_EQ(of([&](const Tensors& in) -> Tensors { return {prims::conv(in[0], in[1], spec)}; }, image).flops, conv);
  const auto back = core::compile(
      [&](const Tensors& in) -> Tensors {
        return gradients(prims::reduce_sum(prims::conv(in[0], in[1], spec), {0, 1, 2, 3}), in);
      },
      image, true);
  for (const ir::Node& n : back->unoptimized.nodes())
    if (std::string_view(n.prim->name).starts_with("conv")) EXPECT_EQ(ir::cost_of(back->unoptimized, n).flops, conv) << n.prim->name;
  // Elementwise: one per element; a reduction: one per element of its operand.
  EXPECT_EQ(of([](const Tensors& in) -> Tensors { return {prims::ew(Ew::exp, in[0])}; }, {f32({7, 5})}).flops, 35);
  EXPECT_EQ(of([](const Tensors& in) -> Tensors { return {prims::reduce_sum(in[0], {1})}; }, {f32({7, 5})}).flops, 35);
  // A table: only the rows that are read are moved.
  c = of([](const Tensors& in) -> Tensors { return {prims::gather(in[0], in[1], 0)}; }, {f32({1000, 16}), {DType::Int32, {4}}});
  EXPECT_EQ(c.flops, 0);
  EXPECT_EQ(c.bytes, 4.0 * 4 + 2 * 4 * 4 * 16);
}

TEST(CostTest, FusionKeepsTheOperations) {
  const auto c = core::compile(two_layers, kTypes, true);
  const ir::Cost plain = ir::cost_of(passes::simplify(c->unoptimized)), fused = ir::cost_of(c->exe->graph());
  EXPECT_EQ(plain.flops, fused.flops);
  EXPECT_EQ(plain.flops, 2.0 * 8 * 4 * 6 + 2.0 * 8 * 6 + 2.0 * 8 * 6 * 3);
  EXPECT_LT(fused.bytes, plain.bytes);
}

TEST(ProfileTest, MeasuresTheStepsOfAPlan) {
  const auto c = core::compile(two_layers, kTypes);
  Tensors in, out;
  std::vector<void*> from, to;
  for (const ir::Type& t : kTypes) in.push_back(Tensor::full(t.shape, 1, t.dtype)), from.push_back(const_cast<void*>(in.back().raw()));
  for (const ir::Type& t : c->outputs) out.push_back(Tensor::empty(t.dtype, t.shape)), to.push_back(out.back().mutable_raw());
  c->run(from.data(), to.data());
  for (const auto& r : c->exe->profile()) EXPECT_EQ(r.calls, 0) << "measured while profiling was off";
  engine::set_profiling(true);
  c->run(from.data(), to.data());
  engine::start_events();
  c->run(from.data(), to.data());
  const auto events = engine::take_events();
  c->run(from.data(), to.data());
  engine::set_profiling(false);
  c->run(from.data(), to.data());
  EXPECT_EQ(events.size(), c->exe->num_steps());
  double flops = 0;
  for (const auto& r : c->exe->profile()) {
    EXPECT_EQ(r.calls, 3) << r.primitive;
    flops += r.cost.flops;
  }
  EXPECT_EQ(flops, 3 * ir::cost_of(c->exe->graph()).flops);
  EXPECT_EQ(out[0].to_vector<float>()[0], 4 * 6 + 6);
  c->exe->reset_profile();
  for (const auto& r : c->exe->profile()) EXPECT_EQ(r.calls, 0);
}

}  // namespace
}  // namespace keras
