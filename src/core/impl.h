// What lives here: what stands behind the handles: tensors, variables, traces, and the graph of Keras nodes.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/function.h>
#include <keras/core/remat.h>
#include <keras/core/tensor.h>
#include <keras/core/variable.h>

#include "engine/buffer.h"
#include "engine/executable.h"
#include "ir/graph.h"

namespace keras::core {

struct Trace;
class Operation;
struct Node;

enum class TensorKind : uint8_t { Concrete, Symbolic, Traced };

/// Where a symbolic tensor came from. Tensors own the operation and their own node.
struct History {
  std::shared_ptr<Operation> operation;
  int node = -1, index = 0;
  std::shared_ptr<Node> made_by;
};

struct TensorImpl {
  TensorKind kind = TensorKind::Concrete;
  ir::Type type;
  char weak = 0;
  bool literal = false;         // a number of a rule or an op: a constant in every graph, also on a tape
  engine::Buffer buffer;        // concrete
  uint64_t trace = 0;           // traced: number of the trace
  ir::ValueId id = -1;          // traced: value in its graph
  std::string name;             // symbolic
  History history;              // symbolic
  std::shared_ptr<TensorImpl> mask;  // Keras' _keras_mask: set by the layer that made the tensor
};
using ImplPtr = std::shared_ptr<TensorImpl>;

Tensor make_concrete(ir::Type type, engine::Buffer buffer);
Tensor make_symbolic(ir::Type type, std::string name, History history = {});
inline Tensor mask_of(const Tensor& t) { return t.defined() ? Tensor(t.impl()->mask) : Tensor(); }
/// Lets the tapes know that `copy` is the same value as `original` behind another handle.
void same_on_tapes(const Tensor& copy, const Tensor& original);
/// The same tensor carrying a mask (null: none). The tensor itself stays as it is when shared elsewhere.
Tensor with_mask(const Tensor& t, const Tensor& mask);

struct VariableImpl {
  Tensor value;  // concrete; its buffer is written in place only while nobody else holds it
  std::string name, path;
  bool trainable = true, autocast = true;
  std::function<Tensor(const Tensor&)> regularizer, constraint;
  /// Grows with every write, over all variables: what was computed from the numbers is good as long as it stays.
  uint64_t stamp = next_stamp();
  static uint64_t next_stamp();
  /// Address for whoever writes it now: copies first when a tensor handed out shares the numbers.
  void* writable();
};

/// While it lives, floating variables are read in this dtype, or as they are (nullopt): the inside of a layer of the user's.
class AutocastScope {
 public:
  /// `mixed`: whether this call, or one around it, is of a layer that computes in another dtype than it keeps its weights in.
  explicit AutocastScope(std::optional<DType> dtype, bool mixed = inside_mixed());
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;
  static bool inside_mixed();

 private:
  std::optional<DType> dtype_before_;
  bool mixed_before_;
};

/// Gives variables other values while it lives; at its end they have their own again.
class LentValues {
 public:
  /// ValueError naming `where` when there are not as many values as variables.
  LentValues(std::vector<Variable> variables, const Tensors& values, const std::string& where);
  ~LentValues();
  LentValues(const LentValues&) = delete;
  LentValues& operator=(const LentValues&) = delete;
  /// The values as they are now.
  Tensors values() const { return values(0, variables_.size()); }
  Tensors values(size_t from, size_t to) const;

 private:
  std::vector<Variable> variables_;
  Tensors before_;
};

// ---- traces
struct Trace {
  ir::Graph graph;
  Trace* parent = nullptr;
  uint64_t number = 0;
  bool abstract = false;  // shapes only, sizes may be None; thrown away
  bool capture_concrete = false;  // tensors with numbers are captured, not put in: the body of an eager loop, for tapes
  struct State {
    std::shared_ptr<VariableImpl> variable;
    ir::ValueId param;
    Tensor current;
    bool updated = false;
  };
  std::vector<State> states;
  std::unordered_map<const VariableImpl*, size_t> state_of;
  std::vector<std::pair<Tensor, ir::ValueId>> captures;  // of an inner trace: values of outer traces
  std::unordered_map<const TensorImpl*, ir::ValueId> lifted;
  std::vector<Tensor> kept;

