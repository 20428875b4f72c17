// What lives here: eigenvalues and eigenvectors of real square matrices that need not be symmetric.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// (…, n, n) → values (…, n) and vectors (…, n, n) in columns, each as real and as imaginary parts: four results. Vectors have length 1
/// and a real largest element; of two conjugate values the one with the positive imaginary part comes first.
engine::KernelPtr make_eig(DType dtype, const Shape& a);

}  // namespace keras::cpu
