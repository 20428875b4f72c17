// What lives here: running oneDNN primitives the way kernels must: no allocation of ours and no lock in run(), any number of threads
// at once, one thread per call. It knows nothing of what a primitive computes.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cpu/dnnl_shim.h"

namespace keras::cpu {

/// The one CPU engine.
const dnnl::engine& cpu_engine();
/// Attributes that every primitive here is made with: scratchpad from the caller.
const dnnl::primitive_attr& user_scratch();

/// One primitive with a fixed list of arguments. Memory objects cannot be shared between threads, so each call borrows a prepared
/// set of them; sets are made on first need and kept, as many as there ever were calls at once.
class DnnlCall {
 public:
  struct Arg {
    int id;
    shim::Md md;
  };
  /// Arguments come to run() in the order of `args`. Call single_threaded_openmp() before the descriptor `pd` is made: a primitive
  /// is planned for the threads that OpenMP offers at that moment.
  DnnlCall(const dnnl::primitive_desc_base& pd, dnnl::primitive primitive, std::vector<Arg> args);
  ~DnnlCall();
  DnnlCall(const DnnlCall&) = delete;
  DnnlCall& operator=(const DnnlCall&) = delete;

  size_t scratch_bytes() const { return scratch_bytes_; }
  const std::string& impl() const { return impl_; }
  /// `data` has one pointer per argument; `scratch` has scratch_bytes(), aligned to 64 bytes.
  void run(void* const* data, void* scratch) const;

 private:
  struct ArgSet;
  ArgSet* acquire() const;

  dnnl::primitive primitive_;
  std::vector<Arg> args_;
  size_t scratch_bytes_ = 0;
  std::string impl_;
  mutable std::atomic<ArgSet*> sets_{nullptr};  // a list that only grows
};
using DnnlCallPtr = std::unique_ptr<DnnlCall>;

/// A reorder from one layout to another of the same sizes.
DnnlCallPtr make_dnnl_reorder(const shim::Md& from, const shim::Md& to);

}  // namespace keras::cpu
