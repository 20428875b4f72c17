// What lives here: reading and writing tables of numbers as text.
#include "io/csv.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <keras/base/error.h>
#include <keras/base/value.h>

#include "io/file.h"

namespace keras::io {
namespace {

std::string_view trim(std::string_view s) {
  size_t from = s.find_first_not_of(" \t");
  return from == std::string_view::npos ? std::string_view() : s.substr(from, s.find_last_not_of(" \t") - from + 1);
}

/// A field as a number, blank as NaN; false where it is none.
bool to_number(std::string_view field, double& out) {
  field = trim(field);
  if (field.empty()) return out = std::numeric_limits<double>::quiet_NaN(), true;
  if (field[0] == '+' && field.size() > 1 && field[1] != '-') field.remove_prefix(1);
  auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), out);
  if (end != field.data() + field.size()) return false;
  if (error == std::errc::result_out_of_range) {
    // Too large or too small for a double; a wider type mostly tells which.
    long double wide = 0;
    bool told = std::from_chars(field.data(), field.data() + field.size(), wide).ec == std::errc();
    bool tiny = told ? std::abs(wide) < 1 : field.find("e-") != std::string_view::npos || field.find("E-") != std::string_view::npos;
    out = std::copysign(tiny ? 0.0 : std::numeric_limits<double>::infinity(), field[0] == '-' ? -1.0 : 1.0);
    return true;
  }
  return error == std::errc();
}

/// Splits text into rows of fields.
class Reader {
 public:
  Reader(std::string_view text, const std::string& where, char delimiter) : s_(text), where_(where), delimiter_(delimiter) {
    if (s_.starts_with("\xEF\xBB\xBF")) i_ = 3;
  }
  size_t line() const { return row_line_; }

  [[noreturn]] void fail(const std::string& what, size_t column, const std::string& expected = {}, const std::string& received = {}) const {
    throw ValueError(
        ErrorText{.what = "invalid CSV: " + what,
                  .where = where_ + ", line " + std::to_string(row_line_) + (column ? ", column " + std::to_string(column) : ""),
                  .expected = expected,
                  .received = received}
            .str());
  }

  /// The next row that is not empty; false at the end.
  bool next(std::vector<std::string>& fields) {
    while (i_ < s_.size() && (s_[i_] == '\n' || s_[i_] == '\r')) end_line();
    if (i_ >= s_.size()) return false;
    row_line_ = line_;
    size_t count = 0;
    for (;;) {
      if (count == fields.size()) fields.emplace_back();
      fields[count].clear();
      field(fields[count], count + 1);
      ++count;
      if (i_ < s_.size() && s_[i_] == delimiter_) {
        ++i_;
        continue;
      }
      break;
    }
    fields.resize(count);
    if (i_ < s_.size()) end_line();
    return true;
  }

 private:
  void end_line() {
    if (s_[i_] == '\r' && i_ + 1 < s_.size() && s_[i_ + 1] == '\n') ++i_;
    ++i_;
    ++line_;
  }
  void field(std::string& out, size_t column) {
    if (i_ < s_.size() && s_[i_] == '"') {
      for (++i_;;) {
        size_t quote = s_.find('"', i_);
        if (quote == std::string_view::npos) fail("a quoted field is not closed", column);
        for (char c : s_.substr(i_, quote - i_)) line_ += c == '\n';
        out.append(s_.substr(i_, quote - i_));
        i_ = quote + 1;
        if (i_ < s_.size() && s_[i_] == '"') out += s_[i_++];
        else break;
      }
      if (i_ < s_.size() && s_[i_] != delimiter_ && s_[i_] != '\n' && s_[i_] != '\r') fail("text follows a closing quote", column);
      return;
    }
    size_t from = i_;
    while (i_ < s_.size() && s_[i_] != delimiter_ && s_[i_] != '\n' && s_[i_] != '\r') ++i_;
    out.append(s_.substr(from, i_ - from));
  }
  std::string_view s_;
  const std::string& where_;
  char delimiter_;
  size_t i_ = 0, line_ = 1, row_line_ = 1;
};

template <class T> Array table_of(const std::vector<double>& numbers, size_t columns) {
  int64_t rows = columns ? static_cast<int64_t>(numbers.size() / columns) : 0;
  std::vector<T> values(numbers.begin(), numbers.end());
  return Array(Shape{rows, static_cast<int64_t>(columns)}, values);
}

