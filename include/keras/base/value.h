// What lives here: the values of configurations: what JSON holds, with int and float told apart and keys in order.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/shape.h>

namespace keras {

class Value;
using List = std::vector<Value>;

/// A dictionary that keeps the order in which its keys came.
class Dict {
 public:
  Dict() = default;
  Dict(std::initializer_list<std::pair<std::string, Value>> items);
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  /// The value of `key`, or nullptr.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  /// The value of `key`; ValueError naming the nearest key otherwise.
  const Value& at(std::string_view key) const;
  /// The value of `key`, made null when new.
  Value& operator[](std::string_view key);
  void set(std::string_view key, Value value);
  /// Appends a key known to be new, without looking: for readers that keep an index of their own.
  void push_back_new(std::string key, Value value);
  bool erase(std::string_view key);
  size_t size() const;
  bool empty() const;
  auto begin() const;
  auto end() const;
  auto begin();
  auto end();
  std::vector<std::string> keys() const;
  friend bool operator==(const Dict&, const Dict&);

 private:
  std::vector<std::pair<std::string, Value>> items_;
};

/// One configuration value: null, bool, int, float, string, list or dictionary.
class Value {
 public:
  Value() = default;
  // Made in value.cpp: what a variant's copies are made of would cost every file that includes this.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  Value(std::nullptr_t) {}
  Value(bool b) : v_(b) {}
  Value(int i) : v_(static_cast<int64_t>(i)) {}
  Value(int64_t i) : v_(i) {}
  Value(long long i) : v_(static_cast<int64_t>(i)) {}
  Value(size_t i) : v_(static_cast<int64_t>(i)) {}
  Value(double d) : v_(d) {}
  Value(float d) : v_(static_cast<double>(d)) {}
  Value(const char* s);
  Value(std::string s);
  Value(std::string_view s);
  Value(List l) : v_(std::make_shared<const List>(std::move(l))) {}
  Value(Dict d) : v_(std::make_shared<const Dict>(std::move(d))) {}
  Value(const Shape& s);
  Value(DType d) : v_(std::string(dtype_name(d))) {}
  template <class T> Value(const std::optional<T>& o) { if (o) *this = Value(*o); }
  template <class T> Value(const std::vector<T>& v) requires(!std::is_same_v<T, Value>) {
    List l;
    for (const auto& e : v) l.emplace_back(e);
    *this = Value(std::move(l));
  }

  bool is_null() const { return v_.index() == 0; }
  bool is_bool() const { return v_.index() == 1; }
  bool is_int() const { return v_.index() == 2; }
  bool is_float() const { return v_.index() == 3; }
  bool is_number() const { return is_int() || is_float(); }
  bool is_string() const { return v_.index() == 4; }
  bool is_list() const { return v_.index() == 5; }
  bool is_dict() const { return v_.index() == 6; }

  /// Typed reads; TypeError naming the kind found otherwise. as_float takes an int, as_int takes a whole float.
  bool as_bool() const;
  int64_t as_int() const;
  double as_float() const;
  const std::string& as_string() const;
  const List& as_list() const;
  const Dict& as_dict() const;
  /// A list of ints and nulls as a shape.
  Shape as_shape() const;
  std::vector<int64_t> as_ints() const;

  /// Dictionary entry, or a null value where this is no dictionary or has no such key.
  const Value& get(std::string_view key) const;
  /// "null", "bool", "int", "float", "string", "list", "dict".
  const char* kind_name() const;
  /// Compact text for messages: JSON-like.
  std::string str() const;
  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, std::shared_ptr<const List>, std::shared_ptr<const Dict>> v_;
};

// Down here because a vector's members may only be named once its element is complete.
inline size_t Dict::size() const { return items_.size(); }
inline bool Dict::empty() const { return items_.empty(); }
inline auto Dict::begin() const { return items_.begin(); }
inline auto Dict::end() const { return items_.end(); }
inline auto Dict::begin() { return items_.begin(); }
inline auto Dict::end() { return items_.end(); }

/// Python's repr of a float: shortest text that reads back equal, always with a fraction or exponent ("0.001", "1e-07", "1.0").
std::string float_repr(double d);

}  // namespace keras
