// What lives here: the contract between an executable and the kernels it runs. A kernel is made once for fixed shapes
// and dtypes and then only run: run() allocates nothing, takes no lock and may be called from several threads at once.
#pragma once
#include <cstddef>
#include <memory>

namespace keras::engine {

class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Bytes of scratch that run() needs; the caller hands them over aligned to 64 bytes, contents undefined.
  virtual size_t scratch_bytes() const { return 0; }
  /// Inputs and outputs are dense row-major buffers aligned to 64 bytes, in the order in which the kernel was described.
  virtual void run(void* const* in, void* const* out, void* scratch) const = 0;
  /// One line for KERAS_VERBOSE: which implementation was chosen and why.
  virtual const char* describe() const { return ""; }
};
using KernelPtr = std::unique_ptr<Kernel>;

}  // namespace keras::engine
