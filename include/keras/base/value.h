// What lives here: the values of configurations: what JSON holds, with int and float told apart and keys in order.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
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
  Value(const Value& other);
  /// Leaves null behind.
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  Value(std::nullptr_t) {}
  Value(bool b) : kind_(Kind::Bool), int_(b) {}
  Value(int i) : kind_(Kind::Int), int_(i) {}
  Value(int64_t i) : kind_(Kind::Int), int_(i) {}
  Value(long long i) : kind_(Kind::Int), int_(i) {}
  Value(size_t i) : kind_(Kind::Int), int_(static_cast<int64_t>(i)) {}
  Value(double d) : kind_(Kind::Float), float_(d) {}
  Value(float d) : kind_(Kind::Float), float_(d) {}
  Value(const char* s);
  Value(std::string s);
  Value(std::string_view s);
  Value(List l);
  Value(Dict d);
  Value(const Shape& s);
  Value(DType d);
  template <class T> Value(const std::optional<T>& o) { if (o) *this = Value(*o); }
  template <class T> Value(const std::vector<T>& v) requires(!std::is_same_v<T, Value>) {
    List l;
    for (const auto& e : v) l.emplace_back(e);
    *this = Value(std::move(l));
  }

  bool is_null() const { return kind_ == Kind::Null; }
  bool is_bool() const { return kind_ == Kind::Bool; }
  bool is_int() const { return kind_ == Kind::Int; }
  bool is_float() const { return kind_ == Kind::Float; }
  bool is_number() const { return is_int() || is_float(); }
  bool is_string() const { return kind_ == Kind::String; }
  bool is_list() const { return kind_ == Kind::List; }
  bool is_dict() const { return kind_ == Kind::Dict; }

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
  enum class Kind : char { Null, Bool, Int, Float, String, List, Dict };
  // By hand, not a std::variant: every file of a user pays for what this header makes the compiler do. Copies share what is large.
  Kind kind_ = Kind::Null;
  union {
    int64_t int_ = 0;  // bools too
    double float_;
  };
  std::shared_ptr<const void> large_;  // a string, List or Dict
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
