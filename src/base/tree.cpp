// What lives here: keras.tree for configuration values.
#include <algorithm>

#include <keras/base/error.h>
#include <keras/tree.h>

namespace keras::tree {

namespace {

std::vector<std::string> sorted_keys(const Dict& d) {
  std::vector<std::string> keys = d.keys();
  std::sort(keys.begin(), keys.end());
  return keys;
}
std::string at(const Path& path) {
  std::string s = "structure";
  for (const Value& step : path) s += "[" + step.str() + "]";
  return s;
}

// Calls f(path, leaf) for each leaf in order; `stop` says what counts as a leaf besides what is not nested.
template <class F, class Stop> void each_leaf(const Value& v, Path& path, const F& f, const Stop& stop) {
  auto into = [&](Value step, const Value& child) {
    path.push_back(std::move(step));
    each_leaf(child, path, f, stop);
    path.pop_back();
  };
  if (!is_nested(v) || stop(v)) {
    f(path, v);
  } else if (v.is_list()) {
    const List& list = v.as_list();
    for (size_t i = 0; i < list.size(); ++i) into(i, list[i]);
  } else {
    for (const std::string& key : sorted_keys(v.as_dict())) into(key, v.as_dict().at(key));
  }
}
constexpr auto kNever = [](const Value&) { return false; };

// The structure with each child replaced, dictionaries in the order of their sorted keys.
template <class F> Value with_children(const Value& v, const F& f) {
  if (v.is_list()) {
    List out;
    for (const Value& child : v.as_list()) out.push_back(f(child));
    return out;
  }
  Dict out = v.as_dict();
  for (const std::string& key : sorted_keys(v.as_dict())) out.set(key, f(v.as_dict().at(key)));
  return out;
}
template <class F, class Stop> Value with_leaves(const Value& v, const F& f, const Stop& stop) {
  if (!is_nested(v) || stop(v)) return f(v);
  return with_children(v, [&](const Value& child) { return with_leaves(child, f, stop); });
}

void differ(const Path& path, const std::string& a, const std::string& b) {
  throw ValueError(ErrorText{.what = "the structures differ", .where = at(path), .expected = a, .received = b}.str());
}
// `shallow`: where `a` ends, `b` may go on.
void compare(const Value& a, const Value& b, Path& path, bool shallow) {
  if (shallow && !is_nested(a)) return;
  auto kind = [](const Value& v) { return is_nested(v) ? v.kind_name() : "leaf"; };
  if (std::string(kind(a)) != kind(b)) differ(path, kind(a), kind(b));
  if (!is_nested(a)) return;
  if (a.is_list()) {
    size_t n = a.as_list().size(), m = b.as_list().size();
    if (n != m) differ(path, "a list of " + std::to_string(n), "a list of " + std::to_string(m));
    for (size_t i = 0; i < n; ++i) {
      path.push_back(i);
      compare(a.as_list()[i], b.as_list()[i], path, shallow);
      path.pop_back();
    }
    return;
  }
  std::vector<std::string> keys = sorted_keys(a.as_dict()), others = sorted_keys(b.as_dict());
  if (keys != others) differ(path, "the keys " + Value(keys).str(), "the keys " + Value(others).str());
  for (const std::string& key : keys) {
    path.push_back(key);
    compare(a.as_dict().at(key), b.as_dict().at(key), path, shallow);
    path.pop_back();
  }
}

}  // namespace

bool is_nested(const Value& structure) { return structure.is_list() || structure.is_dict(); }

List flatten(const Value& structure) {
  List out;
  Path path;
  each_leaf(structure, path, [&](const Path&, const Value& leaf) { out.push_back(leaf); }, kNever);
  return out;
}
std::vector<std::pair<Path, Value>> flatten_with_path(const Value& structure) {
  std::vector<std::pair<Path, Value>> out;
  Path path;
  each_leaf(structure, path, [&](const Path& p, const Value& leaf) { out.emplace_back(p, leaf); }, kNever);
  return out;
}

Value pack_sequence_as(const Value& structure, const List& flat) {
  size_t wanted = flatten(structure).size(), next = 0;
  if (flat.size() != wanted)
    throw ValueError(ErrorText{.what = "the structure has another number of leaves", .where = "tree::pack_sequence_as", .expected = std::to_string(wanted), .received = std::to_string(flat.size())}.str());
  return with_leaves(structure, [&](const Value&) { return flat[next++]; }, kNever);
}

Value map_structure(const std::function<Value(const Value&)>& f, const Value& structure) { return with_leaves(structure, f, kNever); }
Value map_structure(const std::function<Value(const List&)>& f, const std::vector<Value>& structures) {
  if (structures.empty()) throw ValueError("tree::map_structure needs a structure");
  std::vector<List> leaves;
  for (const Value& s : structures) {
    assert_same_structure(structures[0], s);
    leaves.push_back(flatten(s));
  }
  List out;
  for (size_t i = 0; i < leaves[0].size(); ++i) {
    List row;
    for (const List& l : leaves) row.push_back(l[i]);
    out.push_back(f(row));
  }
  return pack_sequence_as(structures[0], out);
}

static Value map_up_to(const Value& shallow, const std::function<Value(const Value&)>& f, const Value& v) {
  if (!is_nested(shallow)) return f(v);
  if (shallow.is_list()) {
    List out;
    for (size_t i = 0; i < shallow.as_list().size(); ++i) out.push_back(map_up_to(shallow.as_list()[i], f, v.as_list()[i]));
    return out;
  }
  Dict out = shallow.as_dict();
  for (const std::string& key : sorted_keys(shallow.as_dict())) out.set(key, map_up_to(shallow.as_dict().at(key), f, v.as_dict().at(key)));
  return out;
}
Value map_structure_up_to(const Value& shallow, const std::function<Value(const Value&)>& f, const Value& structure) {
  Path path;
  compare(shallow, structure, path, true);
  return map_up_to(shallow, f, structure);
}

Value map_shape_structure(const std::function<Value(const Shape&)>& f, const Value& structure) {
  auto is_shape = [](const Value& v) {
    return v.is_list() && std::all_of(v.as_list().begin(), v.as_list().end(), [](const Value& e) { return e.is_int() || e.is_null(); });
  };
  return with_leaves(
      structure,
      [&](const Value& v) {
        if (!is_shape(v)) throw ValueError(ErrorText{.what = "this is no shape", .where = "tree::map_shape_structure", .expected = "lists of sizes and nulls", .received = v.str()}.str());
        return f(v.as_shape());
      },
      is_shape);
}

Value traverse(const std::function<std::optional<Value>(const Value&)>& f, const Value& structure, bool top_down) {
  if (top_down)
    if (std::optional<Value> made = f(structure)) return *made;
  Value walked = is_nested(structure) ? with_children(structure, [&](const Value& child) { return traverse(f, child, top_down); }) : structure;
  return top_down ? walked : f(walked).value_or(walked);
}

void assert_same_structure(const Value& a, const Value& b) {
  Path path;
  compare(a, b, path, false);
}
void assert_same_paths(const Value& a, const Value& b) {
  auto paths = [](const Value& v) {
    List out;
    for (const auto& [path, leaf] : flatten_with_path(v)) out.push_back(path);
    return out;
  };
  List p = paths(a), q = paths(b);
  if (!(Value(p) == Value(q))) throw ValueError(ErrorText{.what = "the structures have other paths", .expected = Value(p).str(), .received = Value(q).str()}.str());
}

}  // namespace keras::tree
