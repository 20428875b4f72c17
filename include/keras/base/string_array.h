// What lives here: arrays of strings, which tensors cannot hold: what the layers that read text take and give.
#pragma once
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/error.h>
#include <keras/base/shape.h>

namespace keras {

/// Strings in an array of any rank, row-major.
///
///     keras::StringArray words({"earth", "wind", "and", "fire"});                    // shape (4)
///     keras::StringArray rows({2, 2}, {"earth", "wind", "and", "fire"});             // shape (2, 2)
struct StringArray {
  Shape shape{0};
  std::vector<std::string> values{};

  StringArray() = default;
  StringArray(std::vector<std::string> v) : shape{static_cast<int64_t>(v.size())}, values(std::move(v)) {}
  StringArray(std::initializer_list<std::string> v) : StringArray(std::vector<std::string>(v)) {}
  /// ValueError when the shape holds another number of strings.
  StringArray(const Shape& s, std::vector<std::string> v) : shape(s), values(std::move(v)) {
    if (!shape.is_static() || shape.numel() != static_cast<int64_t>(values.size()))
      throw ValueError(ErrorText{
          .what = "the strings do not fill the shape", .expected = shape.str(), .received = std::to_string(values.size()) + " strings"}
                           .str());
  }
  int rank() const { return shape.rank(); }
  size_t size() const { return values.size(); }
  const std::string& operator[](size_t i) const { return values.at(i); }
  friend bool operator==(const StringArray&, const StringArray&) = default;
};

}  // namespace keras
