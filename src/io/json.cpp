// What lives here: a JSON reader and writer. Written out here because libraries take neither NaN nor a depth limit,
// and cost every includer seconds of compile time.
#include "io/json.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>

#include <keras/base/error.h>

namespace keras::io {
namespace {

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

/// Reads one UTF-8 character at `i` and moves past it; false where the bytes are none. Lone surrogates pass when `surrogates`
/// (they come from \u escapes, which Python takes).
bool next_utf8(std::string_view s, size_t& i, uint32_t& c, bool surrogates) {
  auto byte = [&](size_t k) { return static_cast<uint8_t>(s[k]); };
  uint8_t lead = byte(i);
  int extra = lead < 0x80 ? 0 : lead < 0xC2 ? -1 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : lead < 0xF5 ? 3 : -1;
  if (extra < 0 || i + static_cast<size_t>(extra) >= s.size()) return false;
  c = extra == 0 ? lead : lead & (0x3F >> extra);
  for (int k = 1; k <= extra; ++k) {
    uint8_t b = byte(i + static_cast<size_t>(k));
    if ((b & 0xC0) != 0x80) return false;
    c = c << 6 | (b & 0x3F);
  }
  if ((extra == 2 && c < 0x800) || (extra == 3 && (c < 0x10000 || c > 0x10FFFF))) return false;
  if (!surrogates && c >= 0xD800 && c < 0xE000) return false;
  i += static_cast<size_t>(extra) + 1;
  return true;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : s_(text), where_(where) {}

  Value document() {
    Value v = value(0);
    skip_space();
    if (i_ != s_.size()) fail("there is more text after the document", i_);
    return v;
  }

 private:
  [[noreturn]] void fail(const std::string& what, size_t at) const {
    size_t line = 1, column = 1;
    for (size_t k = 0; k < std::min(at, s_.size()); ++k) {
      if (s_[k] == '\n') ++line, column = 1;
      else if ((static_cast<uint8_t>(s_[k]) & 0xC0) != 0x80) ++column;
    }
    std::string received = at >= s_.size() ? "the end of the text" : std::string();
    if (received.empty()) {
      for (char c : s_.substr(at, 20)) received += c >= ' ' && c <= '~' ? c : '?';
      received = "'" + received + "'";
    }
    throw ValueError(
        ErrorText{.what = "invalid JSON: " + what,
                  .where = where_ + (where_.empty() ? "" : ", ") + "line " + std::to_string(line) + ", column " + std::to_string(column),
                  .received = received}
            .str());
  }
  void skip_space() {
    while (i_ < s_.size() && (s_[i_] == ' ' || s_[i_] == '\n' || s_[i_] == '\t' || s_[i_] == '\r')) ++i_;
  }
  bool take(char c) {
    if (i_ >= s_.size() || s_[i_] != c) return false;
    ++i_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (s_.substr(i_, word.size()) != word) return false;
    i_ += word.size();
    return true;
  }

  Value value(int depth) {
    if (depth > kMaxJsonDepth) fail("more than " + std::to_string(kMaxJsonDepth) + " levels of nesting", i_);
    if (++values_ > kMaxJsonValues) fail("more than " + std::to_string(kMaxJsonValues) + " values", i_);
    skip_space();
    if (i_ >= s_.size()) fail("a value is missing", i_);
    switch (s_[i_]) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return Value(string());
      default: break;
    }
    if (take_word("null")) return Value();
    if (take_word("true")) return Value(true);
    if (take_word("false")) return Value(false);
    if (take_word("NaN")) return Value(std::numeric_limits<double>::quiet_NaN());
    if (take_word("Infinity")) return Value(std::numeric_limits<double>::infinity());
    if (take_word("-Infinity")) return Value(-std::numeric_limits<double>::infinity());
    return number();
  }

