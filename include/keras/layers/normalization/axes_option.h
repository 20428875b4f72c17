// What lives here: how an option that is one axis or several is written into configurations: a number or a list, as it was given.
#pragma once
#include <concepts>

#include <keras/ops/types.h>
#include <keras/serial/fields.h>

namespace keras {

/// A template, so that an overload for Axes in a nearer namespace is preferred.
template <std::same_as<Axes> T> Value to_value(const T& axes) {
  return axes.all() ? Value() : axes.single() ? Value(axes.list().at(0)) : Value(axes.list());
}

template <> struct serial::reader<Axes> {
  static Axes read(const Value& v) {
    if (v.is_null()) return {};
    if (!v.is_list()) return Axes(v.as_int());
    std::vector<int> axes;
    for (int64_t i : v.as_ints()) axes.push_back(static_cast<int>(i));
    return Axes(axes);
  }
};

}  // namespace keras
