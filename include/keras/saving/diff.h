// What lives here: how two models differ: in structure, in weights, in what their layers give.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <keras/models/model.h>

namespace keras::saving {

struct DiffOptions {
  /// What both models are run on; random numbers from `seed` where there is none. Nothing is run when the inputs of the models differ.
  Arrays input{};
  int64_t seed = 0;
  /// Rows of random input.
  int64_t rows = 2;
  /// Differences up to this, relative to the largest value, count as none.
  double tolerance = 0;
  /// The same for outputs of layers: sums come out in another order where layers differ.
  double output_tolerance = 1e-5;
};

struct DiffReport {
  struct Layer {
    enum Status { OnlyInA, OnlyInB, Changed };
    Status status{};
    std::string path{}, name{}, class_name{};
    std::vector<std::string> changes{};  // "units: 4 → 8"
  };
  struct Weight {
    enum Status { Same, OnlyInA, OnlyInB, Shape, Differs };
    Status status = Same;
    std::string path{}, variable{};
    keras::Shape a{}, b{};
    double max_abs = 0, max_rel = 0;  // rel: to the largest value of A
  };
  struct Output {
    std::string layer{}, class_name{};
    double max_abs = 0, max_rel = 0;
    std::string note{};  // "shapes differ: …"
  };
  std::vector<Layer> layers{};
  std::vector<Weight> weights{};        // all, Same ones too
  std::optional<Output> departure{};    // the first layer whose output departs
  size_t layers_compared = 0;
  std::vector<std::string> notes{};     // why outputs were not compared
  bool same = true;

  Value to_value() const;
  std::string str() const;
};

/// Compares the layers (class, options, connections) in order, the weights by their places, and the outputs of layers on one input, first
/// to last. Names of layers that are counted (dense_3) do not matter.
DiffReport diff(const Model& a, const Model& b, const DiffOptions& options = {});

}  // namespace keras::saving