  Value object(int depth) {
    ++i_;
    std::vector<std::pair<std::string, Value>> items;
    std::unordered_map<std::string, size_t> seen;  // Dict looks keys up one by one, too slow for a hostile file
    skip_space();
    if (!take('}')) {
      for (;;) {
        skip_space();
        if (i_ >= s_.size() || s_[i_] != '"') fail("expected a key in double quotes", i_);
        std::string key = string();
        skip_space();
        if (!take(':')) fail("expected ':' after the key '" + key.substr(0, 60) + "'", i_);
        Value v = value(depth + 1);
        if (auto [at, fresh] = seen.try_emplace(key, items.size()); fresh) items.emplace_back(std::move(key), std::move(v));
        else items[at->second].second = std::move(v);
        skip_space();
        if (take('}')) break;
        if (!take(',')) fail("expected ',' or '}'", i_);
      }
    }
    Dict dict;
    for (auto& [key, v] : items) dict.push_back_new(std::move(key), std::move(v));
    return Value(std::move(dict));
  }

  Value array(int depth) {
    ++i_;
    List list;
    skip_space();
    if (take(']')) return Value(std::move(list));
    for (;;) {
      list.push_back(value(depth + 1));
      skip_space();
      if (take(']')) return Value(std::move(list));
      if (!take(',')) fail("expected ',' or ']'", i_);
    }
  }

  uint32_t hex4() {
    uint32_t c = 0;
    auto [end, error] = std::from_chars(s_.data() + i_, s_.data() + std::min(i_ + 4, s_.size()), c, 16);
    if (error != std::errc() || end != s_.data() + i_ + 4) fail("expected four hexadecimal digits after \\u", i_);
    i_ += 4;
    return c;
  }

  std::string string() {
    size_t start = i_++;
    std::string out;
    for (;;) {
      size_t from = i_;
      while (i_ < s_.size() && s_[i_] != '"' && s_[i_] != '\\' && s_[i_] >= ' ') ++i_;  // plain ASCII, most of all text
      out.append(s_.substr(from, i_ - from));
      if (i_ >= s_.size()) fail("a string is not closed", start);
      if (s_[i_] == '"') {
        ++i_;
        return out;
      }
      if (s_[i_] == '\\') {
        size_t escape = i_++;
        char c = i_ < s_.size() ? s_[i_++] : '\0';
        switch (c) {
          case '"':
          case '\\':
          case '/': out += c; break;
          case 'b': out += '\b'; break;
          case 'f': out += '\f'; break;
          case 'n': out += '\n'; break;
          case 'r': out += '\r'; break;
          case 't': out += '\t'; break;
          case 'u': {
            uint32_t code = hex4();
            if (code >= 0xD800 && code < 0xDC00 && s_.substr(i_, 2) == "\\u") {
              size_t low_at = i_;
              i_ += 2;
              uint32_t low = hex4();
              if (low >= 0xDC00 && low < 0xE000) code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
              else i_ = low_at;
            }
            append_utf8(out, code);
            break;
          }
          default: fail("unknown escape in a string", escape);
        }
      } else if (static_cast<uint8_t>(s_[i_]) < ' ') {
        fail("a control character in a string", i_);
      } else {
        size_t at = i_;
        uint32_t c;
        if (!next_utf8(s_, i_, c, false)) fail("the text is not UTF-8", at);
        out.append(s_.substr(at, i_ - at));
      }
    }
  }

  Value number() {
    size_t start = i_;
    auto digits = [&] {
      size_t from = i_;
      while (i_ < s_.size() && s_[i_] >= '0' && s_[i_] <= '9') ++i_;
      return i_ - from;
    };
    take('-');
    bool zero = i_ < s_.size() && s_[i_] == '0';
    size_t whole = digits();
    if (whole == 0) fail("expected a value", start);
    if (zero && whole > 1) fail("a number starts with a superfluous 0", start);
    bool is_float = false;
    if (i_ < s_.size() && s_[i_] == '.') {
      ++i_;
      if (digits() == 0) fail("expected a digit after the point", i_);
      is_float = true;
    }
    if (i_ < s_.size() && (s_[i_] == 'e' || s_[i_] == 'E')) {
      ++i_;
      if (!take('+')) take('-');
      if (digits() == 0) fail("expected a digit in the exponent", i_);
      is_float = true;
    }
    std::string_view text = s_.substr(start, i_ - start);
    const char *from = text.data(), *to = text.data() + text.size();
    if (!is_float) {
      int64_t n = 0;
      if (std::from_chars(from, to, n).ec != std::errc()) fail("an integer does not fit into 64 bits", start);
      return Value(n);
    }
    double d = 0;
    if (std::from_chars(from, to, d).ec == std::errc::result_out_of_range) d = beyond_range(text);
    return Value(d);
  }

