// What lives here: building, printing and checking graphs. No primitive is known here by name but "constant".
#include "ir/graph.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <keras/base/value.h>

namespace keras::ir {

static const char* short_name(DType d) {
  static constexpr const char* names[] = {"pred", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64"};
  return names[static_cast<size_t>(d)];
}

std::string Type::str() const {
  std::string s = short_name(dtype);
  s += "[";
  for (int i = 0; i < shape.rank(); ++i) s += (i ? "," : "") + (shape[i] < 0 ? std::string("?") : std::to_string(shape[i]));
  return s + "]";
}

Literal Literal::from(Type type, const void* data) {
  size_t n = static_cast<size_t>(type.shape.numel()) * dtype_size(type.dtype);
  std::vector<std::byte> bytes(n);
  if (n) std::memcpy(bytes.data(), data, n);
  return {std::move(type), std::make_shared<const std::vector<std::byte>>(std::move(bytes))};
}

Literal Literal::scalar(DType dtype, double value) {
  return visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    T v;
    if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) v = T(static_cast<float>(value));
    else if constexpr (std::is_same_v<T, bool>) v = value != 0;
    else if constexpr (std::is_unsigned_v<T>) v = value < 0 ? static_cast<T>(static_cast<int64_t>(value)) : static_cast<T>(value);
    else v = static_cast<T>(value);
    return from({dtype, {}}, &v);
  });
}

bool Literal::uniform(double* value) const {
  int64_t n = type.shape.numel();
  size_t size = dtype_size(type.dtype);
  if (n < 1) return false;
  for (int64_t i = 1; i < n; ++i)
    if (std::memcmp(bytes->data(), bytes->data() + static_cast<size_t>(i) * size, size)) return false;
  visit_dtype(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    T v;
    std::memcpy(&v, bytes->data(), sizeof v);
    if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) *value = static_cast<float>(v);
    else *value = static_cast<double>(v);
  });
  return true;
}

const Attr* Attrs::find(std::string_view key) const {
  for (const auto& item : items_)
    if (key == item.first) return &item.second;
  return nullptr;
}
void Attrs::set(const char* key, Attr value) {
  for (auto& item : items_)
    if (std::string_view(item.first) == key) {
      item.second = std::move(value);
      return;
    }
  items_.emplace_back(key, std::move(value));
}

static std::string literal_text(const Literal& l, bool for_compare) {
  double v;
  if (l.type.shape.rank() == 0 && l.uniform(&v) && !for_compare) return float_repr(v);
  std::string s = l.type.str();
  if (for_compare) {
    s += ":";
    s.append(reinterpret_cast<const char*>(l.data()), l.bytes->size());
  }
  return s;
}

std::string Attrs::str(bool for_compare) const {
  std::string s;
  for (const auto& [key, attr] : items_) {
    if (!s.empty()) s += ", ";
    s += key;
    s += "=";
    std::visit(
        [&](const auto& a) {
          using T = std::decay_t<decltype(a)>;
          if constexpr (std::is_same_v<T, int64_t>) s += std::to_string(a);
          else if constexpr (std::is_same_v<T, double>) s += float_repr(a);
          else if constexpr (std::is_same_v<T, std::string>) s += a;
          else if constexpr (std::is_same_v<T, Ints>) s += "[" + fmt::format("{}", fmt::join(a, ",")) + "]";
          else if constexpr (std::is_same_v<T, DType>) s += short_name(a);
          else if constexpr (std::is_same_v<T, Literal>) s += literal_text(a, for_compare);
          else s += for_compare ? fmt::format("graph@{}", static_cast<const void*>(a.get())) : "{\n" + a->str() + "}";
        },
        attr);
  }
  return s;
}

ValueId Graph::add_param(Type type) {
  ValueId id = static_cast<ValueId>(values_.size());
  values_.push_back({std::move(type), -1, static_cast<int>(params_.size())});
  params_.push_back(id);
  return id;
}

