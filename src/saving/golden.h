// What lives here: the trace of trust inside a `.keras` file: what is stored. What the outside sees is keras/saving/verify.h.
#pragma once
#include <vector>

#include <keras/models/model.h>

#include "saving/keras_file.h"
#include "saving/layer_outputs.h"

namespace keras::saving {

/// golden/trace.json and golden/trace.npz for these inputs.
std::vector<ExtraMember> golden_members(const Model& model, const Arrays& inputs);

}  // namespace keras::saving