template <class T> void write_number(std::string& out, T v) {
  char text[64];
  char* end = text;
  if constexpr (std::is_same_v<T, bool>) {
    end = std::to_chars(text, text + sizeof text, static_cast<int>(v)).ptr;
  } else if constexpr (std::is_integral_v<T>) {
    end = std::to_chars(text, text + sizeof text, v).ptr;
  } else if constexpr (std::is_same_v<T, double>) {
    if (!std::isnan(v)) out += float_repr(v);
    return;
  } else {
    // Shortest for the width at hand: 0.1 of float32 is "0.1", not its fifteen digits as a double.
    float f = v;
    if (std::isnan(f)) return;
    end = std::to_chars(text, text + sizeof text, f).ptr;
    std::string_view written(text, static_cast<size_t>(end - text));
    out += written;
    if (written.find_first_of(".ein") == std::string_view::npos) out += ".0";
    return;
  }
  out.append(text, end);
}

void write_name(std::string& out, const std::string& name, char delimiter) {
  if (name.find_first_of("\"\r\n") == std::string::npos && name.find(delimiter) == std::string::npos) return void(out += name);
  out += '"';
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

size_t Table::column(std::string_view name) const {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return i;
  size_t number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size() && number < static_cast<size_t>(values.shape[1])) return number;
  throw ValueError("the table has no column '" + std::string(name) + "'" + did_you_mean(name, names));
}

Array Table::column_values(size_t column) const {
  auto rows = static_cast<size_t>(values.shape[0]), columns = static_cast<size_t>(values.shape[1]), size = dtype_size(values.dtype);
  if (column >= columns)
    throw ValueError("the table has " + std::to_string(columns) + " columns, there is no column " + std::to_string(column));
  Array out{values.dtype, Shape{values.shape[0]}, Bytes(rows * size)};
  for (size_t r = 0; r < rows; ++r) std::memcpy(out.data.data() + r * size, values.data.data() + (r * columns + column) * size, size);
  return out;
}

Table parse_csv(std::string_view text, const std::string& where, const CsvOptions& options) {
  if (options.dtype != DType::Float32 && options.dtype != DType::Float64)
    throw ValueError(std::string("a CSV table is read as float32 or float64, not as ") + dtype_name(options.dtype));
  Reader reader(text, where, options.delimiter);
  Table table;
  std::vector<std::string> fields;
  std::vector<double> numbers;
  size_t columns = 0;
  bool first = true;
  while (reader.next(fields)) {
    if (first) {
      first = false;
      columns = fields.size();
      bool named = options.header == CsvHeader::Yes;
      double number;
      if (options.header == CsvHeader::Auto)
        for (const auto& field : fields) named |= !to_number(field, number);
      if (named) {
        for (const auto& field : fields) table.names.emplace_back(trim(field));
        continue;
      }
    }
    if (fields.size() != columns)
      reader.fail("a row has another number of fields than the first", 0, std::to_string(columns) + " fields",
                  std::to_string(fields.size()) + " fields");
    for (size_t c = 0; c < columns; ++c) {
      double number = 0;
      if (!to_number(fields[c], number))
        reader.fail("a field is not a number", c + 1, "a number or nothing", "'" + fields[c].substr(0, 60) + "'");
      numbers.push_back(number);
    }
  }
  if (first) throw ValueError(ErrorText{.what = "invalid CSV: it has no rows", .where = where}.str());
  table.values = options.dtype == DType::Float32 ? table_of<float>(numbers, columns) : table_of<double>(numbers, columns);
  return table;
}

Table read_csv(const std::string& path, const CsvOptions& options) { return parse_csv(read_text_file(path, kMaxFileBytes), path, options); }

std::string to_csv(const Array& values, const std::vector<std::string>& names, char delimiter) {
  int rank = values.shape.rank();
  if (rank != 1 && rank != 2) throw ValueError("a CSV table has rank 1 or 2, the array has shape " + values.shape.str());
  auto rows = static_cast<size_t>(values.shape[0]), columns = rank == 2 ? static_cast<size_t>(values.shape[1]) : 1;
  if (!names.empty() && names.size() != columns)
    throw ValueError("a CSV table of " + std::to_string(columns) + " columns cannot have " + std::to_string(names.size()) + " names");
  std::string out;
  for (size_t c = 0; c < names.size(); ++c) {
    if (c) out += delimiter;
    write_name(out, names[c], delimiter);
  }
  if (!names.empty()) out += '\n';
  visit_dtype(values.dtype, [&](auto zero) {
    using T = decltype(zero);
    auto data = values.as<T>();
    for (size_t r = 0; r < rows; ++r) {
      size_t start = out.size();
      for (size_t c = 0; c < columns; ++c) {
        if (c) out += delimiter;
        write_number(out, data[r * columns + c]);
      }
      if (out.size() == start) out += "nan";  // an empty line would be skipped when read
      out += '\n';
    }
  });
  return out;
}

void write_csv(const std::string& path, const Array& values, const std::vector<std::string>& names, char delimiter) {
  write_file_atomic(path, to_csv(values, names, delimiter));
}

}  // namespace keras::io
