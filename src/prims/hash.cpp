// What lives here: the primitive that puts whole numbers into bins by their hash.
#include "prims/hash.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;

static std::vector<Type> infer_hash_bins(TypeSpan in, const Attrs& a) {
  if (a.i("kind") != static_cast<int64_t>(cpu::HashKind::Crossed) && in.size() != 1)
    throw ValueError("hash_bins: text is made of one input");
  for (const Type& t : in)
    if (!compatible(t.shape, in[0].shape)) throw ValueError("hash_bins: inputs of shapes " + in[0].shape.str() + " and " + t.shape.str());
  return {{DType::Int32, in[0].shape}};
}
const Primitive hash_bins_prim{.name = "hash_bins",
                               .infer = infer_hash_bins,
                               .cpu =
                                   [](const KernelRequest& r) {
                                     std::vector<DType> dtypes;
                                     for (size_t i = 0; i < r.num_inputs(); ++i) dtypes.push_back(r.in(i).dtype);
                                     const Attrs& a = r.attrs();
                                     return cpu::make_hash_bins(static_cast<cpu::HashKind>(a.i("kind")), dtypes, DType::Int32,
                                                                r.out().shape.numel(), a.i("bins"),
                                                                {static_cast<uint64_t>(a.i("key0")), static_cast<uint64_t>(a.i("key1"))});
                                   },
                               .flat = true};

}  // namespace keras::prims
