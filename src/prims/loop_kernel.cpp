// What lives here: how a loop runs: which rows of the batch go together, the plan of a step for them, the memory of states and slices, and
// the walk over the steps. What a loop means stands in scan.cpp.
#include "prims/loop_kernel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "cpu/epilogue.h"
#include "cpu/packed_dot.h"
#include "cpu/thread_pool.h"
#include "engine/executable.h"
#include "passes/passes.h"
#include "prims/build.h"
#include "prims/epilogue.h"

namespace keras::prims {

using ir::Attrs;
using ir::Graph;
using ir::Ints;
using ir::KernelRequest;
using ir::Node;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using passes::RowRole;

namespace {

size_t aligned(size_t n) { return (n + 63) / 64 * 64; }
size_t bytes_of(const Type& t) { return static_cast<size_t>(t.shape.numel()) * dtype_size(t.dtype); }

// ---- products with packed constants: a dot whose second operand comes in the order of packed_dot.h

class PackedDotKernel : public engine::Kernel {
 public:
  explicit PackedDotKernel(const KernelRequest& r) : dtype_(r.in(0).dtype), epilogue_(epilogue_of(r.attrs())) {
    p_.k = r.in(0).shape.back();
    p_.m = r.in(0).shape.numel() / p_.k;
    p_.n = r.out().shape.back();
    p_.a_ld = p_.k;
    p_.c_ld = p_.add_ld = p_.n;
    strip_ = cpu::packed_strip(dtype_);
    strips_ = (p_.n + strip_ - 1) / strip_;
    // Each thread that shares a step must spare more than it takes to be told and waited for.
    constexpr double kLeastBytes = 96 << 10, kLeastFlops = 150e3;
    const double weights = static_cast<double>(p_.k * p_.n), size = static_cast<double>(dtype_size(dtype_));
    most_pieces_ = std::clamp<int64_t>(static_cast<int64_t>(std::max(size * weights / kLeastBytes, 2 * weights * static_cast<double>(p_.m) / kLeastFlops)), 1, strips_);
    text_ = "dot " + std::to_string(p_.m) + "x" + std::to_string(p_.k) + "x" + std::to_string(p_.n) + " with packed columns";
  }
  void run(void* const* in, void* const* out, void*) const override {
    cpu::PackedProduct p = p_;
    p.a = in[0], p.packed = in[1], p.c = out[0];
    size_t next = 2;
    if (epilogue_.bias) p.bias = in[next++];
    if (epilogue_.add) p.add = in[next];
    // Where all rows go together, on one thread, the others take columns, each the same ones in every step, which stay in its cache.
    const int64_t pieces = std::min<int64_t>(most_pieces_, cpu::num_threads());
    if (pieces <= 1) {
      cpu::packed_product(dtype_, p);
    } else {
      cpu::parallel_for(strips_, (strips_ + pieces - 1) / pieces, [&](int64_t begin, int64_t end) { columns(p, begin * strip_, std::min(p.n, end * strip_)); });
    }
    if (epilogue_.act == cpu::Epilogue::Act::None) return;
    cpu::Epilogue act;
    act.act = epilogue_.act;
    cpu::apply_epilogue(act, dtype_, out[0], nullptr, nullptr, p.m, p.n, p.n);
  }
  const char* describe() const override { return text_.c_str(); }

 private:
  void columns(cpu::PackedProduct p, int64_t begin, int64_t end) const {
    const auto at = [&](const void* from, int64_t elements) -> const void* {
      return from == nullptr ? nullptr : static_cast<const std::byte*>(from) + static_cast<size_t>(elements) * dtype_size(dtype_);
    };
    p.packed = at(p.packed, begin * p.k), p.bias = at(p.bias, begin), p.add = at(p.add, begin);
    p.c = const_cast<void*>(at(p.c, begin));
    p.n = end - begin;
    cpu::packed_product(dtype_, p);
  }