  Tensor param(const ir::Type& type);
  Tensor wrap(ir::ValueId id);
  /// The tensor as a value of this graph: constants are put in, values of outer traces captured.
  ir::ValueId lift(const Tensor& t);
};
/// The trace under way on this thread, or null.
Trace* current_trace();
/// Makes a trace current while it lives.
class TraceScope {
 public:
  explicit TraceScope(Trace& trace, bool inner = false);
  ~TraceScope();

 private:
  Trace* before_;
};
/// Computes at once while it lives, also inside a trace: weights get their first numbers when a layer is built, wherever that happens.
class EagerScope {
 public:
  EagerScope();
  ~EagerScope();

 private:
  Trace* before_;
};

/// Applies a primitive: appends to the trace under way when there is one, else computes at once (and records on tapes).
Tensors apply(const ir::Primitive& prim, const Tensors& inputs, ir::Attrs attrs);

/// Runs `f` on abstract values of the given types; returns the types of its results. No kernel runs, no state changes.
std::vector<ir::Type> infer(const std::vector<ir::Type>& types, const std::function<Tensors(const Tensors&)>& f);

/// A trace compiled: inputs, then states, as parameters; results, then updated states, as outputs.
struct Compiled {
  std::unique_ptr<engine::Executable> exe;
  std::vector<std::shared_ptr<VariableImpl>> states;
  std::vector<char> updated;  // per state
  std::vector<uint32_t> steady;  // the states that are only read: what depends on them alone is kept from run to run
  size_t num_inputs = 0;
  std::vector<ir::Type> outputs;  // results only
  ir::Graph unoptimized;
  /// Binds states and runs. `in` are aligned addresses of the inputs, `out` of the results.
  void run(void* const* in, void* const* out) const;
};
std::unique_ptr<Compiled> compile(const std::function<Tensors(const Tensors&)>& body, const std::vector<ir::Type>& inputs, bool keep_ir = false);

// ---- a traced loop: step(states, slices) → (states, results), over the leading axis of the xs
struct ScanResult {
  Tensors states, ys;
};
ScanResult scan(const std::function<std::pair<Tensors, Tensors>(const Tensors& states, const Tensors& slices)>& step, const Tensors& states,
                const Tensors& xs, bool reverse = false);

// ---- the graph of Keras nodes
struct Arg;
using ArgDict = std::vector<std::pair<std::string, Arg>>;
/// One argument of a recorded call: a configuration value, a tensor, or a list or dictionary of arguments.
struct Arg {
  std::variant<Value, Tensor, std::vector<Arg>, ArgDict> v;
  Arg() = default;
  Arg(Value value) : v(std::move(value)) {}
  Arg(Tensor t) : v(std::move(t)) {}
  Arg(const Tensors& ts) {
    std::vector<Arg> list;
    for (const Tensor& t : ts) list.emplace_back(t);
    v = std::move(list);
  }
  Arg(std::vector<Arg> list) : v(std::move(list)) {}
  Arg(ArgDict dict) : v(std::move(dict)) {}
  bool is_tensor() const { return v.index() == 1; }
  bool is_list() const { return v.index() == 2; }
  bool is_dict() const { return v.index() == 3; }
  const Tensor& tensor() const { return std::get<Tensor>(v); }
  const Value& value() const { return std::get<Value>(v); }
  const std::vector<Arg>& list() const { return std::get<std::vector<Arg>>(v); }
  const ArgDict& dict() const { return std::get<ArgDict>(v); }
  void each_tensor(const std::function<void(const Tensor&)>& f) const;
  Arg map_tensors(const std::function<Tensor(const Tensor&)>& f) const;
  Tensors tensors() const;
};

/// The arguments of a call. The first one holds the inputs.
struct CallArgs {
  std::vector<Arg> args;
  ArgDict kwargs;
  const Arg* find(std::string_view key) const;
  Arg* find(std::string_view key);
  void set(std::string_view key, Arg value);
  void each_tensor(const std::function<void(const Tensor&)>& f) const;
  CallArgs map_tensors(const std::function<Tensor(const Tensor&)>& f) const;
  /// All tensors of positional and keyword arguments, in order.
  Tensors tensors() const;
  /// The tensors of the first argument.
  Tensors inputs() const { return args.empty() ? Tensors{} : args[0].tensors(); }
  bool any_symbolic() const;
};

/// One call of an operation on symbolic tensors.
struct Node {
  CallArgs args;
  std::vector<ir::Type> output_types;
  std::vector<std::string> output_names;
  std::vector<std::weak_ptr<TensorImpl>> outputs;
  bool output_is_list = false;
};

/// The calls of an operation. It owns them, except one on what came from the operation itself: that one lives as long as a tensor made by it
/// or after it, or the two would keep each other alive.
class NodeList {
 public:
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  void add(const std::shared_ptr<Node>& node, bool own) { entries_.push_back({own ? node : nullptr, node}); }
  /// RuntimeError where nothing is left of the call.
  std::shared_ptr<Node> shared(size_t i) const;
  Node& operator[](size_t i) const { return *shared(i); }
  Node& at(size_t i) const { return *shared(i); }
  Node& back() const { return *shared(entries_.size() - 1); }

