// What lives here: the progress bar of fit, evaluate and predict.
#pragma once
#include <memory>

#include <keras/models/callback.h>

namespace keras::models {

/// Writes what Keras' progress bar writes: verbose 1 a bar that moves on a terminal, plain lines elsewhere; 2 one line per epoch.
std::shared_ptr<callbacks::Callback> make_progbar(int verbose);

bool is_progbar(const callbacks::Callback& callback);

}  // namespace keras::models