  DType dtype_;
  cpu::Epilogue epilogue_;
  cpu::PackedProduct p_;
  int64_t strip_ = 1, strips_ = 1, most_pieces_ = 1;
  std::string text_;
};

std::vector<Type> infer_packed(TypeSpan in, const Attrs& a) { return dot_prim.infer(in, a); }
const ir::Primitive packed_dot_prim{.name = "packed_dot", .infer = infer_packed,
                                    .cpu = [](const KernelRequest& r) -> engine::KernelPtr { return std::make_unique<PackedDotKernel>(r); },
                                    .cost = [](const KernelRequest& r) { return dot_prim.cost(r); }};

constexpr int64_t kMostPackedRows = 48;

/// A constant of the loop in packed form, as an input of the body of its own.
struct Form {
  size_t constant;
  DType dtype;
  int64_t k, n, rs, cs;
  size_t bytes, offset = 0;  // among the forms of the constant
};

// Gives dots of few rows with a constant a packed operand: a new parameter, behind all others.
Graph with_packed(const Graph& from, const std::vector<char>& constant, std::vector<Form>& forms) {
  std::vector<std::pair<size_t, size_t>> packed;  // node, form
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    const Node& n = from.nodes()[i];
    if (!n.prim->is("dot") || !n.attrs.ints("lb").empty()) continue;
    const Type &a = from.type(n.inputs[0]), &b = from.type(n.inputs[1]);
    const ir::ValueInfo& rhs = from.value(n.inputs[1]);
    if (rhs.node >= 0 || !constant[static_cast<size_t>(rhs.index)] || (a.dtype != DType::Float32 && a.dtype != DType::Float64)) continue;
    const Ints &lc = n.attrs.ints("lc"), &rc = n.attrs.ints("rc");
    if (lc.size() != 1 || lc[0] != a.shape.rank() - 1 || a.shape.rank() < 2 || b.shape.rank() != 2 || a.shape.numel() == 0 || b.shape.numel() == 0) continue;
    const int64_t k = a.shape.back(), columns = b.shape.numel() / k;
    if (a.shape.numel() / k > kMostPackedRows) continue;
    const bool transposed = rc[0] == 1;
    Form f{static_cast<size_t>(rhs.index), a.dtype, k, columns, transposed ? 1 : columns, transposed ? k : 1, cpu::packed_matrix_bytes(a.dtype, k, columns)};
    size_t at = 0;
    while (at < forms.size() && !(forms[at].constant == f.constant && forms[at].rs == f.rs)) ++at;
    if (at == forms.size()) forms.push_back(f);
    packed.emplace_back(i, at);
  }
  Graph to;
  std::vector<ValueId> map(from.num_values(), -1), extra;
  for (ValueId p : from.params()) map[static_cast<size_t>(p)] = to.add_param(from.type(p));
  for (const Form& f : forms) extra.push_back(to.add_param(from.type(from.params()[f.constant])));
  auto next = packed.begin();
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    const Node& n = from.nodes()[i];
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
    const bool is_packed = next != packed.end() && next->first == i;
    if (is_packed) in[1] = extra[next++->second];
    const ir::OriginScope origin(n.origin);
    to.emit(is_packed ? packed_dot_prim : *n.prim, std::move(in), n.attrs);
    for (size_t k = 0; k < n.outputs.size(); ++k) map[static_cast<size_t>(n.outputs[k])] = to.nodes().back().outputs[k];
  }
  for (ValueId v : from.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
  return to;
}

// ---- how many rows go together

double step_cost(const Graph& body) {  // about floating-point operations
  double cost = 0;
  for (const Node& n : body.nodes()) {
    const double out = static_cast<double>(body.type(n.outputs[0]).shape.numel());
    if (n.prim->is("dot")) {
      double k = 1;
      for (int64_t a : n.attrs.ints("lc")) k *= static_cast<double>(body.type(n.inputs[0]).shape[static_cast<int>(a)]);
      cost += 2 * out * k;
    } else if (n.prim->is("conv") || n.prim->is("conv_backward_input")) {
      const Shape& w = body.type(n.inputs[1]).shape;
      cost += 2 * out * static_cast<double>(w.numel() / std::max<int64_t>(w.back(), 1));
    } else {
      cost += 8 * out;
    }
  }
  return cost;
}

// By shape alone, so that bits don't depend on the number of threads. Eight rows share what is read of the weights; parts are as few as
// keep some threads busy, and large enough to be worth the calls of a step.
int64_t rows_together(int64_t rows, double cost_per_row, size_t weights) {
  constexpr double kLeastCost = 40e3;
  constexpr size_t kSecondLevel = 768 << 10;
  int64_t part = rows >= 16 ? 8 : (rows + 1) / 2;
  if (rows > 128) part = (rows / 16 + 7) / 8 * 8;
  if (weights > kSecondLevel && rows >= 32) part = std::max<int64_t>(part, 16);
  part = std::max(part, static_cast<int64_t>(kLeastCost / std::max(cost_per_row, 1.0)));
  const int64_t parts = (rows + part - 1) / part;
  return (rows + parts - 1) / parts;
}

// ---- the kernel

class LoopKernel : public engine::Kernel {
 public:
  explicit LoopKernel(const KernelRequest& r)
      : consts_(static_cast<size_t>(r.attrs().i("consts"))),
        carries_(static_cast<size_t>(r.attrs().i("carries"))),
        length_(r.attrs().i("length")),
        reverse_(r.attrs().i("reverse")) {
    // Without what nothing reads: of the gradient's body that may mix rows.
    const Graph body = passes::simplify(r.attrs().graph("body"));
    inputs_ = body.params().size();
    plan_outputs(body);
    Graph step = body;
    step.outputs.clear();
    for (size_t o : computed_) step.outputs.push_back(body.outputs[o]);
    cut(body, step);
    lay_out();
  }

