// What lives here: how the lines of an explanation are put together, for layers and models alike. No words of any one layer.
#pragma once
#include <string>
#include <vector>

#include <keras/base/shape.h>

#include "layers/layer_impl.h"

namespace keras::layers {

/// "None" or the number.
std::string size_text(int64_t size);
/// "(None, 4)", or several with commas.
std::string shapes_text(const std::vector<Shape>& shapes);
/// `dense_1 (Dense): (None, 3) -> (None, 4)` with the end of line.
std::string explained_call(const std::string& name, const std::string& class_name, const std::vector<Shape>& inputs, const std::vector<Shape>& outputs);
/// A sentence for each axis of `out` by comparing it with `in`: what is kept, what `maker` changes or makes.
std::vector<std::string> compared_axes(const std::vector<Shape>& in, const Shape& out, const std::string& maker);
/// The lines `  axis 0 = None: …`.
std::string explained_axes(const std::vector<std::string>& sentences, const Shape& out);
/// Every line two columns further in.
std::string indented(const std::string& text);
/// The parameters of a layer, all weights counted once.
int64_t parameter_count(const LayerImpl& layer);

}  // namespace keras::layers
