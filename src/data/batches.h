// What lives here: rows of arrays gathered into batches, in NumPy's order of shuffling. No model, no graph.
#pragma once
#include <cstdint>
#include <vector>

#include <keras/core/tensor.h>

namespace keras::data {

/// Arrays with equal first axes, cut into batches. The rows of a batch are gathered into buffers that are made once.
class Batches {
 public:
  /// ValueError when the arrays have different lengths or there are no rows. `what` names each array in errors.
  Batches(Tensors arrays, int64_t batch_size, const std::vector<std::string>& what = {});

  int64_t num_rows() const { return rows_; }
  int64_t batch_size() const { return batch_size_; }
  int64_t num_batches() const { return (rows_ + batch_size_ - 1) / batch_size_; }
  int64_t rows_of(int64_t batch) const { return std::min(batch_size_, rows_ - batch * batch_size_); }
  size_t num_arrays() const { return arrays_.size(); }
  const Tensor& array(size_t i) const { return arrays_[i]; }

  enum class Order { InOrder, Shuffled, ShuffledBatches };
  /// Starts a pass over the rows. A shuffled one draws its permutation from the library's NumPy generator.
  void start(Order order);
  /// Addresses of the arrays' rows of batch `i`, aligned to 64 bytes, good until the next call. With ShuffledBatches it draws their order.
  void* const* gather(int64_t i);

 private:
  Tensors arrays_;
  int64_t rows_, batch_size_;
  std::vector<int64_t> order_;
  Order order_kind_ = Order::InOrder;
  Tensors buffers_;
  std::vector<size_t> row_bytes_;
  std::vector<void*> pointers_;
};

/// One permutation of [0, n), drawn from the library's NumPy generator.
std::vector<int64_t> permutation(int64_t n);

}  // namespace keras::data
