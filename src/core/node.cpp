// What lives here: the graph of Keras nodes: which operation was called on which symbolic tensors; and the counters of names.
#include <cctype>
#include <map>
#include <unordered_set>

#include "core/impl.h"

namespace keras::core {

void Arg::each_tensor(const std::function<void(const Tensor&)>& f) const {
  if (is_tensor()) {
    if (tensor().defined()) f(tensor());
  } else if (is_list()) {
    for (const Arg& a : list()) a.each_tensor(f);
  } else if (is_dict()) {
    for (const auto& [k, a] : dict()) a.each_tensor(f);
  }
}
Arg Arg::map_tensors(const std::function<Tensor(const Tensor&)>& f) const {
  if (is_tensor()) return tensor().defined() ? Arg(f(tensor())) : *this;
  if (is_list()) {
    std::vector<Arg> out;
    for (const Arg& a : list()) out.push_back(a.map_tensors(f));
    return out;
  }
  if (is_dict()) {
    ArgDict out;
    for (const auto& [k, a] : dict()) out.emplace_back(k, a.map_tensors(f));
    return out;
  }
  return *this;
}
Tensors Arg::tensors() const {
  Tensors ts;
  each_tensor([&](const Tensor& t) { ts.push_back(t); });
  return ts;
}

const Arg* CallArgs::find(std::string_view key) const {
  for (const auto& [k, a] : kwargs)
    if (k == key) return &a;
  return nullptr;
}
Arg* CallArgs::find(std::string_view key) { return const_cast<Arg*>(std::as_const(*this).find(key)); }
void CallArgs::set(std::string_view key, Arg value) {
  if (Arg* a = find(key)) *a = std::move(value);
  else kwargs.emplace_back(std::string(key), std::move(value));
}
void CallArgs::each_tensor(const std::function<void(const Tensor&)>& f) const {
  for (const Arg& a : args) a.each_tensor(f);
  for (const auto& [k, a] : kwargs) a.each_tensor(f);
}
CallArgs CallArgs::map_tensors(const std::function<Tensor(const Tensor&)>& f) const {
  CallArgs out;
  for (const Arg& a : args) out.args.push_back(a.map_tensors(f));
  for (const auto& [k, a] : kwargs) out.kwargs.emplace_back(k, a.map_tensors(f));
  return out;
}
Tensors CallArgs::tensors() const {
  Tensors ts;
  each_tensor([&](const Tensor& t) { ts.push_back(t); });
  return ts;
}
bool CallArgs::any_symbolic() const {
  bool any = false;
  each_tensor([&](const Tensor& t) { any |= t.is_symbolic(); });
  return any;
}

std::shared_ptr<Node> NodeList::shared(size_t i) const {
  if (auto node = entries_.at(i).node.lock()) return node;
  throw RuntimeError(ErrorText{.what = "nothing is left of a call of the layer on its own output", .received = "node " + std::to_string(i),
                               .fix = "keep a tensor that came from it, or a model of them"}.str());
}

// Whether one of the tensors came from the operation, however far back.
static bool comes_from(const Operation* operation, const CallArgs& args) {
  std::unordered_set<const Node*> seen;
  std::vector<const CallArgs*> todo{&args};
  bool found = false;
  while (!todo.empty() && !found) {
    const CallArgs* next = todo.back();
    todo.pop_back();
    next->each_tensor([&](const Tensor& t) {
      if (!t.is_symbolic()) return;
      const History& h = t.impl()->history;
      found |= h.operation.get() == operation;
      if (h.made_by && seen.insert(h.made_by.get()).second) todo.push_back(&h.made_by->args);
    });
  }
  return found;
}

Tensors Operation::record(CallArgs args, const std::vector<ir::Type>& types, bool is_list) {
  int index = static_cast<int>(nodes_.size());
  bool own = index == 0 || !comes_from(this, args);
  auto node = std::make_shared<Node>(Node{std::move(args), types, {}, {}, is_list});
  nodes_.add(node, own);
  Tensors out;
  for (size_t i = 0; i < types.size(); ++i) {
    node->output_names.push_back(unique_name("keras_tensor"));
    out.push_back(make_symbolic(types[i], node->output_names.back(), {shared_from_this(), index, static_cast<int>(i), node}));
    node->outputs.push_back(out.back().impl());
  }
  return out;
}

Tensor Operation::output(int node, int index) {
  std::shared_ptr<Node> n = nodes_.shared(static_cast<size_t>(node));
  size_t i = static_cast<size_t>(index);
  if (auto alive = n->outputs.at(i).lock()) return Tensor(alive);
  Tensor t = make_symbolic(n->output_types[i], n->output_names[i], {shared_from_this(), node, index, n});
  n->outputs[i] = t.impl();
  return t;
}

OpOperation::OpOperation(std::string cls, Dict config, Fn fn, std::string name) : class_(std::move(cls)), config_(std::move(config)), fn_(std::move(fn)) {
  name_ = name.empty() ? unique_name(to_snake_case(class_)) : std::move(name);
}
static std::vector<ir::Type> op_types(const CallArgs& args, const OpOperation::Fn& fn) {
  // Small concrete arguments keep their numbers, which may decide shapes.
  auto stays = [](const Tensor& t) { return t.is_concrete() && t.numel() <= 64; };
  std::vector<ir::Type> types;
  args.each_tensor([&](const Tensor& t) {
    if (!stays(t)) types.push_back(t.impl()->type);
  });
  return infer(types, [&](const Tensors& abstract) {
    size_t i = 0;
    return fn(args.map_tensors([&](const Tensor& t) {
      if (stays(t)) return t;
      const Tensor& a = abstract[i++];
      a.impl()->weak = t.weak();
      return a;
    }));
  });
}
Tensors OpOperation::rerun(const CallArgs& args) {
  if (!args.any_symbolic()) {
    const NameScope name(name_);
    const bool all = remat_ && (remat_->mode == "full" || remat_->mode == "larger_than");
    if (!all) return fn_(args);
    RematRegion region;
    Tensors out = fn_(args);
    if (!remat_->applies(out)) region.cancel();
    return out;
  }
  std::vector<ir::Type> out = op_types(args, fn_);
  return record(args, out, out.size() != 1);
}
Value OpOperation::serialize() const {
  Dict config = config_;
  config.set("name", name_);
  return Dict{{"module", "keras.ops"}, {"class_name", class_}, {"config", config}, {"registered_name", class_}};
}

Tensors op_call(const char* cls, CallArgs args, const std::function<Tensors(const CallArgs&)>& fn) {
  if (!args.any_symbolic()) return fn(args);
  return std::make_shared<OpOperation>(cls, Dict{}, fn)->rerun(args);
}

static std::map<std::string, int>& counters() {
  static std::map<std::string, int> c;
  return c;
}
std::string unique_name(const std::string& base) {
  int n = counters()[base]++;
  return n == 0 ? base : base + "_" + std::to_string(n);
}
void clear_names() { counters().clear(); }

// Keras' rule: an underscore before an upper-case letter that starts a lower-case run, and between lower and upper case.
std::string to_snake_case(const std::string& name) {
  std::string a, b;
  auto upper = [](char c) { return std::isupper(static_cast<unsigned char>(c)); };
  auto lower = [](char c) { return std::islower(static_cast<unsigned char>(c)); };
  std::string clean;
  for (char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') clean += c;
  for (size_t i = 0; i < clean.size(); ++i) {  // (.)([A-Z][a-z]+) → \1_\2
    if (i > 0 && upper(clean[i]) && i + 1 < clean.size() && lower(clean[i + 1])) a += '_';
    a += clean[i];
  }
  for (size_t i = 0; i < a.size(); ++i) {  // ([a-z])([A-Z]) → \1_\2
    if (i > 0 && upper(a[i]) && lower(a[i - 1])) b += '_';
    b += static_cast<char>(std::tolower(static_cast<unsigned char>(a[i])));
  }
  std::string out;
  for (char c : b)
    if (!(c == '_' && !out.empty() && out.back() == '_')) out += c;
  return out;
}

}  // namespace keras::core
