// What lives here: tests of the process' settings and of dtype policies. What layers, ops and losses make of them is tested there.
#include <gtest/gtest.h>

#include <keras/base/error.h>
#include <keras/config.h>
#include <keras/dtype_policies.h>
#include <keras/base/dtype_policy_map.h>

namespace keras {
namespace {

TEST(ConfigTest, StartsAndRefusesAsKeras) {
  EXPECT_EQ(config::backend(), "keras-cpp");
  config::set_backend("keras-cpp");
  EXPECT_THROW(config::set_backend("torch"), ValueError);
  EXPECT_EQ(config::floatx(), "float32");
  EXPECT_THROW(config::set_floatx("int32"), ValueError);
  config::set_floatx("bfloat16");
  EXPECT_EQ(config::floatx_dtype(), DType::BFloat16);
  config::set_floatx("float32");
  EXPECT_EQ(config::epsilon(), 1e-7);
  config::set_epsilon(1e-5);
  EXPECT_EQ(config::epsilon(), 1e-5);
  config::set_epsilon(1e-7);
  EXPECT_EQ(config::image_data_format(), "channels_last");
  EXPECT_THROW(config::set_image_data_format("channels"), ValueError);
  config::set_image_data_format("channels_first");
  EXPECT_EQ(config::image_data_format(), "channels_first");
  config::set_image_data_format("channels_last");
  EXPECT_FALSE(config::is_flash_attention_enabled().has_value());
  config::disable_flash_attention();
  EXPECT_EQ(config::is_flash_attention_enabled(), false);
  config::enable_flash_attention();
  EXPECT_FALSE(config::is_flash_attention_enabled().has_value());
  EXPECT_TRUE(config::is_interactive_logging_enabled());
  config::disable_interactive_logging();
  EXPECT_FALSE(config::is_interactive_logging_enabled());
  config::enable_interactive_logging();
  EXPECT_TRUE(config::is_traceback_filtering_enabled());
  EXPECT_FALSE(config::is_nnx_enabled());
  EXPECT_FALSE(config::max_epochs().has_value());
  config::set_max_epochs(3);
  EXPECT_EQ(config::max_epochs(), 3);
  config::set_max_epochs(0);
  EXPECT_FALSE(config::max_epochs().has_value());
  config::set_max_epochs({});
  EXPECT_THROW(config::set_max_steps_per_epoch(-1), ValueError);
}

TEST(ConfigTest, ThePolicyIsFloatxFromItsFirstUseOn) {
  config::clear_session();
  config::set_floatx("float64");
  EXPECT_EQ(dtype_policy(), "float64");
  config::set_floatx("float32");
  EXPECT_EQ(dtype_policy(), "float64");
  const std::string& held = dtype_policy();
  config::clear_session();
  EXPECT_EQ(dtype_policy(), "float32");
  EXPECT_EQ(held, "float64");
  set_dtype_policy("mixed_bfloat16");
  config::set_floatx("float16");
  EXPECT_EQ(dtype_policy(), "mixed_bfloat16");
  config::set_floatx("float32");
  EXPECT_THROW(set_dtype_policy("mixed_float64"), ValueError);
  EXPECT_EQ(dtype_policy(), "mixed_bfloat16");
  config::clear_session();
}

TEST(DTypePolicyTest, NamesAndSavedForms) {
  DTypePolicy p("mixed_float16");
  EXPECT_EQ(p.compute_dtype(), DType::Float16);
  EXPECT_EQ(p.variable_dtype(), DType::Float32);
  EXPECT_EQ(p.str(), "<DTypePolicy \"mixed_float16\">");
  EXPECT_EQ(p.serialize(), Value(Dict{{"module", "keras"}, {"class_name", "DTypePolicy"}, {"config", Dict{{"name", "mixed_float16"}}}, {"registered_name", Value()}}));
  EXPECT_TRUE(dtype_policies::deserialize(dtype_policies::serialize(p)) == p);
  EXPECT_EQ(dtype_policies::get("int32").variable_dtype(), DType::Int32);
  EXPECT_EQ(dtype_policies::get(nullptr).name(), dtype_policy());
  EXPECT_TRUE(DTypePolicy::from_config(p.get_config()) == p);
  for (const char* name : {"", "float8", "mixed_float64"}) EXPECT_THROW(DTypePolicy{name}, ValueError) << name;
  EXPECT_THROW(dtype_policies::get(3), ValueError);
  EXPECT_THROW(dtype_policies::get(Dict{{"class_name", "QuantizedDTypePolicy"}, {"config", Dict{{"mode", "int8"}}}}), ValueError);
}

TEST(DtypePolicyMap, KeysAndForms) {
  DTypePolicyMap map("float32");
  map.set("encoder/.*", "mixed_bfloat16");
  map.set("head", DTypePolicy("float16"));
  EXPECT_EQ(map["encoder/dense"].name(), "mixed_bfloat16");
  EXPECT_EQ(map["head"].compute_dtype(), DType::Float16);
  EXPECT_EQ(map["encoder"].name(), "float32");  // a whole path, or none of it
  EXPECT_EQ(map["head/dense"].name(), "float32");
  EXPECT_EQ(map.name(), "map_float32");
  EXPECT_EQ(map.size(), 2u);
  EXPECT_THROW(map.set("head", "float32"), ValueError);
  EXPECT_THROW(map.set("tail", "float31"), ValueError);
  EXPECT_THROW(map.set("(", "float32"), ValueError);
  map.set("encoder/d.*", "float64");
  EXPECT_THROW(map["encoder/dense"], ValueError);
  EXPECT_EQ(map.erase("encoder/d.*").name(), "float64");
  EXPECT_THROW(map.erase("encoder/d.*"), ValueError);
  Value saved = map.serialize();
  EXPECT_EQ(saved.get("module"), Value("keras.dtype_policies"));
  EXPECT_EQ(saved.get("config").get("policy_map").get("head").get("config").get("name"), Value("float16"));
  DTypePolicyMap back = DTypePolicyMap::from_config(saved.get("config").as_dict());
  EXPECT_EQ(back.serialize(), saved);
  EXPECT_EQ(back.str(), "<DTypePolicyMap default_policy=float32, mapping=[('encoder/.*', 'mixed_bfloat16'), ('head', 'float16')]>");
  EXPECT_EQ(DTypePolicyMap()["x"].name(), dtype_policy());
  EXPECT_THROW(DTypePolicyMap("float31"), ValueError);
}

}  // namespace
}  // namespace keras
