// What lives here: arrays to and from NumPy's files and CSV, JSON text, and Keras' small helpers.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/random.h>

namespace keras::utils {

/// Arrays by name, in the order of the file.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// Reads and writes `.npy` and `.npz`. Errors name file and member. Writing is atomic.
Tensor load_npy(const std::string& path);
void save_npy(const std::string& path, const Tensor& array);
NamedTensors load_npz(const std::string& path);
void save_npz(const std::string& path, const NamedTensors& arrays);

struct CsvData {
  std::vector<std::string> columns;  // empty without a header
  Tensor values;                     // float64 (rows, columns); blanks are NaN
};
/// Numbers separated by commas; a first line that is no numbers names the columns.
CsvData load_csv(const std::string& path);
void save_csv(const std::string& path, const Tensor& rows, const std::vector<std::string>& columns = {});

/// JSON text, ints and floats told apart; ValueError with line and column.
Value parse_json(const std::string& text);
std::string to_json(const Value& value, int indent = -1);

/// Class numbers to rows of 0 and 1: (n,) or (n, 1) → (n, num_classes), float32. Without `num_classes`, the greatest number plus one.
/// ValueError for a number that is no class; in a compiled step such a row is 0.
Tensor to_categorical(const Tensor& classes, std::optional<int64_t> num_classes = {});
/// Divides by the norm along an axis; rows of zeros stay.
Tensor normalize(const Tensor& x, int axis = -1, int order = 2);
/// Sequences brought to one length by cutting and padding: (n, maxlen). `padding` and `truncating` are "pre" or "post".
struct PadOptions {
  std::optional<int64_t> maxlen{};
  DType dtype = DType::Int32;
  std::string padding = "pre", truncating = "pre";
  double value = 0;
};
Tensor pad_sequences(const std::vector<std::vector<int64_t>>& sequences, const PadOptions& options = {});
/// Sequences (length, …) of samples of one shape: (n, maxlen, …). ValueError where the samples' shapes differ.
Tensor pad_sequences(const Tensors& sequences, const PadOptions& options = {});

/// Windows of a series (time, …), one for each start: batches of (batch, sequence_length, …) and of the targets (batch, …) that stand at
/// the same starts; without targets the second of a batch is undefined. ValueError naming the option that does not fit the data.
struct TimeseriesOptions {
  int64_t sequence_stride = 1, sampling_rate = 1;
  /// None: one window at a time, without the batch's axis.
  std::optional<int64_t> batch_size = 128;
  bool shuffle = false;
  /// None: drawn from the library's NumPy generator when `shuffle` asks for one.
  std::optional<int64_t> seed{};
  std::optional<int64_t> start_index{}, end_index{};
};
std::vector<std::pair<Tensor, Tensor>> timeseries_dataset_from_array(const Tensor& data, const Tensor& targets, int64_t sequence_length,
                                                                     const TimeseriesOptions& options = {});

/// Forgets automatic names, as keras.utils.clear_session.
void clear_session();

}  // namespace keras::utils
