// What lives here: the batches of a run one after the other, from arrays and from sources, as addresses that a compiled step reads. Whoever
// wants another order of the tensors of a batch says so by `Arrange`. No model, no loop.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <keras/data/source.h>

#include "data/batches.h"
#include "ir/graph.h"

namespace keras::data {

/// What the tensors of a flat batch are: inputs, then those targets and weights that there are.
struct Layout {
  size_t inputs = 0;
  std::vector<char> targets, weights;              // per output: is there one
  std::vector<std::string> x_names, y_names;       // when they were given by name
  /// The flat tensors as x, y and sample_weight again, with absent tensors for what there is not.
  Batch batch(const Tensors& flat) const;
  friend bool operator==(const Layout&, const Layout&) = default;
};

/// A batch, or all rows of a run, in one list.
struct Flat {
  Layout layout;
  Tensors tensors;
  std::vector<std::string> what;  // for errors: one name per tensor
};

/// What one compiled step is for.
struct Signature {
  Layout layout;
  std::vector<ir::Type> types;
  int64_t rows() const { return types.empty() || !types[0].shape.rank() ? 0 : types[0].shape[0]; }
  friend bool operator==(const Signature&, const Signature&) = default;
};

/// A batch in memory. Equal signatures of one feed have one address.
struct Ready {
  const Signature* signature = nullptr;
  void* const* pointers = nullptr;
  Tensors tensors() const;  // copies
};

class Feed {
 public:
  virtual ~Feed() = default;
  /// Batches of a pass; absent when nobody knows.
  virtual std::optional<int64_t> num_batches() const = 0;
  /// Rows of a pass, where they are known.
  virtual std::optional<int64_t> num_rows() const { return std::nullopt; }
  /// What most batches are like, as far as that is known; null otherwise.
  virtual const Signature* expected() { return nullptr; }
  virtual void on_epoch_begin() {}
  virtual void on_epoch_end() {}
  /// A new pass begins with the next batch; its order is drawn when that is asked for.
  virtual void start() = 0;
  /// False: the pass is over. What it gave is good until the next call.
  virtual bool next(Ready& batch) = 0;
  /// The words of the generator that the order of a pass is drawn from, as they are now; `start_at` begins a pass as it was drawn from such
  /// words and goes over its first `batches`.
  virtual std::vector<uint32_t> generator() const = 0;
  virtual void start_at(const std::vector<uint32_t>& generator, int64_t batches) = 0;
};

/// Makes of a batch what a step takes: brings it into the model's order, or refuses it.
using Arrange = std::function<Flat(const Batch&)>;

std::unique_ptr<Feed> array_feed(const Flat& rows, int64_t batch_size, Batches::Order order);
/// ValueError when the generator gives nothing, or the dataset has no batches.
std::unique_ptr<Feed> source_feed(const Data& source, Arrange arrange, bool shuffle);

}  // namespace keras::data
