// What lives here: JSON text to configuration values and back, in the dialect of Python's json module. No meaning of any key.
#pragma once
#include <string>
#include <string_view>

#include <keras/base/value.h>

namespace keras::io {

inline constexpr int kMaxJsonDepth = 200;
inline constexpr size_t kMaxJsonValues = 10'000'000;  // a value takes forty times the memory of its shortest text

/// Reads one JSON document. Ints and floats are told apart, NaN, Infinity and -Infinity are taken, of equal keys the last wins.
/// ValueError naming `where`, line and column otherwise, for more than 200 levels or ten million values, and for ints beyond 64 bits.
Value parse_json(std::string_view text, const std::string& where);

/// Text as Python's `json.dumps` writes it: all ASCII, ", " and ": " between items, or one item a line with `indent` >= 0.
std::string to_json(const Value& value, int indent = -1);

}  // namespace keras::io
