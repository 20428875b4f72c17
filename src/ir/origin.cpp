// What lives here: the origin under way on a thread, and origins made of others.
#include "ir/origin.h"

#include <algorithm>

namespace keras::ir {

static OriginPtr& under_way() {
  static thread_local OriginPtr origin;
  return origin;
}
const OriginPtr& current_origin() { return under_way(); }

OriginScope::OriginScope(OriginPtr origin) : before_(std::move(under_way())) { under_way() = std::move(origin); }
OriginScope::~OriginScope() { under_way() = std::move(before_); }

OriginPtr gradient_of(const OriginPtr& origin) {
  if (origin && origin->gradient && !origin->remat) return origin;
  auto made = origin ? std::make_shared<Origin>(*origin) : std::make_shared<Origin>();
  made->gradient = true;
  made->again = false;
  made->remat = nullptr;
  return made;
}

OriginPtr again_of(const OriginPtr& origin) {
  auto made = origin ? std::make_shared<Origin>(*origin) : std::make_shared<Origin>();
  made->again = true;
  made->remat = nullptr;
  return made;
}

OriginPtr joined(const std::vector<OriginPtr>& origins) {
  OriginPtr main;
  std::vector<std::string> others;
  for (const OriginPtr& o : origins) {
    if (!o) continue;
    if (!main) main = o;
    auto add = [&](const std::string& name) {
      if (name != main->name && std::find(others.begin(), others.end(), name) == others.end()) others.push_back(name);
    };
    add(o->name);
    for (const std::string& name : o->others) add(name);
  }
  if (!main || others == main->others) return main;
  auto made = std::make_shared<Origin>(*main);
  made->others = std::move(others);
  return made;
}

}  // namespace keras::ir
