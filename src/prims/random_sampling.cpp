// What lives here: random draws by rejection, whose parameters are tensors: gamma, beta, binomial. Key first; parameters have one element
// or the shape of the result. Draws with plain parameters are in gather.cpp.
#include "cpu/random_kernels.h"
#include "prims/build.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;

static std::vector<Type> infer_sample(TypeSpan in, const Attrs& a) {
  Type out{a.dtype("dtype"), Shape(a.ints("shape"))};
  if (out.dtype != DType::Float32 && out.dtype != DType::Float64) throw TypeError("samples are drawn in float32 or float64, not " + out.str());
  for (const Type& t : in.subspan(1)) {
    if (t.dtype != out.dtype) throw TypeError("a parameter of a draw of " + out.str() + " is " + t.str());
    if (t.shape.numel() != 1 && !compatible(t.shape, out.shape))
      throw ValueError("a parameter of shape " + t.shape.str() + " does not fit a draw of shape " + out.shape.str());
  }
  return {out};
}
static bool single(const KernelRequest& r, size_t i) { return r.in(i).shape.numel() == 1; }

const Primitive random_gamma_prim{.name = "random_gamma", .infer = infer_sample,
                                  .cpu = [](const KernelRequest& r) { return cpu::make_random_gamma(r.out().dtype, r.out().shape.numel(), single(r, 1)); },
                                  .flat = true};
const Primitive random_beta_prim{.name = "random_beta", .infer = infer_sample,
                                 .cpu = [](const KernelRequest& r) { return cpu::make_random_beta(r.out().dtype, r.out().shape.numel(), single(r, 1), single(r, 2)); },
                                 .flat = true};
const Primitive random_binomial_prim{.name = "random_binomial", .infer = infer_sample,
                                     .cpu = [](const KernelRequest& r) {
                                       return cpu::make_random_binomial(r.out().dtype, r.out().shape.numel(), single(r, 1), single(r, 2));
                                     },
                                     .flat = true};

}  // namespace keras::prims
