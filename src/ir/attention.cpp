// What lives here: writing and reading the attributes of an attention.
#include "ir/attention.h"

#include <bit>

namespace keras::ir {

using View = AttentionForm::View;
using Step = AttentionForm::Step;

static void put(Ints& to, const View& v) {
  to.push_back(v.offset);
  to.insert(to.end(), v.batch.begin(), v.batch.end());
  to.push_back(v.row);
  to.push_back(v.column);
}
static Ints ints_of(const View& v) {
  Ints out;
  put(out, v);
  return out;
}
static Ints ints_of(const std::vector<Step>& steps) {
  Ints out;
  for (const Step& s : steps) {
    out.insert(out.end(), {static_cast<int64_t>(s.kind), std::bit_cast<int64_t>(s.value), s.operand, int64_t{s.inverted}});
    put(out, s.view);
  }
  return out;
}

Attrs AttentionForm::attrs() const {
  Ints sizes = batch;
  sizes.insert(sizes.end(), {rows, keys, depth, width});
  Attrs a{{"sizes", sizes}, {"q", ints_of(q)}, {"k", ints_of(k)}, {"v", ints_of(v)}, {"y", ints_of(y)}, {"shape", shape.dims()}};
  if (!steps.empty()) a.set("steps", ints_of(steps));
  if (!after.empty()) a.set("after", ints_of(after));
  if (joint.rank() > 0) {
    a.set("joint", joint.dims());
    a.set("dq", ints_of(dq)), a.set("dk", ints_of(dk)), a.set("dv", ints_of(dv));
  }
  return a;
}

AttentionForm AttentionForm::from(const Attrs& attrs) {
  AttentionForm f;
  const Ints& sizes = attrs.ints("sizes");
  const size_t nb = sizes.size() - 4;
  f.batch.assign(sizes.begin(), sizes.end() - 4);
  f.rows = sizes[nb], f.keys = sizes[nb + 1], f.depth = sizes[nb + 2], f.width = sizes[nb + 3];
  const auto view = [&](const int64_t* p) {
    View v;
    v.offset = *p++;
    v.batch.assign(p, p + nb);
    v.row = p[nb], v.column = p[nb + 1];
    return v;
  };
  const auto named = [&](const char* name) { return view(attrs.ints(name).data()); };
  f.q = named("q"), f.k = named("k"), f.v = named("v"), f.y = named("y");
  f.shape = Shape(attrs.ints("shape"));
  const auto steps_of = [&](const char* name) {
    std::vector<Step> out;
    if (!attrs.find(name)) return out;
    const Ints& all = attrs.ints(name);
    for (size_t i = 0; i < all.size(); i += nb + 7)
      out.push_back({static_cast<Kind>(all[i]), std::bit_cast<double>(all[i + 1]), all[i + 2], all[i + 3] != 0, view(all.data() + i + 4)});
    return out;
  };
  f.steps = steps_of("steps");
  f.after = steps_of("after");
  if (attrs.find("joint")) {
    f.joint = Shape(attrs.ints("joint"));
    f.dq = named("dq"), f.dk = named("dk"), f.dv = named("dv");
  }
  return f;
}

}  // namespace keras::ir