  /// All on the thread that runs it, and enough for that to be worth a thread?
  bool alone() const { return parts_ == 1 && worth_threads_; }

  size_t scratch_bytes() const override { return forms_bytes_ + slot_bytes_ * static_cast<size_t>(slots_); }
  size_t prepared_bytes(size_t input) const override { return input < consts_ && only_packed_[input] ? packed_bytes_[input] : 0; }
  void prepare(size_t input, const void* from, void* to, void*) const override { pack(input, from, static_cast<std::byte*>(to)); }
  void take_prepared(size_t input) override {
    taken_[input] = 1;
    lay_out();
  }
  const char* describe() const override { return text_.c_str(); }
  std::vector<const engine::Executable*> inside() const override {
    std::vector<const engine::Executable*> all;
    for (const Plan& p : plans_) all.push_back(p.exe.get());
    return all;
  }

  void run(void* const* in, void* const* out, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    if (length_ == 0) {
      for (size_t i = 0; i < carries_; ++i) std::memcpy(out[i], in[consts_ + i], carry_bytes_[i]);
      return;
    }
    for (size_t i = 0; i < consts_; ++i)
      if (packed_bytes_[i] && !taken_[i]) pack(i, in[i], base + packed_at_[i]);
    for (int slot = 0; slot < slots_; ++slot) *reinterpret_cast<size_t*>(base + forms_bytes_ + static_cast<size_t>(slot) * slot_bytes_) = 0;
    if (parts_ == 1) return walk(in, out, base, base + forms_bytes_, 0);
    cpu::parallel_for_slots(parts_, grain_, slots_, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t part = begin; part < end; ++part) walk(in, out, base, base + forms_bytes_ + static_cast<size_t>(slot) * slot_bytes_, part);
    });
  }

 private:
  /// A step's plan for so many rows, and where its memory lies in a slot.
  struct Plan {
    std::unique_ptr<engine::Executable> exe;
    size_t context = 0, pointers = 0;
  };
  /// Where an output of the body goes besides, or instead of, being computed on its own.
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // A state that is stacked too need not be held twice. As it goes into a step (`before_`): the step before writes it where it is stacked.
  // As it comes out of a step (`after_`): the next step reads it there.
  void plan_outputs(const Graph& body) {
    before_.assign(carries_, kNone), after_.assign(carries_, kNone);
    std::vector<char> dropped(body.outputs.size(), 0);
    for (size_t i = 0; i < carries_; ++i) {
      for (size_t o = carries_; o < body.outputs.size() && after_[i] == kNone; ++o)
        if (!dropped[o] && body.outputs[o] == body.outputs[i] && body.value(body.outputs[o]).node >= 0) after_[i] = o, dropped[i] = 1;
      for (size_t o = carries_; o < body.outputs.size() && after_[i] == kNone && before_[i] == kNone; ++o)
        if (!dropped[o] && body.outputs[o] == body.params()[consts_ + i]) before_[i] = o, dropped[o] = 1;
    }
    for (size_t o = 0; o < body.outputs.size(); ++o)
      if (!dropped[o]) computed_.push_back(o);
    for (size_t i = 0; i < carries_; ++i) carry_bytes_.push_back(bytes_of(body.type(body.params()[consts_ + i])));
    for (size_t i = 0; i < inputs_; ++i) input_bytes_.push_back(bytes_of(body.type(body.params()[i])));
    for (ValueId v : body.outputs) output_bytes_.push_back(bytes_of(body.type(v)));
  }

  void cut(const Graph& body, const Graph& step) {
    rows_ = -1;
    auto leading = [&](ValueId v) {
      const Shape& s = body.type(v).shape;
      const int64_t n = s.empty() ? 0 : s[0];
      rows_ = rows_ < 0 || rows_ == n ? n : 0;
    };
    for (size_t i = consts_; i < inputs_; ++i) leading(body.params()[i]);
    for (ValueId v : body.outputs) leading(v);
    size_t weights = 0;
    for (size_t i = 0; i < consts_; ++i) weights += input_bytes_[i];
    roles_.assign(inputs_, RowRole::Rows);
    std::fill_n(roles_.begin(), consts_, RowRole::Either);
    const double cost = step_cost(body);
    std::optional<Graph> first;
    if (rows_ >= 2) {
      part_ = rows_together(rows_, cost / static_cast<double>(rows_), weights);
      if (part_ < rows_) first = passes::part_of_rows(step, rows_, part_, roles_);
    }
    if (!first) {
      rows_ = part_ = std::max<int64_t>(rows_, 1);
      std::fill(roles_.begin(), roles_.end(), RowRole::Shared);
    }
    parts_ = (rows_ + part_ - 1) / part_;
    constants_with_rows_ = std::count(roles_.begin(), roles_.begin() + static_cast<std::ptrdiff_t>(consts_), RowRole::Rows) > 0;
    // Threads are worth waking for the work of some microseconds.
    worth_threads_ = cost * static_cast<double>(length_) >= 4e5;
    grain_ = worth_threads_ ? 1 : parts_;
    add_plan(first ? *first : step);
    if (rows_ % part_) add_plan(*passes::part_of_rows(step, rows_, rows_ % part_, roles_));
    text_ = "loop of " + std::to_string(length_) + " steps, ";
    text_ += first ? std::to_string(rows_) + " rows in parts of " + std::to_string(part_) : std::string("all rows together");
  }

  void add_plan(const Graph& step) {
    // The consts are the same in all steps: what depends on them alone is computed once a loop. Of a short loop that would not pay.
    std::vector<char> steady(step.params().size(), 0), constant(step.params().size(), 0);
    for (size_t i = 0; i < consts_; ++i) constant[i] = roles_[i] != RowRole::Rows, steady[i] = length_ > 2;
    Graph g = passes::optimize(step, steady);
    std::vector<Form> forms = forms_;
    if (length_ > 2) g = with_packed(g, constant, forms);
    forms_ = forms;
    steady.resize(g.params().size(), 0);
    Plan plan;
    plan.exe = std::make_unique<engine::Executable>(std::move(g), std::vector<std::pair<int, int>>{}, steady, /*kept_by_caller=*/true);
    plans_.push_back(std::move(plan));
  }

  void lay_out() {
    if (taken_.empty()) {
      taken_.assign(consts_, 0);
      packed_bytes_.assign(consts_, 0), packed_at_.assign(consts_, 0);
      only_packed_.assign(consts_, 1);
      for (Form& f : forms_) f.offset = packed_bytes_[f.constant], packed_bytes_[f.constant] += aligned(f.bytes);
      for (const Plan& p : plans_) {
        const Graph& g = p.exe->graph();
        auto used = [&](ValueId v) {
          if (g.value(v).node < 0 && static_cast<size_t>(g.value(v).index) < consts_) only_packed_[static_cast<size_t>(g.value(v).index)] = 0;
        };
        for (const Node& n : g.nodes())
          for (ValueId v : n.inputs) used(v);
        for (ValueId v : g.outputs) used(v);
      }
    }
    forms_bytes_ = slot_bytes_ = 0;
    for (size_t i = 0; i < consts_; ++i)
      if (!taken_[i]) packed_at_[i] = forms_bytes_, forms_bytes_ += packed_bytes_[i];
    carry_at_.assign(carries_, {});
    auto take = [&](size_t n) {
      const size_t at = slot_bytes_;
      slot_bytes_ += aligned(n);
      return at;
    };
    take(sizeof(size_t));  // which plan the slot is ready for, see walk
    for (size_t i = 0; i < carries_; ++i)
      for (size_t& at : carry_at_[i]) at = take(carry_bytes_[i] / static_cast<size_t>(rows_) * static_cast<size_t>(part_));
    const size_t shared = slot_bytes_;
    size_t most = 0;
    for (Plan& p : plans_) {
      slot_bytes_ = shared;
      p.context = take(p.exe->context_bytes());
      p.pointers = take((p.exe->graph().params().size() + p.exe->graph().outputs.size() + carries_) * sizeof(void*));
      most = std::max(most, slot_bytes_);
    }
    slot_bytes_ = most;
    slots_ = static_cast<int>(std::clamp<int64_t>(parts_, 1, cpu::num_threads()));
  }

  void pack(size_t constant, const void* from, std::byte* to) const {
    for (const Form& f : forms_)
      if (f.constant == constant) cpu::pack_matrix(f.dtype, f.k, f.n, from, f.rs, f.cs, to + f.offset);
  }

  // All steps of one part of the rows.
  void walk(void* const* in, void* const* out, std::byte* packed, std::byte* slot, int64_t part) const {
    const bool tail = plans_.size() > 1 && part == parts_ - 1;
    const Plan& plan = plans_[tail];
    const engine::Executable& exe = *plan.exe;
    const size_t row = static_cast<size_t>(part * part_), rows = static_cast<size_t>(rows_);
    const auto first = [&](size_t bytes) { return bytes / rows * row; };  // of a whole batch's bytes, where this part begins
    auto** args = reinterpret_cast<void**>(slot + plan.pointers);
    void** results = args + exe.graph().params().size();
    void** next = results + exe.graph().outputs.size();  // where the states of a step go
    for (size_t i = 0; i < consts_; ++i) args[i] = static_cast<std::byte*>(in[i]) + (roles_[i] == RowRole::Rows ? first(input_bytes_[i]) : 0);
    for (size_t f = 0; inputs_ + f < exe.graph().params().size(); ++f) {
      const size_t c = forms_[f].constant;
      args[inputs_ + f] = (taken_[c] ? static_cast<std::byte*>(in[c]) : packed + packed_at_[c]) + forms_[f].offset;
    }
    // What depends on the constants is computed once per thread; where some have rows, once per part.
    size_t& ready = *reinterpret_cast<size_t*>(slot);
    if (ready != 1 + static_cast<size_t>(tail)) exe.init_context(slot + plan.context);
    if (ready != 1 + static_cast<size_t>(tail) || constants_with_rows_) exe.settle(slot + plan.context, args);
    ready = 1 + static_cast<size_t>(tail);
    const auto stacked = [&](size_t o, int64_t t) { return static_cast<std::byte*>(out[o]) + static_cast<size_t>(t) * output_bytes_[o] + first(output_bytes_[o]); };
    const auto time = [&](int64_t s) { return reverse_ ? length_ - 1 - s : s; };
    const auto part_bytes = [&](size_t bytes) { return bytes / rows * static_cast<size_t>(tail ? rows_ - part * part_ : part_); };
    for (size_t i = 0; i < carries_; ++i) {
      args[consts_ + i] = static_cast<std::byte*>(in[consts_ + i]) + first(carry_bytes_[i]);
      if (before_[i] == kNone) continue;
      void* to = stacked(before_[i], time(0));
      std::memcpy(to, args[consts_ + i], part_bytes(carry_bytes_[i]));
      args[consts_ + i] = to;
    }
    for (int64_t s = 0; s < length_; ++s) {
      const int64_t t = time(s);
      const bool last = s + 1 == length_;
      for (size_t i = consts_ + carries_; i < inputs_; ++i)
        args[i] = static_cast<std::byte*>(in[i]) + static_cast<size_t>(t) * input_bytes_[i] + first(input_bytes_[i]);
      for (size_t i = 0; i < carries_; ++i)
        next[i] = after_[i] != kNone  ? stacked(after_[i], t)
                  : last              ? static_cast<std::byte*>(out[i]) + first(carry_bytes_[i])
                  : before_[i] != kNone ? stacked(before_[i], time(s + 1))
                                        : slot + carry_at_[i][s % 2];
      for (size_t k = 0; k < computed_.size(); ++k) results[k] = computed_[k] < carries_ ? next[computed_[k]] : stacked(computed_[k], t);
      exe.run_in(slot + plan.context, args, results);
      for (size_t i = 0; i < carries_; ++i) args[consts_ + i] = next[i];
    }
    for (size_t i = 0; i < carries_; ++i)
      if (after_[i] != kNone) std::memcpy(static_cast<std::byte*>(out[i]) + first(carry_bytes_[i]), args[consts_ + i], part_bytes(carry_bytes_[i]));
  }

  size_t consts_, carries_, inputs_ = 0;
  int64_t length_;
  bool reverse_;
  std::vector<size_t> before_, after_;    // per state: the stacked output that holds it
  std::vector<size_t> computed_;          // outputs of the body that a step computes, in the order of its results
  std::vector<size_t> carry_bytes_, input_bytes_, output_bytes_;  // of all rows; of one step
  std::vector<RowRole> roles_;
  bool constants_with_rows_ = false, worth_threads_ = false;
  int64_t rows_ = 1, part_ = 1, parts_ = 1, grain_ = 1;
  std::vector<Plan> plans_;               // for whole parts, and for the last one where it is smaller
  std::vector<Form> forms_;
  std::vector<char> taken_, only_packed_;  // per constant: comes packed; is read in packed form alone
  std::vector<size_t> packed_bytes_, packed_at_;
  std::vector<std::array<size_t, 2>> carry_at_;
  size_t forms_bytes_ = 0, slot_bytes_ = 0;
  int slots_ = 1;
  std::string text_;
};

