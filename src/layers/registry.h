// What lives here: the table of layer classes that can be made from saved configurations. Each family lists its own.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <keras/layers/layer.h>

namespace keras::layers {

struct LayerClass {
  const char* name;
  Layer (*make)(const Dict& config);
};

// One function per folder of src/layers, in its registry.cpp.
std::vector<LayerClass> core_layers();
std::vector<LayerClass> activation_layers();
std::vector<LayerClass> attention_layers();
std::vector<LayerClass> convolutional_layers();
std::vector<LayerClass> merging_layers();
std::vector<LayerClass> normalization_layers();
std::vector<LayerClass> pooling_layers();
std::vector<LayerClass> preprocessing_layers();
std::vector<LayerClass> regularization_layers();
std::vector<LayerClass> reshaping_layers();
std::vector<LayerClass> rnn_layers();

/// Names of all classes that `deserialize` knows, registered ones too.
std::vector<std::string> known_layers();

/// What makes a layer of that class, none when it is unknown; and what is there besides Keras' own.
std::optional<LayerFactory> layer_factory(const std::string& class_name);
std::map<std::string, LayerFactory> custom_layers();
/// Classes that this thread knows before all others, until they are taken away again, the last ones first.
void push_layers(std::map<std::string, LayerFactory> classes);
void pop_layers();

/// Null when a layer of the saved class can be made; else why not, and the line that would register it. A Lambda holds code, which is
/// never run: it is found as "Lambda>" and its name, where a C++ layer is registered so.
struct Refusal {
  bool code = false;  // a Lambda
  std::string what{}, where{}, fix{};
};
std::optional<Refusal> refusal(const Value& saved);

/// While one of these lives, saved objects with the same "shared_object_id" become one object: a layer inside of two wrappers.
class SharingScope {
 public:
  SharingScope();
  SharingScope(const SharingScope&) = delete;
  SharingScope& operator=(const SharingScope&) = delete;
  ~SharingScope();
  /// What was made of this id before, or null; TypeError when that was of another class.
  static const Layer* find(const Value& saved);
  static void record(const Value& saved, const Layer& layer);

 private:
  std::map<int64_t, Layer> made_;
  SharingScope* outer_;
};

/// While one of these lives, what is serialised carries the number of its object as "shared_object_id".
class SavedIds {
 public:
  SavedIds();
  SavedIds(const SavedIds&) = delete;
  SavedIds& operator=(const SavedIds&) = delete;
  ~SavedIds();
  /// Numbers `saved`, the saved form of `object`; nothing where no SavedIds lives.
  static void tag(Dict& saved, const void* object);
  /// `saved` with the numbers of those objects alone that stand in it more than once.
  static Value shared_only(const Value& saved);

 private:
  std::map<const void*, int64_t> numbers_;
  SavedIds* outer_;
};

}  // namespace keras::layers
