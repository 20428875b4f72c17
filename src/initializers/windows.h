// What lives here: the window functions of scipy.signal.windows that need no parameter.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace keras::initializers {

/// `scipy.signal.get_window(name, length, periodic)`; ValueError naming the nearest for an unknown name.
std::vector<double> window(const std::string& name, int64_t length, bool periodic);

}  // namespace keras::initializers
