// What lives here: tables of numbers as comma-separated text. No dates, no categories, no guessing beyond the header row.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "io/array.h"

namespace keras::io {

enum class CsvHeader { Auto, Yes, No };

struct CsvOptions {
  char delimiter = ',';
  CsvHeader header = CsvHeader::Auto;  // Auto: the first row names the columns when one of its fields is no number
  DType dtype = DType::Float64;        // float32 or float64
};

struct Table {
  std::vector<std::string> names;  // empty without a header row
  Array values;                    // (rows, columns)

  /// The column of that name, or of that number; ValueError naming the nearest otherwise.
  size_t column(std::string_view name) const;
  /// The values of one column.
  Array column_values(size_t column) const;
};

/// Reads rows of numbers: fields may stand in double quotes, blank fields and NaN are NaN, empty lines are skipped.
/// ValueError naming `where`, line and column for ragged rows and for fields that are no numbers.
Table parse_csv(std::string_view text, const std::string& where, const CsvOptions& options = {});
Table read_csv(const std::string& path, const CsvOptions& options = {});

/// Text of an array of rank 1 (one column) or 2, a header row first when there are names; numbers read back equal, NaN is left blank.
std::string to_csv(const Array& values, const std::vector<std::string>& names = {}, char delimiter = ',');
void write_csv(const std::string& path, const Array& values, const std::vector<std::string>& names = {}, char delimiter = ',');

}  // namespace keras::io
