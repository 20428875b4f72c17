// What lives here: gathering rows into batches.
#include "data/batches.h"

#include <cstring>
#include <fmt/format.h>

#include <keras/random.h>

#include "random/mersenne_twister.h"

namespace keras::data {

std::vector<int64_t> permutation(int64_t n) { return random::numpy_random().permutation(n); }

Batches::Batches(Tensors arrays, int64_t batch_size, const std::vector<std::string>& what) : arrays_(std::move(arrays)), rows_(0), batch_size_(batch_size) {
  if (batch_size < 1) throw ValueError(ErrorText{.what = "the batch size must be at least 1", .received = std::to_string(batch_size)}.str());
  auto name = [&](size_t i) { return i < what.size() ? what[i] : fmt::format("array {}", i); };
  for (size_t i = 0; i < arrays_.size(); ++i) {
    const Tensor& t = arrays_[i];
    t.raw();
    if (t.rank() < 1) throw ValueError(ErrorText{.what = name(i) + " is a scalar: data need a batch axis", .expected = "(samples, …)", .received = t.shape().str()}.str());
    if (i && t.shape()[0] != rows_)
      throw ValueError(ErrorText{.what = "the arrays have different numbers of samples", .expected = fmt::format("{} as {} has", rows_, name(0)), .received = fmt::format("{} in {}", t.shape()[0], name(i))}.str());
    rows_ = t.shape()[0];
  }
  if (arrays_.empty() || rows_ == 0) throw ValueError(ErrorText{.what = "there are no samples", .received = arrays_.empty() ? "no arrays" : arrays_[0].shape().str(), .fix = "give at least one"}.str());
  batch_size_ = std::min(batch_size_, rows_);
  for (const Tensor& t : arrays_) {
    row_bytes_.push_back(t.nbytes() / static_cast<size_t>(rows_));
    buffers_.push_back(Tensor::empty(DType::UInt8, {batch_size_ * static_cast<int64_t>(row_bytes_.back())}));
    pointers_.push_back(nullptr);
  }
}

void Batches::start(Order order) {
  order_kind_ = order;
  if (order == Order::Shuffled) order_ = permutation(rows_);
}

void* const* Batches::gather(int64_t b) {
  int64_t from = b * batch_size_, n = rows_of(b);
  bool in_order = order_kind_ == Order::InOrder;
  // Keras shuffles the rows inside of each batch when it comes to it.
  if (order_kind_ == Order::ShuffledBatches) {
    std::vector<int64_t> p = permutation(n);
    order_.resize(static_cast<size_t>(rows_));
    for (size_t i = 0; i < p.size(); ++i) order_[static_cast<size_t>(from) + i] = from + p[i];
  }
  for (size_t a = 0; a < arrays_.size(); ++a) {
    const auto* source = static_cast<const std::byte*>(arrays_[a].raw());
    size_t bytes = row_bytes_[a];
    auto* first = const_cast<std::byte*>(source) + static_cast<size_t>(from) * bytes;
    if (in_order && reinterpret_cast<uintptr_t>(first) % 64 == 0) {
      pointers_[a] = first;
      continue;
    }
    auto* to = static_cast<std::byte*>(buffers_[a].mutable_raw());
    pointers_[a] = to;
    if (in_order) {
      std::memcpy(to, first, static_cast<size_t>(n) * bytes);
      continue;
    }
    const int64_t* rows = order_.data() + from;
    for (int64_t i = 0; i < n; ++i) std::memcpy(to + static_cast<size_t>(i) * bytes, source + static_cast<size_t>(rows[i]) * bytes, bytes);
  }
  return pointers_.data();
}

}  // namespace keras::data
