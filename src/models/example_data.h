// What lives here: made-up data that fits a model, for measuring what does not depend on numbers. Nothing learns from it.
#pragma once
#include <random>

#include <keras/models/model.h>

namespace keras::models {

/// One tensor of `rows` rows per input: normal numbers, or whole ones below the smallest input_dim of the model's Embeddings. Other sizes
/// that the input leaves open are 16. ValueError where the model doesn't know its inputs.
Tensors example_inputs(const Model& model, int64_t rows, std::mt19937& rng);
/// One per output, as the compiled losses take them: class numbers, one-hot rows, 0 or 1, or normal numbers.
Tensors example_targets(const Model& model, int64_t rows, std::mt19937& rng);

}  // namespace keras::models