 private:
  struct Entry {
    std::shared_ptr<Node> owned;
    std::weak_ptr<Node> node;
  };
  std::vector<Entry> entries_;
};

// ---- names of layers, and what is computed again (keras/core/remat.h)
/// What is traced while it lives is of a layer (a loss, an optimizer) of this name, inside of the one around it.
class NameScope {
 public:
  explicit NameScope(const std::string& name);

 private:
  std::optional<ir::OriginScope> scope_;
};
/// A RematScope as the operations made in it remember it; no mode: "".
struct RematMode {
  std::string mode;
  int64_t output_size_threshold = 0;
  std::vector<std::string> layer_names;
  /// Of "full" and "larger_than": whether an operation with these outputs is meant.
  bool applies(const Tensors& outputs) const;
};
std::shared_ptr<const RematMode> current_remat_mode();
/// Whether activation functions that are called now are to be computed again: those of the layer whose call runs.
class RematActivations {
 public:
  explicit RematActivations(bool on);
  ~RematActivations();
  static bool on();

 private:
  bool before_;
};

/// What can stand in a model's graph: a layer, or a function of keras::ops called on symbolic tensors.
class Operation : public std::enable_shared_from_this<Operation> {
 public:
  virtual ~Operation() = default;
  const std::string& name() const { return name_; }
  virtual std::string class_name() const = 0;
  /// The call again, on other tensors.
  virtual Tensors rerun(const CallArgs& args) = 0;
  /// {"module", "class_name", "config", "registered_name"} as saved.
  virtual Value serialize() const = 0;
  const NodeList& nodes() const { return nodes_; }
  /// Records a call and gives its symbolic results.
  Tensors record(CallArgs args, const std::vector<ir::Type>& types, bool is_list = false);
  /// A result of node `node`, the same tensor that the call returned.
  Tensor output(int node, int index);

 protected:
  std::string name_;
  NodeList nodes_;
  std::shared_ptr<const RematMode> remat_ = current_remat_mode();
};

/// A function of keras::ops in a model's graph.
class OpOperation : public Operation {
 public:
  using Fn = std::function<Tensors(const CallArgs&)>;
  OpOperation(std::string cls, Dict config, Fn fn, std::string name = "");
  std::string class_name() const override { return class_; }
  Tensors rerun(const CallArgs& args) override;
  Value serialize() const override;

 private:
  std::string class_;
  Dict config_;
  Fn fn_;
};

/// The frame of every function of keras::ops: on symbolic tensors it records a node of class `cls`, else it computes `fn(args)`.
/// `args` may hold plain values too, which are saved with the node.
Tensors op_call(const char* cls, CallArgs args, const std::function<Tensors(const CallArgs&)>& fn);

// ---- names
/// "dense", "dense_1", … per session; `clear_names` starts again.
std::string unique_name(const std::string& base);
void clear_names();
/// Class name to Keras' snake case: "LSTMCell" → "lstm_cell", "Conv2D" → "conv2d".
std::string to_snake_case(const std::string& name);

}  // namespace keras::core

namespace keras {
// Found by ADL from prims/build.h.
inline Tensors emit_op(const ir::Primitive& prim, const Tensors& in, ir::Attrs attrs) { return core::apply(prim, in, std::move(attrs)); }
Tensor scalar_like(const Tensor& like, DType dtype, double value);
}  // namespace keras
