// What lives here: tests of registered classes by name, and of objects of every kind to their saved forms and back.
#include <gtest/gtest.h>

#include <keras/layers/core/dense.h>
#include <keras/ops.h>
#include <keras/saving/custom_objects.h>

namespace keras::saving {
namespace {

struct Twice : Layer {
  Twice() : Layer("Twice") {}
  Tensor call(const Tensor& x) override { return x * 2; }
};
Value saved_layer(const char* registered) {
  return Dict{{"module", Value()}, {"class_name", "Twice"}, {"config", Dict{{"name", "t"}}}, {"registered_name", registered}};
}

TEST(CustomObjects, ScopesHaveAnEnd) {
  EXPECT_FALSE(get_registered_object("Mine>Twice"));
  {
    CustomObjectScope scope({{"Mine>Twice", [](const Dict&) -> Layer { return make<Twice>(); }}});
    EXPECT_TRUE(get_registered_object("Mine>Twice"));
    EXPECT_TRUE(get_registered_object("Twice"));
    EXPECT_TRUE(get_custom_objects().contains("Mine>Twice"));
    auto layer = std::get<Layer>(deserialize_keras_object(saved_layer("Mine>Twice")));
    EXPECT_EQ(layer(Tensor{{1.0, 2.0}}).to_vector<double>(), (std::vector<double>{2, 4}));
    {
      CustomObjectScope inner({{"Twice", [](const Dict&) -> Layer { return layers::Dense(3, {.name = "inner"}); }}});
      EXPECT_EQ((*get_registered_object("Twice"))({}).name(), "inner");
    }
    EXPECT_NE((*get_registered_object("Twice"))({}).name(), "inner");
  }
  EXPECT_FALSE(get_registered_object("Mine>Twice"));
  EXPECT_FALSE(get_custom_objects().contains("Mine>Twice"));
  EXPECT_THROW(deserialize_keras_object(saved_layer("Mine>Twice")), ValueError);
  EXPECT_TRUE(get_registered_object("Dense"));
  EXPECT_FALSE(get_custom_objects().contains("Dense"));
  EXPECT_EQ(get_registered_name(layers::Dense(2)), "Dense");
  EXPECT_EQ(get_registered_name(make<Twice>()), "Custom>Twice");
}

TEST(CustomObjects, ObjectsThereAndBack) {
  auto back = [](const Value& saved) {
    KerasObject object = deserialize_keras_object(saved);
    EXPECT_EQ(serialize_keras_object(object), saved) << saved.str();
    return object;
  };
  EXPECT_TRUE(std::holds_alternative<Layer>(back(serialize_keras_object(KerasObject(layers::Dense(3, {.kernel_regularizer = "l2"}))))));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<losses::Loss>>(back(serialize_keras_object(losses::Huber({.delta = 2})))));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<metrics::Metric>>(back(serialize_keras_object(metrics::AUC({.num_thresholds = 9})))));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<optimizers::Optimizer>>(back(optimizers::get("adamw")->serialize())));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<optimizers::schedules::LearningRateSchedule>>(back(serialize_keras_object(*optimizers::schedules::deserialize(optimizers::schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 5, .decay_rate = 0.5}).serialize())))));
  EXPECT_TRUE(std::holds_alternative<Initializer>(back(Initializer("he_normal").serialize())));
  EXPECT_TRUE(std::holds_alternative<Regularizer>(back(Regularizer("l1").serialize())));
  EXPECT_TRUE(std::holds_alternative<Constraint>(back(Constraint("max_norm").serialize())));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<quantizers::Quantizer>>(back(quantizers::AbsMaxQuantizer().serialize())));
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<quantizers::QuantizationConfig>>(back(quantizers::Int8QuantizationConfig().serialize())));
  EXPECT_TRUE(std::holds_alternative<DTypePolicy>(back(DTypePolicy("mixed_float16").serialize())));
  EXPECT_TRUE(std::holds_alternative<DTypePolicyMap>(back(DTypePolicyMap("float32", {{"a", DTypePolicy("float16")}}).serialize())));
  for (const Value& plain : {Value(), Value(3), Value("text"), Value(List{1, 2})}) EXPECT_EQ(std::get<Value>(back(plain)), plain);
  EXPECT_THROW(deserialize_keras_object(Dict{{"module", "keras.losses"}, {"class_name", "Hubert"}, {"config", Dict{}}}), ValueError);
}

TEST(CustomObjects, MapOfPoliciesInALayer) {
  Value saved = layers::serialize(layers::Dense(3, {.name = "head"}));
  Dict config = saved.get("config").as_dict(), object = saved.as_dict();
  config.set("dtype", DTypePolicyMap("float32", {{"he.d", DTypePolicy("mixed_bfloat16")}}).serialize());
  object.set("config", config);
  EXPECT_EQ(layers::deserialize(object).config().at("dtype").get("config").get("name"), Value("mixed_bfloat16"));
}

}  // namespace
}  // namespace keras::saving