ValueId Graph::emit(const Primitive& prim, std::vector<ValueId> inputs, Attrs attrs) {
  std::vector<Type> types;
  types.reserve(inputs.size());
  for (ValueId v : inputs) types.push_back(type(v));
  std::vector<Type> out = prim.infer(types, attrs);
  Node node{&prim, std::move(inputs), {}, std::move(attrs), current_origin()};
  int n = static_cast<int>(nodes_.size());
  for (size_t i = 0; i < out.size(); ++i) {
    node.outputs.push_back(static_cast<ValueId>(values_.size()));
    values_.push_back({std::move(out[i]), n, static_cast<int>(i)});
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs.front();
}

ValueId Graph::constant(Literal literal) { return emit(primitive("constant"), {}, Attrs{{"value", std::move(literal)}}); }

const Literal* Graph::literal(ValueId v) const {
  const Node* n = producer(v);
  return n && n->prim->is("constant") ? &n->attrs.get<Literal>("value") : nullptr;
}

std::string Graph::str() const {
  std::string s;
  auto name = [](ValueId v) { return "%" + std::to_string(v); };
  for (ValueId p : params_) s += fmt::format("{} = param {}\n", name(p), type(p).str());
  for (const Node& n : nodes_) {
    for (size_t i = 0; i < n.outputs.size(); ++i) s += (i ? ", " : "") + name(n.outputs[i]);
    s += fmt::format(" = {}(", n.prim->name);
    for (size_t i = 0; i < n.inputs.size(); ++i) s += (i ? ", " : "") + name(n.inputs[i]);
    s += ")";
    if (std::string a = n.attrs.str(); !a.empty()) s += " {" + a + "}";
    for (size_t i = 0; i < n.outputs.size(); ++i) s += (i ? ", " : " : ") + type(n.outputs[i]).str();
    s += "\n";
  }
  s += "return";
  for (ValueId v : outputs) s += " " + name(v);
  return s + "\n";
}

static std::span<const Primitive* const> g_table;
void set_primitive_table(std::span<const Primitive* const> table) { g_table = table; }
const Primitive& primitive(std::string_view name) {
  for (const Primitive* p : g_table)
    if (name == p->name) return *p;
  throw RuntimeError("there is no primitive '" + std::string(name) + "'");
}

double bytes_moved(const KernelRequest& r) {
  double bytes = 0;
  auto add = [&](const Type& t) { bytes += static_cast<double>(t.shape.numel()) * static_cast<double>(dtype_size(t.dtype)); };
  for (size_t i = 0; i < r.num_inputs(); ++i) add(r.in(i));
  for (size_t i = 0; i < r.node.outputs.size(); ++i) add(r.out(i));
  return bytes;
}
Cost cost_of(const Graph& g, const Node& n) {
  const KernelRequest r{g, n};
  if (n.prim->cost) return n.prim->cost(r);
  if (n.prim->alias || n.outputs.empty() || n.prim->is("constant")) return {};
  return {n.prim->is_ew() ? static_cast<double>(r.out().shape.numel()) : 0, bytes_moved(r)};
}
Cost cost_of(const Graph& g) {
  Cost sum;
  for (const Node& n : g.nodes()) sum += cost_of(g, n);
  return sum;
}

void verify(const Graph& g, std::string_view after) {
  std::vector<bool> defined(g.num_values(), false);
  for (ValueId p : g.params()) defined[static_cast<size_t>(p)] = true;
  auto check = [&](bool ok, const Node& n, const std::string& what) {
    if (!ok) throw RuntimeError(fmt::format("IR verifier after {}: {} in '{}'\n{}", after, what, n.prim->name, g.str()));
  };
  for (const Node& n : g.nodes()) {
    std::vector<Type> types;
    for (ValueId v : n.inputs) {
      check(v >= 0 && static_cast<size_t>(v) < g.num_values() && defined[static_cast<size_t>(v)], n, fmt::format("%{} is used before it is made", v));
      types.push_back(g.type(v));
    }
    std::vector<Type> out = n.prim->infer(types, n.attrs);
    check(out.size() == n.outputs.size(), n, "wrong number of outputs");
    for (size_t i = 0; i < out.size(); ++i) {
      check(out[i] == g.type(n.outputs[i]), n, fmt::format("the rule says {} for %{}: {}", out[i].str(), n.outputs[i], g.type(n.outputs[i]).str()));
      defined[static_cast<size_t>(n.outputs[i])] = true;
    }
  }
  for (ValueId v : g.outputs)
    if (v < 0 || static_cast<size_t>(v) >= g.num_values() || !defined[static_cast<size_t>(v)])
      throw RuntimeError(fmt::format("IR verifier after {}: output %{} is not made\n{}", after, v, g.str()));
}

}  // namespace keras::ir
