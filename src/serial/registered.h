// What lives here: tables of what users registered under names: classes, with the C++ types that are saved under them, and functions.
// Keras' own classes are in the tables of their rooms.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include <keras/base/value.h>

namespace keras::serial {

/// The last part of a C++ type's name, without template arguments.
std::string plain_type_name(const std::type_info& type);
/// "MyLoss" of "package>MyLoss".
std::string last_part(const std::string& registered_name);

/// From registered names to entries that are false when empty. Any thread may read and add.
template <class Entry> class Registered {
 public:
  void add(const std::string& name, Entry entry) {
    std::lock_guard lock(mutex_);
    entries_[name] = std::move(entry);
    by_last_part_[last_part(name)] = name;
  }
  /// By the registered name, or by its last part; empty when there is none.
  Entry find(const std::string& name) const {
    std::lock_guard lock(mutex_);
    if (auto at = entries_.find(name); at != entries_.end()) return at->second;
    if (auto at = by_last_part_.find(name); at != by_last_part_.end()) return entries_.at(at->second);
    return {};
  }
  std::vector<std::string> names() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, entry] : entries_) all.push_back(name);
    return all;
  }

 protected:
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> by_last_part_;
};

template <class Object> class RegisteredClasses : public Registered<std::function<std::shared_ptr<Object>(const Dict& config)>> {
 public:
  using Make = std::function<std::shared_ptr<Object>(const Dict& config)>;
  /// `type`: the objects that are saved under the name, besides those whose class name is its last part.
  void add(const std::string& name, Make make, const std::type_info* type) {
    Registered<Make>::add(name, std::move(make));
    std::lock_guard lock(this->mutex_);
    if (type) types_.insert_or_assign(std::type_index(*type), name);
  }
  /// The registered name that an object is saved under, "" for none.
  std::string name_of(const std::type_info& type, const std::string& class_name) const {
    std::lock_guard lock(this->mutex_);
    if (auto at = types_.find(std::type_index(type)); at != types_.end()) return at->second;
    auto at = this->by_last_part_.find(class_name);
    return at == this->by_last_part_.end() ? "" : at->second;
  }

 private:
  std::map<std::type_index, std::string> types_;
};

template <class Signature> class RegisteredFunctions : public Registered<std::function<Signature>> {
 public:
  /// The name of a function that was registered, "" for others: plain functions are known by their address, lambdas are not.
  std::string name_of(const std::function<Signature>& f) const {
    using Pointer = std::add_pointer_t<Signature>;
    const Pointer* wanted = f.template target<Pointer>();
    if (!wanted) return "";
    std::lock_guard lock(this->mutex_);
    for (const auto& [name, registered] : this->entries_)
      if (const Pointer* p = registered.template target<Pointer>(); p && *p == *wanted) return name;
    return "";
  }
};

}  // namespace keras::serial
