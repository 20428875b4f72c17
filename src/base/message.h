// What lives here: where the library prints what a training run tells: progress, summaries, sentences of callbacks. Warnings are in warning.h.
#pragma once
#include <cstdio>
#include <string_view>

namespace keras {

/// Standard output; standard error while interactive logging is off.
std::FILE* message_stream();
/// Prints and flushes.
void print_message(std::string_view text);

}  // namespace keras
