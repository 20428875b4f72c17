// What lives here: tables from class names to objects, one per kind (initializers, regularizers, constraints): Keras' own classes, those
// that users register, and how both are found from names and saved configurations, and what objects of such kinds are made of.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/error.h>
#include <keras/base/value.h>
#include <keras/serial/fields.h>

#include "serial/naming.h"
#include "serial/registered.h"

namespace keras::serial {

/// A saved configuration read into options. Keys that the options don't have are an error, but for "dtype", which Keras 2 wrote.
template <class Options> Options read_options(const Dict& config, const std::string& where) {
  std::vector<std::string> known = field_names<Options>();
  for (const auto& [key, value] : config)
    if (key != "dtype" && std::find(known.begin(), known.end(), key) == known.end())
      throw ValueError(ErrorText{.what = "unknown configuration entry '" + key + "'" + did_you_mean(key, known), .where = where, .received = value.str()}.str());
  Options options;
  from_config(options, config, where);
  return options;
}

template <class Impl> class Factories {
 public:
  using Make = std::function<std::shared_ptr<Impl>(const Dict& config)>;
  struct Entry {
    std::string name;
    Make make;
  };
  /// `kind`: "initializer"; `builtin`: every name that Keras knows.
  Factories(std::string kind, std::vector<Entry> builtin) : kind_(std::move(kind)), builtin_(std::move(builtin)) {}

  const std::string& kind() const { return kind_; }
  void add(const std::string& class_name, Make make, const std::string& package) {
    std::lock_guard lock(mutex_);
    std::erase_if(custom_, [&](const Custom& c) { return c.name == class_name; });
    custom_.push_back({class_name, package + ">" + class_name, std::move(make)});
  }
  std::shared_ptr<Impl> get(const Value& v) const {
    if (v.is_null()) return nullptr;
    if (v.is_string()) return find(v.as_string(), v)(Dict{});
    if (!v.is_dict() || !v.get("class_name").is_string())
      throw ValueError(ErrorText{.what = "this can't be read as " + a_kind(), .expected = "a name, or a dictionary with class_name and config", .received = v.str()}.str());
    const Value& config = v.get("config");
    const std::string& class_name = v.get("class_name").as_string();
    if (class_name == "function" && config.is_string()) return find(config.as_string(), v)(Dict{});
    const Value& registered = v.get("registered_name");
    const Make* make = registered.is_string() ? search(registered.as_string(), /*custom_only=*/true) : nullptr;
    Make f = make ? *make : find(class_name, v);
    Dict entries = config.is_dict() ? config.as_dict() : Dict{};
    return naming_entries(class_name, entries, [&] { return f(entries); });
  }
  /// "Custom>Name" when it is registered, "" otherwise.
  std::string registered_name(const std::string& class_name) const {
    std::lock_guard lock(mutex_);
    for (const Custom& c : custom_)
      if (c.name == class_name) return c.registered;
    return "";
  }
  std::vector<std::string> names() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const Entry& e : builtin_) all.push_back(e.name);
    for (const Custom& c : custom_) all.push_back(c.name);
    return all;
  }
  /// Keras' saved form of an object of this kind.
  Value object(const std::string& class_name, Dict config) const {
    std::string registered = registered_name(class_name);
    bool own = registered.empty() && std::any_of(builtin_.begin(), builtin_.end(), [&](const Entry& e) { return e.name == class_name; });
    if (own) return serial::object("keras." + kind_ + "s", class_name, std::move(config));
    return Dict{{"module", Value()}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", registered.empty() ? class_name : registered}};
  }
  /// Keras' saved form of a registered function.
  Value function(const std::string& name) const {
    return Dict{{"module", "builtins"}, {"class_name", "function"}, {"config", registered_name(name)}, {"registered_name", "function"}};
  }

 private:
  struct Custom {
    std::string name, registered;
    Make make;
  };
  std::string a_kind() const { return (std::string("aeiou").find(kind_[0]) != std::string::npos ? "an " : "a ") + kind_; }
  const Make* search(const std::string& name, bool custom_only) const {
    for (const Custom& c : custom_)
      if (c.name == name || c.registered == name) return &c.make;
    if (!custom_only)
      for (const Entry& e : builtin_)
        if (e.name == name) return &e.make;
    return nullptr;
  }
  Make find(const std::string& name, const Value& received) const {
    {
      std::lock_guard lock(mutex_);
      if (const Make* make = search(name, false)) return *make;
    }
    throw ValueError(ErrorText{.what = "there is no " + kind_ + " '" + name + "'" + did_you_mean(name, names()), .received = received.str(),
                               .fix = "one of your own is made known by keras::register_" + kind_ + "(\"" + name + "\", …)"}.str());
  }

  std::string kind_;
  std::vector<Entry> builtin_;
  mutable std::mutex mutex_;
  std::vector<Custom> custom_;
};

/// Plain functions as objects of one kind: what a constraint or regularizer becomes that is given as a function of a tensor. `Impl` has
/// `R call(A…)`; a function can be saved once it has a name.
template <class Impl, class Signature> class FunctionObjects;
template <class Impl, class R, class... A> class FunctionObjects<Impl, R(A...)> {
 public:
  using Function = std::function<R(A...)>;
  using Pointer = R (*)(A...);
  explicit FunctionObjects(Factories<Impl>& factories) : factories_(factories) {}

  /// Null for an empty function.
  std::shared_ptr<Impl> wrap(Function f) const {
    if (!f) return nullptr;
    std::string name = names_.name_of(f);
    return std::make_shared<Object>(std::move(f), factories_, std::move(name));
  }
  void add(const std::string& name, const Function& f, const std::string& package) {
    names_.add(name, f);
    factories_.add(name, [this, f, name](const Dict&) { return std::make_shared<Object>(f, factories_, name); }, package);
  }

 private:
  class Object : public Impl {
   public:
    Object(Function f, const Factories<Impl>& factories, std::string name) : f_(std::move(f)), factories_(factories), name_(std::move(name)) {}
    R call(A... arguments) override { return f_(arguments...); }
    std::string class_name() const override { return "function"; }
    Value serialize() const override {
      const std::string& kind = factories_.kind();
      if (name_.empty())
        throw ValueError(ErrorText{.what = "a " + kind + " that is a function without a name can't be saved",
                                   .fix = "call keras::register_" + kind + "(\"my_" + kind + "\", function) and give \"my_" + kind + "\""}.str());
      return factories_.function(name_);
    }

   private:
    Function f_;
    const Factories<Impl>& factories_;
    std::string name_;
  };
  Factories<Impl>& factories_;
  RegisteredFunctions<R(A...)> names_;
};

/// How a class of a kind is made from its configuration: `place` is "constraints::" before the name, in errors.
template <class Object, class Options, class Impl> typename Factories<Impl>::Make maker(const std::string& place, const char* name) {
  return [where = place + name](const Dict& config) -> std::shared_ptr<Impl> { return std::make_shared<Object>(read_options<Options>(config, where)); };
}

/// A class of a kind with options, which are its configuration.
template <class Impl, class Options> class WithOptions : public Impl {
 public:
  WithOptions(const char* name, Options options) : o_(std::move(options)), name_(name) {}
  std::string class_name() const override { return name_; }
  Dict get_config() const override { return to_config(o_); }

 protected:
  Options o_;
  const char* name_;
};

}  // namespace keras::serial
