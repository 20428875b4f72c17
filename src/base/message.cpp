// What lives here: where the library prints what a training run tells.
#include "base/message.h"

#include <keras/config.h>

namespace keras {

std::FILE* message_stream() { return config::is_interactive_logging_enabled() ? stdout : stderr; }
void print_message(std::string_view text) {
  std::FILE* out = message_stream();
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

}  // namespace keras
