// What lives here: how an object of a user's class is made again from what was saved of it.
#pragma once
#include <memory>
#include <type_traits>

#include <keras/base/value.h>

namespace keras::serial {

/// A `T` from its configuration: by its constructor from `const Dict&` where it has one, else by its default constructor, and then its name
/// is put back.
template <class T> std::shared_ptr<T> make_from_config(const Dict& config) {
  if constexpr (std::is_constructible_v<T, const Dict&>) {
    return std::make_shared<T>(config);
  } else {
    auto object = std::make_shared<T>();
    if constexpr (requires { object->set_name(std::string()); })
      if (const Value* name = config.find("name"); name && name->is_string()) object->set_name(name->as_string());
    return object;
  }
}

}  // namespace keras::serial
