// What lives here: the contract between an executable and the kernels it runs. A kernel is made once for fixed shapes
// and dtypes and then only run: run() allocates nothing, takes no lock and may be called from several threads at once.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

namespace keras::engine {

class Executable;

class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Bytes of scratch that run() needs; the caller hands them over aligned to 64 bytes, contents undefined.
  virtual size_t scratch_bytes() const { return 0; }
  /// Inputs and outputs are dense row-major buffers aligned to 64 bytes, in the order in which the kernel was described.
  virtual void run(void* const* in, void* const* out, void* scratch) const = 0;
  /// Inputs that seldom change (weights) can be brought into the form that the kernel works on once, instead of in every run: the bytes of
  /// that form of an input, 0 where the kernel reads it as it comes.
  virtual size_t prepared_bytes(size_t /*input*/) const { return 0; }
  /// Makes that form, aligned to 64 bytes; `scratch` as for run().
  virtual void prepare(size_t /*input*/, const void* /*from*/, void* /*to*/, void* /*scratch*/) const {}
  /// From now on run() gets that form of the input. Called before the first run.
  virtual void take_prepared(size_t /*input*/) {}
  /// One line for KERAS_VERBOSE: which implementation was chosen and why.
  virtual const char* describe() const { return ""; }
  /// The plans that it runs inside of itself (the steps of a loop, the parts of a batch).
  virtual std::vector<const Executable*> inside() const { return {}; }
  /// How many runs of such a plan go on at once.
  virtual int threads_inside() const { return 1; }
};
using KernelPtr = std::unique_ptr<Kernel>;

}  // namespace keras::engine
