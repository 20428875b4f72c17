// What lives here: errors of reading a configuration, completed by the entries that they are about. No reading itself.
#pragma once
#include <string>
#include <utility>

#include <keras/base/error.h>
#include <keras/base/value.h>

namespace keras::serial {

/// The error's text with the names of the entries of `config` that hold what was received in front; "" where it names an entry already, or where none holds that.
inline std::string with_entry_named(const std::string& text, const std::string& class_name, const Dict& config) {
  std::string entries;
  for (const auto& [key, value] : config) {
    if (key != "name" && text.find(key) != std::string::npos) return "";
    std::string shown = value.str().substr(0, 200);  // errors cut long values
    if (text.find(value.kind_name() + (" " + shown)) != std::string::npos || text.find("received: " + shown) != std::string::npos) entries += (entries.empty() ? "'" : " or '") + key + "'";
  }
  return entries.empty() ? "" : class_name + ": the configuration entry " + entries + " can't be read: " + text;
}

/// Runs `make`, which reads `config`, so that errors name the entry: required arguments and objects inside are read where its name is not at hand.
template <class F> auto naming_entries(const std::string& class_name, const Dict& config, F&& make) {
  try {
    return std::forward<F>(make)();
  } catch (const TypeError& e) {
    if (std::string text = with_entry_named(e.what(), class_name, config); !text.empty()) throw TypeError(text);
    throw;
  } catch (const ValueError& e) {
    if (std::string text = with_entry_named(e.what(), class_name, config); !text.empty()) throw ValueError(text);
    throw;
  }
}

}  // namespace keras::serial
