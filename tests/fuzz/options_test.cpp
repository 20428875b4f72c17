// What lives here: every option of every class that can be saved, given values of wrong kinds. Each is either taken or refused by a
// keras::Error, one that names the option where the object can't be made; and what Keras refuses is refused here. options/KIND.json holds, for each class of
// Keras 3.15, a good configuration, inputs that it works on, and Keras' verdict for each value below (a: taken, r: refused, s: too slow to say), found
// by constructing the object and using it once.
#include <gtest/gtest.h>

#include <algorithm>

#include <keras/keras.h>

#include "engine/memory.h"
#include "io/file.h"
#include "io/json.h"
#include "layers/registry.h"

namespace keras {
namespace {

// In the order of the letters of a verdict.
const std::vector<Value>& values() {
  static const std::vector<Value> all{Value(), true, "nonsense", -1, 0, 2.5, List{}, List{1, 2, 3, 4, 5, 6, 7}, Dict{}, Dict{{"class_name", "NoSuch"}, {"config", Dict{}}}};
  return all;
}

struct Input {
  std::string kind;  // f or i
  Shape shape;
  Tensor ones() const { return Tensor::full(shape, 1.0).astype(kind == "i" ? DType::Int32 : DType::Float32); }
};

// Constructs the object, tells so, and uses it once.
void use(const std::string& kind, const std::string& cls, const Dict& config, const std::vector<Input>& inputs, bool& made) {
  Value saved = Dict{{"class_name", cls}, {"config", config}};
  Tensor first = inputs.empty() ? Tensor() : inputs[0].ones(), second = inputs.size() > 1 ? inputs[1].ones() : Tensor();
  if (kind == "layers") {
    Layer layer = layers::deserialize(saved);
    made = true;
    Tensors symbolic;
    for (const Input& in : inputs) symbolic.push_back(keras::Input(in.shape.slice(1, in.shape.rank()), {.batch_size = in.shape[0], .dtype = in.kind == "i" ? "int32" : "float32"}));
    if (cls.ends_with("Cell") || cls == "StackedRNNCells") {
      layers::RNN rnn(layer);
      rnn(keras::Input({3, inputs[0].shape[1]}));
    } else if (symbolic.size() > 1) {
      layer(symbolic);
    } else {
      layer(symbolic[0]);
    }
  } else if (kind == "losses") {
    auto loss = losses::get(saved);
    made = true;
    (*loss)(first, second);
  } else if (kind == "metrics") {
    auto metric = metrics::get(saved);
    made = true;
    metric->update_state(first, second);
    metric->result();
  } else if (kind == "optimizers") {
    auto optimizer = optimizers::get(saved);
    made = true;
    Variable v(Tensor::full({2, 2}, 1.0));
    optimizer->build({v});
    optimizer->apply({Tensor::full({2, 2}, 1.0)}, {v});
  } else if (kind == "initializers") {
    auto initializer = initializers::get(saved);
    made = true;
    (*initializer)(inputs[0].shape);
  } else if (kind == "regularizers") {
    auto regularizer = regularizers::get(saved);
    made = true;
    (*regularizer)(first);
  } else if (kind == "constraints") {
    auto constraint = constraints::get(saved);
    made = true;
    (*constraint)(first);
  } else {
    auto schedule = optimizers::schedules::deserialize(saved);
    made = true;
    (*schedule)(Tensor::full({}, 1.0).astype(DType::Int32));
  }
}

// What is taken here and not in Keras, with the reason.
bool taken_on_purpose(const std::string& field, const Value& given, const Value& v, const std::string& cls) {
  if (v.is_bool() && !given.is_bool()) return true;                              // a bool is an int in Python; where Keras looks closer, it is by chance
  if (v.is_number() && (given.is_float() || given.is_bool())) return true;       // 0 for 0.0, 0 for false
  if (v.is_null() && field.ends_with("_initializer")) return true;               // the default, as for other weights
  if (v.is_null() && field == "trainable") return true;                          // the default
  if (field == "reduction" && v == Value(-1)) return true;                       // None is -1 in C++
  if (field == "learning_rate" && v.is_number()) return true;
  return field == "quantization_config" && cls != "";                           // belongs to quantization, which is not offered
}

// Words of an error against the name of an option: "target class id" names `target_class_ids`.
bool names(std::string text, std::string field) {
  std::replace(text.begin(), text.end(), '_', ' ');
  std::replace(field.begin(), field.end(), '_', ' ');
  if (field.ends_with("s")) field.pop_back();
  return text.find(field) != std::string::npos;
}

class Options : public ::testing::TestWithParam<const char*> {
 protected:
  WarningHandler before_;
  size_t limit_ = 0;
  void SetUp() override {
    before_ = set_warning_handler([](const std::string&) {});
    limit_ = engine::set_memory_limit(size_t{64} << 20);
  }
  void TearDown() override {
    set_warning_handler(before_);
    engine::set_memory_limit(limit_);
  }
};

TEST_P(Options, WrongValuesAreRefusedAsInKeras) {
  std::string kind = GetParam(), path = std::string(KERAS_SOURCE_DIR) + "/tests/fuzz/options/" + kind + ".json";
  Value file = io::parse_json(io::read_text_file(path), path);
  size_t tried = 0;
  for (const auto& [cls, entry] : file.as_dict()) {
    std::vector<Input> inputs;
    for (const Value& v : entry.get("inputs").as_list()) {
      const List& l = v.as_list();
      inputs.push_back({l[0].as_string(), Value(List(l.begin() + 1, l.end())).as_shape()});
    }
    const Dict& config = entry.get("config").as_dict();
    try {
      utils::clear_session();
      bool made = false;
      use(kind, cls, config, inputs, made);
    } catch (const std::exception& e) {
      if (std::string(e.what()).starts_with("Unknown layer class")) continue;  // not offered
      ADD_FAILURE() << cls << ": Keras' own configuration is refused: " << e.what();
      continue;
    }
    for (const auto& [field, verdicts] : entry.get("verdicts").as_dict()) {
      for (size_t i = 0; i < values().size(); ++i) {
        const Value& v = values()[i];
        Dict changed = config;
        changed.set(field, v);
        char keras_says = verdicts.as_string()[i];
        std::string what = cls + "." + field + " = " + v.str();
        ++tried;
        bool made = false;
        try {
          use(kind, cls, changed, inputs, made);
          if (keras_says == 'r' && !taken_on_purpose(field, config.at(field), v, cls)) ADD_FAILURE() << "SILENT " << what << ": Keras refuses this, here it is taken";
        } catch (const Error& e) {
          std::string text = e.what(), value = v.is_string() ? v.as_string() : "NoSuch";
          if (!names(text, field) && text.find(value) == std::string::npos && (!made || v.is_string())) ADD_FAILURE() << "NAMELESS " << what << ": " << text;
        } catch (const std::exception& e) {
          ADD_FAILURE() << "FOREIGN " << what << ": " << typeid(e).name() << ": " << e.what();
        }
      }
    }
  }
  EXPECT_GT(tried, 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Options, ::testing::Values("layers", "losses", "metrics", "optimizers", "initializers", "regularizers", "constraints", "schedules"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace keras
