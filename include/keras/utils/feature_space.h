// What lives here: FeatureSpace: tables with columns of numbers and strings, to vectors that models take. The layers that it is made of are
// Keras' own preprocessing layers.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <keras/base/string_array.h>
#include <keras/base/value.h>
#include <keras/layers/layer.h>

namespace keras::utils {

/// Keras' FeatureSpace: says for each column of a table how it is encoded, learns from data what that needs (vocabularies, means, bins),
/// and encodes rows.
///
///     using keras::utils::FeatureSpace;
///     FeatureSpace space({{"age", FeatureSpace::float_normalized()}, {"city", "string_categorical"}, {"sex", "integer_categorical"}},
///                        {.crosses = {FeatureSpace::cross({"city", "sex"}, 32)}});
///     space.adapt(table);                  // {"age": (rows,), "city": (rows,) strings, …}
///     keras::Tensor x = space(table);      // (rows, all encodings side by side)
class FeatureSpace {
 public:
  using Column = std::variant<Tensor, StringArray>;
  /// Columns by name, (rows,) or (rows, n); a row alone has columns of shape ().
  using Table = std::map<std::string, Column>;

  /// How a column is encoded: a layer, and what becomes of what it gives ("int": nothing, "one_hot", "float": nothing).
  class Feature {
   public:
    /// ValueError for another output_mode.
    Feature(std::string dtype, Layer preprocessor, std::string output_mode);
    /// A standard encoding by its name: "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
    /// "string_categorical", "integer_hashed", "string_hashed".
    Feature(const char* kind) : kind_(kind) {}
    Feature(std::string kind) : kind_(std::move(kind)) {}
    const std::string& dtype() const { return dtype_; }
    const Layer& preprocessor() const { return preprocessor_; }
    const std::string& output_mode() const { return output_mode_; }
    Dict get_config() const;

   private:
    friend class FeatureSpace;
    std::string kind_{}, dtype_{}, output_mode_{};  // kind_: where the rest is still to be made
    Layer preprocessor_{};
  };
  /// Whole numbers or strings of several columns hashed together into `crossing_dim` bins.
  struct Cross {
    std::vector<std::string> feature_names{};
    /// None: the space's own.
    std::optional<int64_t> crossing_dim{};
    /// "one_hot" or "int".
    std::string output_mode = "one_hot";
    /// "city_X_sex".
    std::string name() const;
  };
  struct Options {
    /// "concat": one vector per row; "dict": encodings by name.
    std::string output_mode = "concat";
    std::vector<Cross> crosses{};
    /// Bins of crosses, of hashed columns, and of discretised ones, that don't say how many.
    int64_t crossing_dim = 32, hashing_dim = 32, num_discretization_bins = 32;
    std::optional<std::string> name{};
  };

  using Features = std::vector<std::pair<std::string, Feature>>;
  /// ValueError for no features, unknown kinds and modes, and crosses of columns that are not there.
  explicit FeatureSpace(Features features, Options options);
  explicit FeatureSpace(Features features) : FeatureSpace(std::move(features), Options()) {}

  static Feature feature(const std::string& dtype, const Layer& preprocessor, const std::string& output_mode) { return Feature(dtype, preprocessor, output_mode); }
  static Cross cross(std::vector<std::string> feature_names, int64_t crossing_dim, const std::string& output_mode = "one_hot");
  static Feature float_(const std::string& name = "");
  static Feature float_rescaled(double scale = 1, double offset = 0, const std::string& name = "");
  static Feature float_normalized(const std::string& name = "");
  static Feature float_discretized(int64_t num_bins, const std::optional<std::vector<double>>& bin_boundaries = {}, const std::string& output_mode = "one_hot",
                                   const std::string& name = "");
  static Feature integer_categorical(std::optional<int64_t> max_tokens = {}, int64_t num_oov_indices = 1, const std::string& output_mode = "one_hot",
                                     const std::string& name = "");
  static Feature string_categorical(std::optional<int64_t> max_tokens = {}, int64_t num_oov_indices = 1, const std::string& output_mode = "one_hot",
                                    const std::string& name = "");
  static Feature string_hashed(int64_t num_bins, const std::string& output_mode = "one_hot", const std::string& name = "");
  static Feature integer_hashed(int64_t num_bins, const std::string& output_mode = "one_hot", const std::string& name = "");

  /// Learns what the columns' layers need, of a table or of batches of one.
  void adapt(const Table& table);
  void adapt(const std::vector<Table>& batches);
  /// The rows encoded, side by side in the alphabetical order of the columns, then of the crosses: (rows, …), or (…) for a row alone.
  /// ValueError before `adapt` where something is to be learned, for missing columns, in "dict" mode, and where a column stays whole
  /// numbers.
  Tensor operator()(const Table& table) const;
  /// The encodings by name, in either mode.
  std::map<std::string, Tensor> encode(const Table& table) const;

  /// Inputs for the columns of a functional model, (None, 1), and their encodings of it. NotImplementedError for columns of strings: encode
  /// those ahead.
  const std::map<std::string, Tensor>& get_inputs() const;
  Tensor get_encoded_features() const;

  const std::string& name() const { return name_; }
  const Features& features() const { return features_; }
  /// The layers by column and by cross.
  const Layer& preprocessor(const std::string& feature) const;
  const Layer& crosser(const std::string& cross) const;

  /// As Keras writes it; what was learned is in the layers' own configurations and weights.
  Dict get_config() const;
  static FeatureSpace from_config(const Dict& config);

 private:
  void check_adapted() const;
  bool to_learn(const Layer& preprocessor) const;
  int64_t cardinality(const std::string& name, const Layer& layer) const;

  std::string name_;
  Features features_;
  Options options_;
  std::map<std::string, Layer> crossers_;
  mutable std::map<std::string, Layer> encoders_;
  mutable std::map<std::string, Tensor> inputs_;
  bool adapted_ = false;
};

}  // namespace keras::utils
