// What lives here: names of C++ types and last parts of registered names.
#include "serial/registered.h"

#include <cxxabi.h>

#include <cstdlib>

namespace keras::serial {

std::string plain_type_name(const std::type_info& type) {
  int status = 0;
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string name = status == 0 && text ? text : type.name();
  std::free(text);
  // Template arguments go first, they may hold "::" of their own.
  if (size_t at = name.find('<'); at != std::string::npos) name.resize(at);
  if (size_t at = name.rfind("::"); at != std::string::npos) name.erase(0, at + 2);
  return name;
}

std::string last_part(const std::string& registered_name) { return registered_name.substr(registered_name.rfind('>') + 1); }

}  // namespace keras::serial
