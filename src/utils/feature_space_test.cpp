// What lives here: tests of FeatureSpace, by hand: what each column becomes, and in what order.
#include <gtest/gtest.h>

#include <keras/models/model.h>
#include <keras/layers/core/dense.h>
#include <keras/ops.h>
#include <keras/utils/feature_space.h>

namespace keras::utils {
namespace {

using Table = FeatureSpace::Table;
Table people() {
  return {{"age", Tensor{20.0, 30.0, 40.0}}, {"city", StringArray{"Bonn", "Ulm", "Bonn"}}, {"sex", Tensor{{1}, {2}, {2}}}, {"size", Tensor{1.5, 1.6, 1.8}}};
}
FeatureSpace space() {
  return FeatureSpace({{"size", "float"}, {"age", FeatureSpace::float_normalized()}, {"city", "string_categorical"}, {"sex", "integer_categorical"}},
                      {.crosses = {FeatureSpace::cross({"sex", "sex"}, 4)}});
}

TEST(FeatureSpace, EncodesSideBySide) {
  FeatureSpace s = space();
  EXPECT_THROW(s(people()), ValueError);  // nothing learned
  s.adapt(people());
  Tensor x = s(people());
  // age 1, city 3, sex 3, size 1, then the cross.
  ASSERT_EQ(x.shape(), (Shape{3, 12}));
  std::vector<double> v = x.to_vector<double>();
  EXPECT_NEAR(v[0], -1.2247449, 1e-5);
  EXPECT_EQ(std::vector<double>(v.begin() + 1, v.begin() + 4), (std::vector<double>{0, 1, 0}));   // "Bonn", the most frequent
  EXPECT_EQ(std::vector<double>(v.begin() + 4, v.begin() + 7), (std::vector<double>{0, 0, 1}));   // 1 after 2
  EXPECT_NEAR(v[7], 1.5, 1e-6);
  EXPECT_EQ(v[8] + v[9] + v[10] + v[11], 1);
  EXPECT_EQ(std::vector<double>(v.begin() + 13, v.begin() + 16), (std::vector<double>{0, 0, 1}));  // "Ulm"
  // What was never seen, in a row alone.
  Tensor row = s({{"age", Tensor(30.0)}, {"city", StringArray(Shape{}, {"Köln"})}, {"sex", Tensor(2)}, {"size", Tensor(2)}});
  ASSERT_EQ(row.shape(), (Shape{12}));
  EXPECT_EQ(ops::get_item(row, {Slice{.start = 1, .stop = 4}}).to_vector<double>(), (std::vector<double>{1, 0, 0}));
}

TEST(FeatureSpace, ByName) {
  FeatureSpace s({{"city", FeatureSpace::string_categorical({}, 1, "int")}, {"age", FeatureSpace::float_discretized(2, std::vector<double>{25, 35})}, {"id", FeatureSpace::integer_hashed(5)}},
                 {.output_mode = "dict"});
  Table t = people();
  t.emplace("id", Tensor{7, 8, 9});
  s.adapt(t);
  auto encoded = s.encode(t);
  EXPECT_EQ(encoded.at("city").to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 1}));
  EXPECT_EQ(encoded.at("age").to_vector<double>(), (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(encoded.at("id").shape(), (Shape{3, 5}));
  EXPECT_THROW(s(t), ValueError);
  // Batches teach the same.
  FeatureSpace again({{"city", FeatureSpace::string_categorical({}, 1, "int")}}, {.output_mode = "dict"});
  again.adapt(std::vector<Table>{{{"city", StringArray{"Ulm"}}}, {{"city", StringArray{"Bonn", "Bonn"}}}});
  EXPECT_EQ(again.encode(t).at("city").to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 1}));
}

TEST(FeatureSpace, InModels) {
  FeatureSpace s({{"a", "float"}, {"b", FeatureSpace::float_rescaled(2, 1)}, {"n", FeatureSpace::integer_hashed(3)}});
  std::map<std::string, Tensor> in = s.get_inputs();
  EXPECT_EQ(in.at("n").dtype(), DType::Int32);
  Tensor y = s.get_encoded_features();
  EXPECT_EQ(y.shape(), (Shape{None, 5}));
  Model m({in.at("a"), in.at("b"), in.at("n")}, y);
  Table t{{"a", Tensor{{1.0}, {2.0}}}, {"b", Tensor{{3.0}, {4.0}}}, {"n", Tensor{{5}, {6}}}};
  Tensor want = s(t);
  EXPECT_EQ(m({std::get<Tensor>(t.at("a")), std::get<Tensor>(t.at("b")), std::get<Tensor>(t.at("n"))}).to_vector<double>(), want.to_vector<double>());
  EXPECT_EQ(want.to_vector<double>()[1], 7);
  EXPECT_THROW(space().get_inputs(), NotImplementedError);
}

TEST(FeatureSpace, ThereAndBack) {
  FeatureSpace s({{"a", "float"}, {"c", "integer_hashed"}, {"d", "string_hashed"}}, {.crosses = {{.feature_names = {"c", "d"}}}, .crossing_dim = 6, .hashing_dim = 4});
  Dict config = s.get_config();
  EXPECT_EQ(config.at("features").get("a").get("class_name"), Value("Feature"));
  EXPECT_EQ(config.at("features").get("a").get("config").get("preprocessor").get("class_name"), Value("TFDIdentity"));
  EXPECT_EQ(config.at("crosses").as_list()[0].get("config").get("crossing_dim"), Value(6));
  FeatureSpace back = FeatureSpace::from_config(config);
  EXPECT_EQ(back.get_config(), config);
  Table t{{"a", Tensor{1.0, 2.0}}, {"c", Tensor{3, 4}}, {"d", StringArray{"x", "y"}}};
  EXPECT_EQ(back(t).shape(), (Shape{2, 1 + 4 + 4 + 6}));
  EXPECT_EQ(back(t).to_vector<double>(), s(t).to_vector<double>());
}

TEST(FeatureSpace, Mistakes) {
  EXPECT_THROW(FeatureSpace(FeatureSpace::Features{}), ValueError);
  EXPECT_THROW(FeatureSpace(FeatureSpace::Features{{"a", "flaot"}}), ValueError);
  EXPECT_THROW(FeatureSpace({{"a", "float"}}, {.output_mode = "list"}), ValueError);
  EXPECT_THROW(FeatureSpace({{"a", "float"}}, {.crosses = {{.feature_names = {"a", "b"}}}}), ValueError);
  EXPECT_THROW(FeatureSpace::integer_hashed(3, "two_hot"), ValueError);
  FeatureSpace s(FeatureSpace::Features{{"a", "float"}});
  EXPECT_THROW(s({{"b", Tensor{1.0}}}), ValueError);
  EXPECT_THROW(s({{"a", StringArray{"x"}}}), ValueError);
  EXPECT_THROW(FeatureSpace({{"a", FeatureSpace::integer_hashed(3, "int")}})({{"a", Tensor{1}}}), ValueError);
  EXPECT_THROW(space().adapt({{"age", StringArray{"old"}}, {"city", StringArray{"x"}}, {"sex", Tensor{1}}, {"size", Tensor{1.0}}}), ValueError);
}

}  // namespace
}  // namespace keras::utils
