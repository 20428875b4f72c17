// What lives here: the list of all primitives.
#include "prims/registry.h"

#include "prims/build.h"
#include "prims/parts.h"
#include "prims/hash.h"

namespace keras::prims {

void register_all() {
  static const std::vector<const Primitive*> table = [] {
    std::vector<const Primitive*> t = {
        &constant_prim, &iota_prim, &broadcast_to_prim, &reshape_prim, &transpose_prim, &slice_prim, &pad_prim, &concat_prim, &reverse_prim,
        &again_prim, &stop_gradient_prim, &dynamic_slice_prim, &dynamic_update_slice_prim, &custom_gradient_prim, &reduce_sum_prim, &reduce_prod_prim, &reduce_max_prim,
        &reduce_min_prim, &reduce_and_prim, &reduce_or_prim, &argmax_prim, &argmin_prim, &cumsum_prim, &cumprod_prim, &cummax_prim,
        &cummin_prim, &sort_prim, &argsort_prim, &top_k_prim, &searchsorted_prim, &dot_prim, &conv_prim, &conv_backward_input_prim,
        &conv_backward_filter_prim, &max_pool_prim, &avg_pool_prim, &max_pool_backward_prim, &avg_pool_backward_prim, &gather_prim,
        &scatter_add_prim, &take_along_axis_prim, &scatter_add_along_axis_prim, &gather_nd_prim, &scatter_nd_prim, &random_prim,
        &split_key_prim, &hash_bins_prim, &random_gamma_prim, &random_beta_prim, &random_binomial_prim, &scan_prim, &together_prim, &cluster_prim, &by_parts_prim, &scatter_cluster_prim, &attention_prim, &attention_backward_prim, &cholesky_prim, &triangular_solve_prim, &lu_prim, &qr_prim, &eigh_prim, &eig_prim, &svd_prim};
    for (int i = 0; i < static_cast<int>(Ew::count_); ++i) t.push_back(kEwPrims[i]);
    return t;
  }();
  ir::set_primitive_table(table);
}

}  // namespace keras::prims
