// What lives here: the orthogonal factor of a matrix, with the signs that make it unique.
#pragma once
#include <cstdint>
#include <vector>

namespace keras::initializers {

/// Q of a = QR (rows >= cols, row-major), reduced, with the diagonal of R made positive.
std::vector<double> orthogonal_factor(std::vector<double> a, int64_t rows, int64_t cols);

}  // namespace keras::initializers
