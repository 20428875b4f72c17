// What lives here: the one warning handler, and which warnings were given already.
#include <keras/base/warning.h>

#include <cstdio>
#include <mutex>
#include <unordered_set>

namespace keras {

namespace {

struct State {
  std::mutex mutex;
  WarningHandler handler;
  std::unordered_set<std::string> given;
};
State& state() {
  static State s;
  return s;
}

}  // namespace

WarningHandler set_warning_handler(WarningHandler handler) {
  std::lock_guard lock(state().mutex);
  std::swap(state().handler, handler);
  return handler;
}

void warn(const std::string& text) {
  WarningHandler handler;
  {
    std::lock_guard lock(state().mutex);
    handler = state().handler;
  }
  // Outside the lock: a handler may itself set handlers or warn.
  if (handler) {
    handler(text);
  } else {
    std::fprintf(stderr, "keras: warning: %s\n", text.c_str());
  }
}

void warn_once(const std::string& key, const std::string& text) {
  {
    std::lock_guard lock(state().mutex);
    if (!state().given.insert(key).second) return;
  }
  warn(text);
}

}  // namespace keras
