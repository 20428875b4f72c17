// What lives here: tests of keras.tree. Orders and results are those of Keras 3.15.
#include <gtest/gtest.h>

#include <keras/base/error.h>
#include <keras/tree.h>

namespace keras::tree {
namespace {

const Value kStructure = Dict{{"b", List{1, Dict{{"z", 2}, {"a", 3}}}}, {"a", 4}};
Value doubled(const Value& v) { return v.as_int() * 2; }

TEST(TreeTest, ApartAndTogether) {
  EXPECT_EQ(Value(flatten(kStructure)), Value(List{4, 1, 3, 2}));
  auto paths = flatten_with_path(kStructure);
  ASSERT_EQ(paths.size(), 4u);
  EXPECT_EQ(Value(paths[2].first), Value(List{"b", 1, "a"}));
  EXPECT_EQ(paths[2].second, Value(3));
  EXPECT_EQ(pack_sequence_as(kStructure, {10, 20, 30, 40}), Value(Dict{{"b", List{20, Dict{{"z", 40}, {"a", 30}}}}, {"a", 10}}));
  EXPECT_THROW(pack_sequence_as(kStructure, {10}), ValueError);
  EXPECT_TRUE(is_nested(kStructure));
  EXPECT_TRUE(is_nested(List{}));
  EXPECT_FALSE(is_nested(3));
  EXPECT_EQ(flatten(Value()).size(), 1u);
  EXPECT_EQ(flatten(List{Value(), List{1}}).size(), 2u);
  EXPECT_TRUE(flatten(Dict{}).empty());
}

TEST(TreeTest, Maps) {
  EXPECT_EQ(map_structure(doubled, kStructure), Value(Dict{{"b", List{2, Dict{{"z", 4}, {"a", 6}}}}, {"a", 8}}));
  auto sum = [](const List& leaves) { return Value(leaves[0].as_int() + leaves[1].as_int()); };
  EXPECT_EQ(map_structure(sum, {List{1, List{2}}, List{3, List{4}}}), Value(List{4, List{6}}));
  EXPECT_THROW(map_structure(sum, {List{1, List{2}}, List{3, 4}}), ValueError);
  EXPECT_EQ(map_structure_up_to(List{1, Dict{{"a", 2}}}, [](const Value& v) { return Value(static_cast<int>(flatten(v).size())); }, List{List{1, 2}, Dict{{"a", Dict{{"q", 3}}}}}),
            Value(List{2, Dict{{"a", 1}}}));
  EXPECT_THROW(map_structure_up_to(List{1, 2}, doubled, List{1}), ValueError);
  EXPECT_EQ(map_shape_structure([](const Shape& s) { return Value(s.rank()); }, List{List{1, 2}, Dict{{"a", List{3, Value(), 5}}}}), Value(List{2, Dict{{"a", 3}}}));
  auto three = [](const Value& v) { return v == Value(3) ? std::optional<Value>(5) : std::nullopt; };
  EXPECT_EQ(traverse(three, kStructure), Value(Dict{{"b", List{1, Dict{{"z", 2}, {"a", 5}}}}, {"a", 4}}));
  auto length = [](const Value& v) { return v.is_list() ? std::optional<Value>(v.as_list().size()) : std::nullopt; };
  EXPECT_EQ(traverse(length, kStructure, false), Value(Dict{{"b", 2}, {"a", 4}}));
}

TEST(TreeTest, Comparisons) {
  Value same = Dict{{"a", 0}, {"b", List{0, Dict{{"a", 0}, {"z", 0}}}}};
  EXPECT_NO_THROW(assert_same_structure(kStructure, same));
  EXPECT_NO_THROW(assert_same_paths(kStructure, same));
  for (const auto& [a, b] : std::vector<std::pair<Value, Value>>{{List{1, 2}, List{3}}, {List{1, List{2}}, List{1, 2}}, {Dict{{"a", 1}}, Dict{{"b", 1}}}}) {
    EXPECT_THROW(assert_same_structure(a, b), ValueError);
    EXPECT_THROW(assert_same_paths(a, b), ValueError);
  }
  try {
    assert_same_structure(kStructure, Dict{{"a", 0}, {"b", List{0, 1}}});
    ADD_FAILURE();
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("structure[\"b\"][1]"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace keras::tree
