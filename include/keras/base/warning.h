// What lives here: how the library tells of things that are allowed and probably not meant.
#pragma once
#include <functional>
#include <string>

namespace keras {

using WarningHandler = std::function<void(const std::string&)>;

/// Sets who receives warnings and returns who did before; null brings back the default, one line to stderr. Safe from many threads; the
/// handler may be called from any of them.
WarningHandler set_warning_handler(WarningHandler handler);

/// Gives `text` to the handler.
void warn(const std::string& text);

/// As `warn`, once per process and `key`.
void warn_once(const std::string& key, const std::string& text);

}  // namespace keras
