// What lives here: the IR. A Graph is a list of nodes in order; a node applies a primitive to values and makes values;
// a value has a dtype and a shape (sizes may be None while shapes are only inferred). Nothing here computes.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/error.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"
#include "ir/elementwise.h"
#include "ir/origin.h"

namespace keras::ir {

struct Type {
  DType dtype = DType::Float32;
  Shape shape{};
  friend bool operator==(const Type&, const Type&) = default;
  /// "f32[2,3]" as the text form writes it; None as "?".
  std::string str() const;
};

using ValueId = int32_t;
class Graph;

/// The bytes of a constant, shared and immutable.
struct Literal {
  Type type;
  std::shared_ptr<const std::vector<std::byte>> bytes;
  const void* data() const { return bytes->data(); }
  static Literal scalar(DType dtype, double value);
  static Literal from(Type type, const void* data);
  /// True for a constant whose elements are all one number; it comes back in `value`.
  bool uniform(double* value) const;
};

using Ints = std::vector<int64_t>;
using Attr = std::variant<int64_t, double, std::string, Ints, DType, Literal, std::shared_ptr<const Graph>>;

/// A node's parameters; few, so a list. Keys are string literals.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const char*, Attr>> items) : items_(items) {}
  const Attr* find(std::string_view key) const;
  int64_t i(std::string_view key) const { return get<int64_t>(key); }
  double f(std::string_view key) const { return get<double>(key); }
  const Ints& ints(std::string_view key) const { return get<Ints>(key); }
  DType dtype(std::string_view key) const { return get<DType>(key); }
  const std::string& s(std::string_view key) const { return get<std::string>(key); }
  const Graph& graph(std::string_view key) const { return *get<std::shared_ptr<const Graph>>(key); }
  template <class T> const T& get(std::string_view key) const {
    const Attr* a = find(key);
    if (!a || !std::holds_alternative<T>(*a)) throw RuntimeError("IR attribute '" + std::string(key) + "' is missing");
    return std::get<T>(*a);
  }
  int64_t i_or(std::string_view key, int64_t fallback) const {
    const Attr* a = find(key);
    return a ? std::get<int64_t>(*a) : fallback;
  }
  void set(const char* key, Attr value);
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  /// The text inside the braces of the text form; equal attributes have equal text (literals by their bytes).
  std::string str(bool for_compare = false) const;

 private:
  std::vector<std::pair<const char*, Attr>> items_;
};

struct Primitive;

struct Node {
  const Primitive* prim = nullptr;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attrs attrs;
  OriginPtr origin{};  // whose computation it is; no part of what the node is
};

struct ValueInfo {
  Type type;
  int node = -1;   // the node that makes it, -1 for a parameter
  int index = 0;   // which of its outputs, or which parameter
};

class Graph {
 public:
  ValueId add_param(Type type);
  /// Appends a node; shapes and dtypes come from the primitive's rule. Returns its first output.
  ValueId emit(const Primitive& prim, std::vector<ValueId> inputs, Attrs attrs = {});
  ValueId constant(Literal literal);
  ValueId constant(DType dtype, double value) { return constant(Literal::scalar(dtype, value)); }

  const Type& type(ValueId v) const { return values_[static_cast<size_t>(v)].type; }
  const ValueInfo& value(ValueId v) const { return values_[static_cast<size_t>(v)]; }
  /// The node that makes `v`, or nullptr for a parameter.
  const Node* producer(ValueId v) const {
    int n = value(v).node;
    return n < 0 ? nullptr : &nodes_[static_cast<size_t>(n)];
  }
  /// The literal behind `v` when a constant makes it, else nullptr.
  const Literal* literal(ValueId v) const;
  const std::vector<Node>& nodes() const { return nodes_; }
  size_t num_values() const { return values_.size(); }
  const std::vector<ValueId>& params() const { return params_; }
  std::vector<ValueId> outputs;

  std::string str() const;

 private:
  friend class GraphEditor;
  std::vector<ValueInfo> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> params_;
};

using TypeSpan = std::span<const Type>;
using ValueSpan = std::span<const ValueId>;

/// What a kernel factory sees: fixed shapes, dtypes, attributes.
struct KernelRequest {
  const Graph& graph;
  const Node& node;
  const Type& in(size_t i) const { return graph.type(node.inputs[i]); }
  const Type& out(size_t i = 0) const { return graph.type(node.outputs[i]); }
  size_t num_inputs() const { return node.inputs.size(); }
  const Attrs& attrs() const { return node.attrs; }
};

/// What a gradient rule sees. Cotangents are -1 where no gradient comes in; a rule writes the inputs' cotangents.
struct VjpRequest {
  Graph& graph;
  std::vector<ValueId> inputs, outputs;
  Attrs attrs;
  std::vector<ValueId> cotangents;
  std::vector<bool> wanted;         // per input: is its cotangent needed
  int node = -1;                    // index of the node in the graph
};

/// What a node takes: floating-point operations (or integer ones where it computes on integers), and bytes read and written.
struct Cost {
  double flops = 0, bytes = 0;
  Cost& operator+=(const Cost& o) { return flops += o.flops, bytes += o.bytes, *this; }
};
/// The cost of a node of known shapes, by its primitive's rule; without one it moves its operands and computes nothing.
Cost cost_of(const Graph& graph, const Node& node);
/// The sum over a graph's nodes.
Cost cost_of(const Graph& graph);
/// The bytes of the node's inputs and outputs.
double bytes_moved(const KernelRequest& node);

/// One primitive: all that is known of it stands in one constant.
struct Primitive {
  const char* name;
  std::vector<Type> (*infer)(TypeSpan, const Attrs&);
  /// Cotangents of the inputs, -1 for none.
  std::vector<ValueId> (*vjp)(const VjpRequest&) = nullptr;
  engine::KernelPtr (*cpu)(const KernelRequest&) = nullptr;
  /// The same in smaller primitives, for devices without a kernel.
  std::vector<ValueId> (*define)(Graph&, const std::vector<ValueId>& inputs, const Attrs&) = nullptr;
  Ew ew = Ew::count_;
  bool alias = false;  // the output is the first input's bytes under another shape
  bool flat = false;   // its derivative is zero; without this and without a rule, asking for the gradient is an error
  /// Beside bytes_moved, where that is not all; null: an operation per element of an elementwise result, nothing else.
  Cost (*cost)(const KernelRequest&) = nullptr;
  bool is_ew() const { return ew != Ew::count_; }
  bool is(std::string_view other) const { return name == other; }
};

/// The primitive of a name; RuntimeError when there is none. The list is made by prims/registry.
const Primitive& primitive(std::string_view name);
void set_primitive_table(std::span<const Primitive* const> table);

/// Checks order, ids, and that each type is what the primitive's rule says. RuntimeError naming pass and node otherwise.
void verify(const Graph& graph, std::string_view after);

/// Gives passes the right to rebuild a graph.
class GraphEditor {
 public:
  static std::vector<Node>& nodes(Graph& g) { return g.nodes_; }
  static std::vector<ValueInfo>& values(Graph& g) { return g.values_; }
  static std::vector<ValueId>& params(Graph& g) { return g.params_; }
};

}  // namespace keras::ir