  /// Python's value of a literal too large (infinite) or too small (zero) for a double.
  static double beyond_range(std::string_view text) {
    bool negative = text[0] == '-';
    size_t e = text.find_first_of("eE");
    std::string_view mantissa = text.substr(negative, (e == std::string_view::npos ? text.size() : e) - negative);
    size_t point = std::min(mantissa.find('.'), mantissa.size()), first = mantissa.find_first_of("123456789");
    double scale = static_cast<double>(point) - static_cast<double>(first), exponent = 0;
    if (e != std::string_view::npos) {
      bool down = text[e + 1] == '-';
      for (char c : text.substr(e + 1))
        if (c >= '0' && c <= '9') exponent = std::min(exponent * 10 + (c - '0'), 1e18);
      if (down) exponent = -exponent;
    }
    double d = scale + exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
    return negative ? -d : d;
  }

  size_t values_ = 0;
  std::string_view s_;
  const std::string& where_;
  size_t i_ = 0;
};

void write_string(std::string& out, std::string_view s) {
  static constexpr char hex[] = "0123456789abcdef";
  auto escape = [&](uint32_t c) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += hex[c >> shift & 15];
  };
  out += '"';
  for (size_t i = 0; i < s.size();) {
    uint32_t c;
    if (!next_utf8(s, i, c, true))
      throw ValueError("a string cannot be written as JSON because its byte " + std::to_string(i) + " is not UTF-8");
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\f': out += "\\f"; break;
      case '\b': out += "\\b"; break;
      default:
        if (c >= ' ' && c <= '~') {
          out += static_cast<char>(c);
        } else if (c < 0x10000) {
          escape(c);
        } else {
          escape(0xD800 + ((c - 0x10000) >> 10));
          escape(0xDC00 + ((c - 0x10000) & 0x3FF));
        }
    }
  }
  out += '"';
}

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}
  void write(const Value& v, int level) {
    if (v.is_null()) out_ += "null";
    else if (v.is_bool()) out_ += v.as_bool() ? "true" : "false";
    else if (v.is_int()) out_ += std::to_string(v.as_int());
    else if (v.is_float()) write_float(v.as_float());
    else if (v.is_string()) write_string(out_, v.as_string());
    else if (v.is_list()) {
      sequence(v.as_list(), '[', ']', level, [&](const Value& item) { write(item, level + 1); });
    } else {
      sequence(v.as_dict(), '{', '}', level, [&](const auto& item) {
        write_string(out_, item.first);
        out_ += ": ";
        write(item.second, level + 1);
      });
    }
  }
  std::string text() && { return std::move(out_); }

 private:
  void write_float(double d) {
    if (std::isnan(d)) out_ += "NaN";
    else if (std::isinf(d)) out_ += d < 0 ? "-Infinity" : "Infinity";
    else out_ += float_repr(d);
  }
  void new_line(int level) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(indent_) * static_cast<size_t>(level), ' ');
  }
  template <class Items, class F> void sequence(const Items& items, char open, char close, int level, F&& write_item) {
    out_ += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += indent_ < 0 ? ", " : ",";
      first = false;
      new_line(level + 1);
      write_item(item);
    }
    if (!first) new_line(level);
    out_ += close;
  }
  std::string out_;
  int indent_;
};

}  // namespace

Value parse_json(std::string_view text, const std::string& where) { return Parser(text, where).document(); }

std::string to_json(const Value& value, int indent) {
  Writer writer(indent);
  writer.write(value, 0);
  return std::move(writer).text();
}

}  // namespace keras::io
