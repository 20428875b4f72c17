// What lives here: keras.tree for configuration values: lists and dictionaries in each other, taken apart and put together. Dictionaries
// are walked in the order of their sorted keys, as Keras walks them, and keep their own order.
#pragma once
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <keras/base/value.h>

namespace keras::tree {

/// Keys and indices that lead to a leaf: `{"b", 1, "a"}`.
using Path = List;

/// True for lists and dictionaries, empty ones too.
bool is_nested(const Value& structure);
/// The leaves. What is not nested is its own leaf; null is a leaf.
///
///     flatten(Dict{{"b", List{1, 2}}, {"a", 0}})  // [0, 1, 2]
List flatten(const Value& structure);
std::vector<std::pair<Path, Value>> flatten_with_path(const Value& structure);
/// The structure with other leaves. ValueError when there are not as many.
Value pack_sequence_as(const Value& structure, const List& flat);

/// The structure with each leaf replaced by what `f` makes of it.
Value map_structure(const std::function<Value(const Value&)>& f, const Value& structure);
/// The same for several structures alike: `f` gets the leaves that stand at the same place. ValueError when they are not alike.
Value map_structure(const std::function<Value(const List&)>& f, const std::vector<Value>& structures);
/// `f` on what stands in `structure` where `shallow` has its leaves. ValueError when `structure` does not begin like it.
Value map_structure_up_to(const Value& shallow, const std::function<Value(const Value&)>& f, const Value& structure);
/// `f` on shapes: lists of sizes and nulls count as leaves.
Value map_shape_structure(const std::function<Value(const Shape&)>& f, const Value& structure);
/// Asks `f` at every place, from the top (or the leaves) on: what it gives stands there then, and is not walked into; nullopt goes on.
Value traverse(const std::function<std::optional<Value>(const Value&)>& f, const Value& structure, bool top_down = true);

/// ValueError naming the first place where two structures differ: kinds, lengths, keys. Leaves may differ.
void assert_same_structure(const Value& a, const Value& b);
/// ValueError when the leaves of two structures don't have the same paths.
void assert_same_paths(const Value& a, const Value& b);

}  // namespace keras::tree
