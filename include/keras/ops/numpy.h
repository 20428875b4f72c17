// What lives here: keras.ops' NumPy family. Every function takes concrete, traced and symbolic tensors; dtypes follow Keras 3's promotion
// (plain C++ numbers do not widen a tensor); shapes that do not fit give ValueError.
#pragma once
#include <keras/ops/types.h>

namespace keras::ops {

// ---- element by element, two operands, broadcasting
Tensor add(const Tensor& x1, const Tensor& x2);
Tensor subtract(const Tensor& x1, const Tensor& x2);
Tensor multiply(const Tensor& x1, const Tensor& x2);
/// Division in floats: ints give float32.
Tensor divide(const Tensor& x1, const Tensor& x2);
Tensor true_divide(const Tensor& x1, const Tensor& x2);
/// Division with 0 where the divisor is 0.
Tensor divide_no_nan(const Tensor& x1, const Tensor& x2);
/// Rounds towards minus infinity.
Tensor floor_divide(const Tensor& x1, const Tensor& x2);
/// Remainder with the sign of the divisor.
Tensor mod(const Tensor& x1, const Tensor& x2);
/// Remainder with the sign of the dividend.
Tensor fmod(const Tensor& x1, const Tensor& x2);
Tensor power(const Tensor& x1, const Tensor& x2);
Tensor maximum(const Tensor& x1, const Tensor& x2);
Tensor minimum(const Tensor& x1, const Tensor& x2);
/// As maximum and minimum, but a number wins over NaN.
Tensor fmax(const Tensor& x1, const Tensor& x2);
Tensor fmin(const Tensor& x1, const Tensor& x2);
Tensor arctan2(const Tensor& x1, const Tensor& x2);
Tensor hypot(const Tensor& x1, const Tensor& x2);
Tensor logaddexp(const Tensor& x1, const Tensor& x2);
Tensor logaddexp2(const Tensor& x1, const Tensor& x2);
Tensor heaviside(const Tensor& x1, const Tensor& x2);
Tensor nextafter(const Tensor& x1, const Tensor& x2);
Tensor ldexp(const Tensor& x1, const Tensor& x2);
Tensor gcd(const Tensor& x1, const Tensor& x2);
Tensor lcm(const Tensor& x1, const Tensor& x2);
Tensor equal(const Tensor& x1, const Tensor& x2);
Tensor not_equal(const Tensor& x1, const Tensor& x2);
Tensor less(const Tensor& x1, const Tensor& x2);
Tensor less_equal(const Tensor& x1, const Tensor& x2);
Tensor greater(const Tensor& x1, const Tensor& x2);
Tensor greater_equal(const Tensor& x1, const Tensor& x2);
Tensor logical_and(const Tensor& x1, const Tensor& x2);
Tensor logical_or(const Tensor& x1, const Tensor& x2);
Tensor logical_xor(const Tensor& x1, const Tensor& x2);
Tensor bitwise_and(const Tensor& x, const Tensor& y);
Tensor bitwise_or(const Tensor& x, const Tensor& y);
Tensor bitwise_xor(const Tensor& x, const Tensor& y);
Tensor left_shift(const Tensor& x, const Tensor& y);
Tensor right_shift(const Tensor& x, const Tensor& y);
Tensor bitwise_left_shift(const Tensor& x, const Tensor& y);
Tensor bitwise_right_shift(const Tensor& x, const Tensor& y);
Tensor isclose(const Tensor& x1, const Tensor& x2, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
/// A scalar bool.
Tensor allclose(const Tensor& x1, const Tensor& x2, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);

// ---- element by element, one operand
Tensor negative(const Tensor& x);
Tensor absolute(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor fabs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor signbit(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor cbrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor arcsin(const Tensor& x);
Tensor arccos(const Tensor& x);
Tensor arctan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor arcsinh(const Tensor& x);
Tensor arccosh(const Tensor& x);
Tensor arctanh(const Tensor& x);
Tensor sinc(const Tensor& x);
Tensor i0(const Tensor& x);
Tensor deg2rad(const Tensor& x);
Tensor rad2deg(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor trunc(const Tensor& x);
/// Half to even.
Tensor round(const Tensor& x, int decimals = 0);
Tensor clip(const Tensor& x, const Tensor& x_min, const Tensor& x_max);
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isneginf(const Tensor& x);
Tensor isposinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor isreal(const Tensor& x);
Tensor logical_not(const Tensor& x);
Tensor bitwise_not(const Tensor& x);
Tensor bitwise_invert(const Tensor& x);
/// Of real numbers the conjugate and the real part are x, the imaginary part is 0, the angle 0 or pi.
Tensor conj(const Tensor& x);
Complex conj(const Complex& x);
Tensor conjugate(const Tensor& x);
Complex conjugate(const Complex& x);
Tensor real(const Tensor& x);
Tensor real(const Complex& x);
Tensor imag(const Tensor& x);
Tensor imag(const Complex& x);
Tensor angle(const Tensor& x);
Tensor angle(const Complex& x);
Tensor absolute(const Complex& x);
Tensor abs(const Complex& x);
/// True where the imaginary part is 0.
Tensor isreal(const Complex& x);
Tensor nan_to_num(const Tensor& x, double nan = 0.0, std::optional<double> posinf = {}, std::optional<double> neginf = {});
Tensor copy(const Tensor& x);
/// x1 where the condition holds, else x2.
Tensor where(const Tensor& condition, const Tensor& x1, const Tensor& x2);
/// Indices of what is not zero, one tensor per axis. Concrete tensors only: the result's size depends on the numbers.
Tensors where(const Tensor& condition);
/// The first choice whose condition holds, else the default.
Tensor select(const Tensors& condlist, const Tensors& choicelist, const Tensor& default_value = Tensor(0));

// ---- reductions; no axis means all
Tensor sum(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor mean(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor prod(const Tensor& x, const Axes& axis = {}, bool keepdims = false, OptDType dtype = {});
Tensor max(const Tensor& x, const Axes& axis = {}, bool keepdims = false, const Tensor& initial = Tensor());
Tensor min(const Tensor& x, const Axes& axis = {}, bool keepdims = false, const Tensor& initial = Tensor());
Tensor amax(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor amin(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor ptp(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor var(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor std(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor any(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor all(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor count_nonzero(const Tensor& x, const Axes& axis = {});
Tensor average(const Tensor& x, const Axes& axis = {}, const Tensor& weights = Tensor());
Tensor median(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
/// `method`: "linear", "lower", "higher", "midpoint" or "nearest". With a vector `q` the quantiles are the first axis.
Tensor quantile(const Tensor& x, const Tensor& q, const Axes& axis = {}, std::string_view method = "linear", bool keepdims = false);
Tensor percentile(const Tensor& x, const Tensor& q, const Axes& axis = {}, std::string_view method = "linear", bool keepdims = false);
/// Index of the first largest (smallest) element, int32; over the flattened tensor without an axis.
Tensor argmax(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);
Tensor argmin(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);
Tensor nansum(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanmean(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanprod(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanmax(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanmin(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanvar(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanstd(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanmedian(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor nanquantile(const Tensor& x, const Tensor& q, const Axes& axis = {}, std::string_view method = "linear", bool keepdims = false);
Tensor nanpercentile(const Tensor& x, const Tensor& q, const Axes& axis = {}, std::string_view method = "linear", bool keepdims = false);
Tensor nanargmax(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);
Tensor nanargmin(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);
/// Without an axis, over the flattened tensor.
Tensor cumsum(const Tensor& x, std::optional<int> axis = {}, OptDType dtype = {});
Tensor cumprod(const Tensor& x, std::optional<int> axis = {}, OptDType dtype = {});
Tensor nancumsum(const Tensor& x, std::optional<int> axis = {}, OptDType dtype = {});
Tensor nancumprod(const Tensor& x, std::optional<int> axis = {}, OptDType dtype = {});
Tensor diff(const Tensor& a, int n = 1, int axis = -1);
Tensor trapezoid(const Tensor& y, const Tensor& x = Tensor(), double dx = 1.0, int axis = -1);

// ---- order
Tensor sort(const Tensor& x, std::optional<int> axis = -1);
/// Stable; int32.
Tensor argsort(const Tensor& x, std::optional<int> axis = -1);
Tensor argpartition(const Tensor& x, int64_t kth, std::optional<int> axis = -1);
/// `side`: "left" or "right".
Tensor searchsorted(const Tensor& sorted_sequence, const Tensor& values, std::string_view side = "left");
Tensor digitize(const Tensor& x, const Tensor& bins);
/// Counts of each whole number, per row for two axes. In a compiled step the length is `minlength`.
Tensor bincount(const Tensor& x, const Tensor& weights = Tensor(), int64_t minlength = 0);
/// Counts and edges.
std::pair<Tensor, Tensor> histogram(const Tensor& x, int64_t bins = 10, std::optional<std::pair<double, double>> range = {});
Tensor isin(const Tensor& x1, const Tensor& x2, bool assume_unique = false, bool invert = false);
/// One tensor of indices per axis, as int32. Concrete tensors only.
Tensors nonzero(const Tensor& x);
struct Unique {
  Tensor values, index, inverse, counts;  // those not asked for are empty
};
/// Sorted distinct elements. Concrete tensors only, unless `size` is given.
Unique unique(const Tensor& x, bool sorted = true, bool return_index = false, bool return_inverse = false, bool return_counts = false,
              std::optional<int> axis = {}, std::optional<int64_t> size = {}, const Tensor& fill_value = Tensor());

// ---- products
Tensor matmul(const Tensor& x1, const Tensor& x2);
Tensor dot(const Tensor& x1, const Tensor& x2);
Tensor tensordot(const Tensor& x1, const Tensor& x2, int axes = 2);
Tensor tensordot(const Tensor& x1, const Tensor& x2, const std::vector<int>& axes1, const std::vector<int>& axes2);
Tensor inner(const Tensor& x1, const Tensor& x2);
Tensor outer(const Tensor& x1, const Tensor& x2);
Tensor vdot(const Tensor& x1, const Tensor& x2);
/// Any sum of products in Einstein's notation, "..." included: `einsum("bij,bjk->bik", {a, b})`.
Tensor einsum(std::string_view subscripts, const Tensors& operands);
Tensor kron(const Tensor& x1, const Tensor& x2);
Tensor cross(const Tensor& x1, const Tensor& x2, int axisa = -1, int axisb = -1, int axisc = -1, std::optional<int> axis = {});
/// `mode`: "valid", "same" or "full".
Tensor correlate(const Tensor& x1, const Tensor& x2, std::string_view mode = "valid");
Tensor corrcoef(const Tensor& x);
/// Euclidean distances of rows: (…, P, M) and (…, R, M) give (…, P, R).
Tensor cdist(const Tensor& x, const Tensor& y);

// ---- shape
/// One size may be -1 (None).
Tensor reshape(const Tensor& x, const Shape& newshape);
Tensor ravel(const Tensor& x);
Tensor transpose(const Tensor& x, const Axes& axes = {});
Tensor swapaxes(const Tensor& x, int axis1, int axis2);
Tensor moveaxis(const Tensor& x, const Axes& source, const Axes& destination);
Tensor expand_dims(const Tensor& x, const Axes& axis);
Tensor squeeze(const Tensor& x, const Axes& axis = {});
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// Without an axis, of the flattened tensors.
Tensor concatenate(const Tensors& xs, std::optional<int> axis = 0);
Tensor append(const Tensor& x1, const Tensor& x2, std::optional<int> axis = {});
Tensor stack(const Tensors& xs, int axis = 0);
Tensor hstack(const Tensors& xs);
Tensor vstack(const Tensors& xs);
Tensor dstack(const Tensors& xs);
Tensor column_stack(const Tensors& xs);
/// A number: that many equal parts; a list: the positions to cut at.
Tensors split(const Tensor& x, const Sizes& indices_or_sections, int axis = 0);
/// As split, the parts may differ by one.
Tensors array_split(const Tensor& x, const Sizes& indices_or_sections, int axis = 0);
Tensors hsplit(const Tensor& x, const Sizes& indices_or_sections);
Tensors vsplit(const Tensor& x, const Sizes& indices_or_sections);
Tensors dsplit(const Tensor& x, const Sizes& indices_or_sections);
/// Each element `repeats` times (one number, or one per element of the axis); flattened without an axis.
Tensor repeat(const Tensor& x, const Sizes& repeats, std::optional<int> axis = {});
Tensor tile(const Tensor& x, const Sizes& repeats);
Tensor flip(const Tensor& x, const Axes& axis = {});
Tensor fliplr(const Tensor& x);
Tensor flipud(const Tensor& x);
Tensor roll(const Tensor& x, const Sizes& shift, const Axes& axis = {});
Tensor rot90(const Tensor& array, int k = 1, std::pair<int, int> axes = {0, 1});
/// `mode`: "constant", "reflect", "symmetric", "edge", "wrap", "maximum", "minimum", "mean", "empty" or "linear_ramp".
Tensor pad(const Tensor& x, const PadWidth& pad_width, std::string_view mode = "constant", const Tensor& constant_values = Tensor());
Tensors meshgrid(const Tensors& x, std::string_view indexing = "xy");
/// Blocks of space into channels, and back. NHWC, or NCHW with "channels_first".
Tensor space_to_depth(const Tensor& x, int64_t block_size, std::string_view data_format = "channels_last");
Tensor depth_to_space(const Tensor& x, int64_t block_size, std::string_view data_format = "channels_last");
/// einops' rearrange: `rearrange(x, "b h (w c) -> b (h w) c", {{"c", 3}})`.
Tensor rearrange(const Tensor& tensor, std::string_view pattern, const std::vector<std::pair<std::string, int64_t>>& axes_lengths = {});

// ---- picking
/// Negative indices count from the end; over the flattened tensor without an axis.
Tensor take(const Tensor& x, const Tensor& indices, std::optional<int> axis = {});
Tensor take_along_axis(const Tensor& x, const Tensor& indices, std::optional<int> axis = {});
/// NumPy's indexing: `get_item(x, {0, Slice{1, 5}, Ellipsis})`.
Tensor get_item(const Tensor& x, const std::vector<Index>& key);
/// One slice per leading axis, as Python's `x[s0:e0:t0, …]`; negative numbers count from the end, negative steps go backwards.
Tensor slice_tensor(const Tensor& x, const std::vector<Slice>& slices);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int axis1 = 0, int axis2 = 1);
Tensor diag(const Tensor& x, int64_t k = 0);
Tensor diagflat(const Tensor& x, int64_t k = 0);
Tensor tril(const Tensor& x, int64_t k = 0);
Tensor triu(const Tensor& x, int64_t k = 0);
Tensor trace(const Tensor& x, int64_t offset = 0, int axis1 = 0, int axis2 = 1);
Tensors unravel_index(const Tensor& indices, const Shape& shape);

// ---- making
Tensor zeros(const Shape& shape, OptDType dtype = {});
Tensor ones(const Shape& shape, OptDType dtype = {});
Tensor empty(const Shape& shape, OptDType dtype = {});
Tensor full(const Shape& shape, const Tensor& fill_value, OptDType dtype = {});
Tensor zeros_like(const Tensor& x, OptDType dtype = {});
Tensor ones_like(const Tensor& x, OptDType dtype = {});
Tensor empty_like(const Tensor& x, OptDType dtype = {});
Tensor full_like(const Tensor& x, const Tensor& fill_value, OptDType dtype = {});
Tensor eye(int64_t N, std::optional<int64_t> M = {}, int64_t k = 0, OptDType dtype = {});
Tensor identity(int64_t n, OptDType dtype = {});
Tensor tri(int64_t N, std::optional<int64_t> M = {}, int64_t k = 0, OptDType dtype = {});
/// Whole numbers give int32, others float32.
Tensor arange(Number start, std::optional<Number> stop = {}, Number step = 1, OptDType dtype = {});
Tensor linspace(const Tensor& start, const Tensor& stop, int64_t num = 50, bool endpoint = true, OptDType dtype = {}, int axis = 0);
/// Also the step: Keras' `retstep=True`.
std::pair<Tensor, Tensor> linspace_with_step(const Tensor& start, const Tensor& stop, int64_t num = 50, bool endpoint = true,
                                             OptDType dtype = {}, int axis = 0);
Tensor logspace(const Tensor& start, const Tensor& stop, int64_t num = 50, bool endpoint = true, double base = 10, OptDType dtype = {},
                int axis = 0);
Tensor geomspace(const Tensor& start, const Tensor& stop, int64_t num = 50, bool endpoint = true, OptDType dtype = {}, int axis = 0);
Tensor array(const Tensor& x, OptDType dtype = {});
Tensor vander(const Tensor& x, std::optional<int64_t> N = {}, bool increasing = false);
/// Windows of `x` samples.
Tensor bartlett(int64_t x);
Tensor blackman(int64_t x);
Tensor hamming(int64_t x);
Tensor hanning(int64_t x);
Tensor kaiser(int64_t x, double beta);
int ndim(const Tensor& x);
/// Number of elements.
int64_t size(const Tensor& x);
/// The same bytes as another dtype; the last axis grows or shrinks with the size of an element.
Tensor view(const Tensor& x, OptDType dtype = {});

}  // namespace keras::ops
