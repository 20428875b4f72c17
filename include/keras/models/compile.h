// What lives here: how `compile` is told of losses and metrics: one, several, per output, by name, in all the ways that Keras' users write it.
#pragma once
#include <concepts>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/error.h>
#include <keras/losses.h>
#include <keras/metrics.h>

namespace keras {

/// One thing for all outputs, one per output in order, or some by the outputs' names: `"mse"`, `{"mse", "mae"}`,
/// `{{"main", "mse"}, {"aux", "mae"}}`.
template <class T> struct PerOutput {
  /// One of a list, with or without the name of an output.
  struct Item {
    std::string name;
    T value;
    template <class U>
      requires(!std::same_as<std::decay_t<U>, Item> && std::is_convertible_v<U &&, T>)
    Item(U&& value) : value(std::forward<U>(value)) {}
    Item(std::string name, T value) : name(std::move(name)), value(std::move(value)) {}
  };
  std::vector<T> list;
  std::vector<std::pair<std::string, T>> named;
  bool single = false;

  PerOutput() = default;
  template <class U>
    requires(!std::same_as<std::decay_t<U>, PerOutput> && std::is_convertible_v<U &&, T>)
  PerOutput(U&& one) : list{T(std::forward<U>(one))}, single(true) {}
  /// ValueError when some have names and some have none.
  PerOutput(std::initializer_list<Item> items) {
    for (const Item& i : items)
      if (i.name.empty()) list.push_back(i.value);
      else named.emplace_back(i.name, i.value);
    if (!list.empty() && !named.empty()) throw ValueError("compile got a list in which some entries name an output and some don't");
  }
  PerOutput(std::vector<T> items) : list(std::move(items)) {}
  PerOutput(std::vector<std::pair<std::string, T>> items) : named(std::move(items)) {}
  PerOutput(const std::map<std::string, T>& items) : named(items.begin(), items.end()) {}
  bool empty() const { return list.empty() && named.empty(); }
};

/// A metric, or a list of what is a metric or a list.
struct MetricList {
  MetricSpec one;
  std::vector<MetricList> several;
  bool is_list = false;

  MetricList() = default;
  template <class U>
    requires(!std::same_as<std::decay_t<U>, MetricList> && std::is_convertible_v<U &&, MetricSpec>)
  MetricList(U&& one) : one(std::forward<U>(one)) {}
  MetricList(std::initializer_list<MetricList> list);
  MetricList(const std::vector<MetricSpec>& list);
  MetricList(const MetricList&);
  MetricList& operator=(const MetricList&);
  ~MetricList();
  /// The metrics, none left out; ValueError on lists in lists.
  std::vector<MetricSpec> items() const;
};

/// `.metrics = {"accuracy", "mae"}` for the one output; for several a list per output, `{{"accuracy"}, {"mae", "mse"}}`, or by their names,
/// `{{"main", {"accuracy"}}, {"aux", "mae"}}`. A list of pairs of names is by name where the first ones are names of the model's outputs.
struct MetricsArg {
  std::vector<MetricList> entries;
  MetricsArg() = default;
  MetricsArg(std::initializer_list<MetricList> items);
  MetricsArg(std::vector<MetricList> items);
  MetricsArg(const std::vector<MetricSpec>& items);
  MetricsArg(const std::vector<std::pair<std::string, MetricList>>& items);
  MetricsArg(const std::map<std::string, MetricList>& items);
  void add(const std::string& output, const MetricList& metrics);
  bool empty() const { return entries.empty(); }

  /// What was meant, for a model with these outputs.
  struct Resolved {
    std::vector<MetricList> list;
    std::vector<std::pair<std::string, MetricList>> named;
  };
  Resolved resolve(const std::vector<std::string>& output_names) const;
};

}  // namespace keras
