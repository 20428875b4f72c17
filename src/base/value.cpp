// What lives here: reading and comparing configuration values. No JSON text (that is io/json).
#include <keras/base/error.h>
#include <keras/base/value.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace keras {

Dict::Dict(std::initializer_list<std::pair<std::string, Value>> items) {
  for (const auto& [k, v] : items) set(k, v);
}
const Value* Dict::find(std::string_view key) const {
  for (const auto& item : items_)
    if (item.first == key) return &item.second;
  return nullptr;
}
Value* Dict::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }
const Value& Dict::at(std::string_view key) const {
  if (const Value* v = find(key)) return *v;
  throw ValueError("there is no entry '" + std::string(key) + "'" + did_you_mean(key, keys()));
}
Value& Dict::operator[](std::string_view key) {
  if (Value* v = find(key)) return *v;
  return items_.emplace_back(std::string(key), Value()).second;
}
void Dict::set(std::string_view key, Value value) { (*this)[key] = std::move(value); }
void Dict::push_back_new(std::string key, Value value) { items_.emplace_back(std::move(key), std::move(value)); }
bool Dict::erase(std::string_view key) {
  return std::erase_if(items_, [&](const auto& item) { return item.first == key; }) > 0;
}
std::vector<std::string> Dict::keys() const {
  std::vector<std::string> k;
  for (const auto& item : items_) k.push_back(item.first);
  return k;
}
bool operator==(const Dict& a, const Dict& b) {  // order of keys does not count
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&](const auto& item) {
    const Value* other = b.find(item.first);
    return other && *other == item.second;
  });
}

Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept : kind_(other.kind_), int_(other.int_), large_(std::move(other.large_)) { other.kind_ = Kind::Null; }
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept {
  // By a copy of the handle: `other` may be inside of what this one holds.
  Value taken(std::move(other));
  std::swap(kind_, taken.kind_), std::swap(int_, taken.int_), large_.swap(taken.large_);
  return *this;
}
Value::~Value() = default;
Value::Value(const char* s) : Value(std::string(s)) {}
Value::Value(std::string s) : kind_(Kind::String), large_(std::make_shared<const std::string>(std::move(s))) {}
Value::Value(std::string_view s) : Value(std::string(s)) {}
Value::Value(List l) : kind_(Kind::List), large_(std::make_shared<const List>(std::move(l))) {}
Value::Value(Dict d) : kind_(Kind::Dict), large_(std::make_shared<const Dict>(std::move(d))) {}
Value::Value(DType d) : Value(std::string(dtype_name(d))) {}
Value::Value(const Shape& s) {
  List l;
  for (int64_t d : s) l.push_back(d < 0 ? Value() : Value(d));
  *this = Value(std::move(l));
}

const char* Value::kind_name() const {
  static constexpr const char* names[] = {"null", "bool", "int", "float", "string", "list", "dict"};
  return names[static_cast<size_t>(kind_)];
}
static TypeError wrong_kind(const Value& v, const char* wanted) {
  return TypeError(std::string("expected ") + wanted + ", received " + v.kind_name() + " " + v.str());
}
bool Value::as_bool() const {
  if (is_bool() || is_int()) return int_ != 0;
  throw wrong_kind(*this, "a bool");
}
int64_t Value::as_int() const {
  if (is_int() || is_bool()) return int_;
  if (is_float()) {
    if (float_ == std::floor(float_) && std::abs(float_) < 9e15) return static_cast<int64_t>(float_);
  }
  throw wrong_kind(*this, "an int");
}
double Value::as_float() const {
  if (is_float()) return float_;
  if (is_int() || is_bool()) return static_cast<double>(int_);
  throw wrong_kind(*this, "a number");
}
const std::string& Value::as_string() const {
  if (!is_string()) throw wrong_kind(*this, "a string");
  return *static_cast<const std::string*>(large_.get());
}
const List& Value::as_list() const {
  if (!is_list()) throw wrong_kind(*this, "a list");
  return *static_cast<const List*>(large_.get());
}
const Dict& Value::as_dict() const {
  if (!is_dict()) throw wrong_kind(*this, "a dictionary");
  return *static_cast<const Dict*>(large_.get());
}
Shape Value::as_shape() const {
  std::vector<int64_t> d;
  for (const Value& v : as_list()) d.push_back(v.is_null() ? None : v.as_int());
  return Shape(std::move(d));
}
std::vector<int64_t> Value::as_ints() const {
  std::vector<int64_t> d;
  for (const Value& v : as_list()) d.push_back(v.as_int());
  return d;
}
const Value& Value::get(std::string_view key) const {
  static const Value null;
  if (!is_dict()) return null;
  const Value* v = as_dict().find(key);
  return v ? *v : null;
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  char buffer[40];
  double magnitude = std::abs(d);
  bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  auto r = std::to_chars(buffer, buffer + sizeof buffer, d, scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string s(buffer, r.ptr);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

std::string Value::str() const {
  switch (kind_) {
    case Kind::Bool: return int_ != 0 ? "true" : "false";
    case Kind::Int: return std::to_string(int_);
    case Kind::Float: return float_repr(float_);
    case Kind::String: return "\"" + as_string() + "\"";
    case Kind::List: {
      std::string s = "[";
      for (const Value& v : as_list()) s += (s.size() > 1 ? ", " : "") + v.str();
      return s + "]";
    }
    case Kind::Dict: {
      std::string s = "{";
      for (const auto& [k, v] : as_dict()) s += (s.size() > 1 ? ", \"" : "\"") + k + "\": " + v.str();
      return s + "}";
    }
    default: return "null";
  }
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
    double x = a.as_float(), y = b.as_float();
    return x == y || (std::isnan(x) && std::isnan(y));
  }
  if (a.kind_ != b.kind_) return false;
  if (a.is_list()) return a.as_list() == b.as_list();
  if (a.is_dict()) return a.as_dict() == b.as_dict();
  if (a.is_string()) return a.as_string() == b.as_string();
  return a.int_ == b.int_;
}

}  // namespace keras
