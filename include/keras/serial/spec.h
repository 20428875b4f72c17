// What lives here: the handle that stands in options for "an initialiser", "a loss", "an activation": a name, a saved configuration or
// an object, made into the object when its owner asks.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include <keras/base/value.h>

namespace keras {

/// `Impl` offers `static std::shared_ptr<Impl> get(const Value& name_or_config)` and `Value serialize() const`.
/// A name stays a name until `object()` is called: making a random initialiser draws a seed, and when it is drawn matters.
template <class Impl> class Spec {
 public:
  Spec() = default;
  Spec(std::nullptr_t) {}
  Spec(const char* name) : value_(name) {}
  Spec(std::string name) : value_(std::move(name)) {}
  Spec(const Value& v) : value_(v) {}
  Spec(std::shared_ptr<Impl> object) : object_(std::move(object)) {}
  template <class T>
    requires std::is_convertible_v<T*, Impl*>
  Spec(std::shared_ptr<T> object) : object_(std::move(object)) {}

  bool is_none() const { return !object_ && value_.is_null(); }
  explicit operator bool() const { return !is_none(); }
  /// The object, made on the first call; null for none.
  const std::shared_ptr<Impl>& object() const {
    if (!object_ && !value_.is_null()) object_ = Impl::get(value_);
    return object_;
  }
  Impl* operator->() const { return object().get(); }
  Impl& operator*() const { return *object(); }
  Value serialize() const { return is_none() ? Value() : object()->serialize(); }
  /// The name or configuration it was given, null when it was given an object.
  const Value& given() const { return value_; }

 private:
  Value value_;
  mutable std::shared_ptr<Impl> object_;
};

}  // namespace keras
