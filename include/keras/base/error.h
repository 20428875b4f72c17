// What lives here: the exceptions every part of the library throws, and how their text is put together.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace keras {

/// Base of every exception that the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// A value, shape or option is not acceptable (Python's ValueError).
class ValueError : public Error {
 public:
  using Error::Error;
};
/// A value has the wrong kind or dtype (Python's TypeError).
class TypeError : public Error {
 public:
  using Error::Error;
};
/// The state of an object or of the machine does not allow the call (Python's RuntimeError).
class RuntimeError : public Error {
 public:
  using Error::Error;
};
/// The call is known to Keras and not offered here.
class NotImplementedError : public Error {
 public:
  using Error::Error;
};

/// The five parts of a good error: what went wrong, where, what was expected, what was received, how to fix it.
/// Empty parts are left out.
struct ErrorText {
  std::string what{}, where{}, expected{}, received{}, fix{};
  std::string str() const;
};

/// The entry of `known` nearest to `name` in edit distance, or "" when nothing is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "; did you mean 'relu'?" or "" when nothing is near: the closing words of errors about unknown names.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace keras
