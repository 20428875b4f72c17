// What lives here: the text of errors and the search for the nearest known name.
#include <keras/base/error.h>

#include <algorithm>
#include <numeric>

namespace keras {

// Words that come from a file may hold anything. A zero byte would cut the text off where it is read as C text, other control characters
// would move a terminal about, and a value may be megabytes long.
static std::string printable(const std::string& text) {
  constexpr size_t longest = 20000;
  constexpr const char* hex = "0123456789abcdef";
  std::string s;
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && c != '\n' && c != '\t') || u == 0x7f) s += {'\\', 'x', hex[u >> 4], hex[u & 15]};
    else s += c;
    if (s.size() >= longest) return s + " … (" + std::to_string(text.size()) + " bytes)";
  }
  return s;
}

std::string ErrorText::str() const {
  std::string s = printable(what);
  auto add = [&](const char* label, const std::string& part) {
    if (!part.empty()) s += std::string("\n  ") + label + printable(part);
  };
  add("where:    ", where);
  add("expected: ", expected);
  add("received: ", received);
  add("fix:      ", fix);
  return s;
}

static size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      auto same = std::tolower(static_cast<unsigned char>(a[i - 1])) == std::tolower(static_cast<unsigned char>(b[j - 1]));
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  std::string found;
  for (const auto& candidate : known) {
    size_t d = edit_distance(name, candidate);
    if (d < best) best = d, found = candidate;
  }
  return found;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  std::string near = nearest_name(name, known);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

}  // namespace keras