// Loops side by side; each has its own part of the scratch memory.
class LoopsKernel : public engine::Kernel {
 public:
  explicit LoopsKernel(const KernelRequest& r) {
    const Graph& body = r.attrs().graph("body");
    size_t inputs = 0, outputs = 0;
    for (const Node& n : body.nodes()) {
      Member m{std::make_unique<LoopKernel>(KernelRequest{body, n}), inputs, inputs + n.inputs.size(), outputs};
      inputs = m.end, outputs += n.outputs.size();
      text_ += (text_.empty() ? "" : "; ") + std::string(m.loop->describe());
      alone_ &= m.loop->alone();
      members_.push_back(std::move(m));
    }
    if (alone_) text_ += "; at once";
  }
  size_t scratch_bytes() const override {
    size_t bytes = 0;
    for (const Member& m : members_) bytes += aligned(m.loop->scratch_bytes());
    return bytes;
  }
  size_t prepared_bytes(size_t input) const override { return of(input).loop->prepared_bytes(input - of(input).begin); }
  void prepare(size_t input, const void* from, void* to, void* scratch) const override { of(input).loop->prepare(input - of(input).begin, from, to, scratch); }
  void take_prepared(size_t input) override { of(input).loop->take_prepared(input - of(input).begin); }
  const char* describe() const override { return text_.c_str(); }
  std::vector<const engine::Executable*> inside() const override {
    std::vector<const engine::Executable*> all;
    for (const Member& m : members_)
      for (const engine::Executable* e : m.loop->inside()) all.push_back(e);
    return all;
  }
  void run(void* const* in, void* const* out, void* scratch) const override {
    const auto one = [&](size_t i) {
      auto* memory = static_cast<std::byte*>(scratch);
      for (size_t k = 0; k < i; ++k) memory += aligned(members_[k].loop->scratch_bytes());
      members_[i].loop->run(in + members_[i].begin, out + members_[i].outputs, memory);
    };
    if (!alone_) {
      for (size_t i = 0; i < members_.size(); ++i) one(i);
      return;
    }
    cpu::parallel_for(static_cast<int64_t>(members_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(static_cast<size_t>(i));
    });
  }

 private:
  struct Member {
    std::unique_ptr<LoopKernel> loop;
    size_t begin, end, outputs;  // its inputs, its first output
  };
  const Member& of(size_t input) const {
    return *std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return input < m.end; });
  }
  std::vector<Member> members_;
  bool alone_ = true;
  std::string text_;
};

}  // namespace

engine::KernelPtr make_loop(const KernelRequest& request) { return std::make_unique<LoopKernel>(request); }
engine::KernelPtr make_loops(const KernelRequest& request) { return std::make_unique<LoopsKernel>(request); }

}  // namespace keras::prims
