// What lives here: tests of the functions that work element by element.
// The numbers were computed with Keras 3.15.1 on JAX.
#include "ops/op_check.h"

namespace keras::ops_test {

static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using namespace ops;

TEST(Ops, Unary) {
  (void)kNaN;
  check("ops.negative(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return negative(in[0]); },
        {float32, Shape{2, 3}, {-0.38941833, -0.99166483, -0.14112, 0.91616595, 0.63126665, -0.57843977}});
  check("ops.absolute(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return absolute(in[0]); },
        {float32, Shape{2, 3}, {0.38941833, 0.99166483, 0.14112, 0.91616595, 0.63126665, 0.57843977}});
  check("ops.sign(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return sign(in[0]); },
        {float32, Shape{2, 3}, {1, 1, 1, -1, -1, 1}});
  check("ops.square(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return square(in[0]); },
        {float32, Shape{2, 3}, {0.15164664, 0.98339915, 0.019914854, 0.83936006, 0.39849758, 0.33459258}});
  check("ops.exp(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return exp(in[0]); },
        {float32, Shape{2, 3}, {1.4761219, 2.6957188, 1.1515628, 0.40004992, 0.53191763, 1.7832539}});
  check("ops.exp2(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return exp2(in[0]); },
        {float32, Shape{2, 3}, {1.3098652, 1.9884784, 1.1027609, 0.52991545, 0.64560932, 1.4932334}});
  check("ops.expm1(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return expm1(in[0]); },
        {float32, Shape{2, 3}, {0.47612187, 1.6957188, 0.1515628, -0.59995008, -0.46808237, 0.78325391}});
  check("ops.sin(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return sin(in[0]); },
        {float32, Shape{2, 3}, {0.37965035, 0.83693832, 0.14065208, -0.79327303, -0.59016776, 0.54671818}});
  check("ops.cos(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cos(in[0]); },
        {float32, Shape{2, 3}, {0.92513007, 0.54729724, 0.99005908, 0.6088661, 0.8072806, 0.83731669}});
  check("ops.tan(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return tan(in[0]); },
        {float32, Shape{2, 3}, {0.41037512, 1.5292207, 0.14206432, -1.3028694, -0.73105657, 0.65294081}});
  check("ops.arctan(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return arctan(in[0]); },
        {float32, Shape{2, 3}, {0.37135109, 0.78121322, 0.14019425, -0.74167514, -0.56309301, 0.52441555}});
  check("ops.sinh(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return sinh(in[0]); },
        {float32, Shape{2, 3}, {0.3993355, 1.1623801, 0.14158884, -1.049819, -0.67403638, 0.61124063}});
  check("ops.cosh(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cosh(in[0]); },
        {float32, Shape{2, 3}, {1.0767863, 1.5333387, 1.009974, 1.449869, 1.205954, 1.1720133}});
  check("ops.tanh(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return tanh(in[0]); },
        {float32, Shape{2, 3}, {0.37085867, 0.75807136, 0.1401906, -0.72407866, -0.55892378, 0.52153051}});
  check("ops.arcsinh(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return arcsinh(in[0]); },
        {float32, Shape{2, 3}, {0.3801927, 0.87546736, 0.14065574, -0.82083482, -0.59545028, 0.55024946}});
  check("ops.floor(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return floor(in[0]); },
        {float32, Shape{2, 3}, {0, 0, 0, -1, -1, 0}});
  check("ops.ceil(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return ceil(in[0]); }, {float32, Shape{2, 3}, {1, 1, 1, 0, 0, 1}});
  check("ops.trunc(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return trunc(in[0]); },
        {float32, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.sinc(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return sinc(in[0]); },
        {float32, Shape{2, 3}, {0.76856709, 0.008404254, 0.96756178, 0.090451054, 0.46196797, 0.53366643}});
  check("ops.i0(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return i0(in[0]); },
        {float32, Shape{2, 3}, {1.0382725, 1.2613795, 1.0049849, 1.2211084, 1.1021334, 1.0854138}});
  check("ops.cbrt(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return cbrt(in[0]); },
        {float32, Shape{2, 3}, {0.73025095, 0.99721384, 0.52063042, -0.97123587, -0.85783601, 0.83320659}});
  check("ops.deg2rad(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return deg2rad(in[0]); },
        {float32, Shape{2, 3}, {0.006796632, 0.017307816, 0.0024630087, -0.015990112, -0.011017681, 0.010095678}});
  check("ops.rad2deg(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return rad2deg(in[0]); },
        {float32, Shape{2, 3}, {22.312027, 56.818211, 8.0855808, -52.492443, -36.168915, 33.142159}});
  check("ops.reciprocal(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return reciprocal(in[0]); },
        {float32, Shape{2, 3}, {2.5679326, 1.0084052, 7.0861678, -1.0915053, -1.5841166, 1.7287885}});
  check("ops.isfinite(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return isfinite(in[0]); },
        {bool_, Shape{2, 3}, {1, 1, 1, 1, 1, 1}});
  check("ops.signbit(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return signbit(in[0]); },
        {bool_, Shape{2, 3}, {0, 0, 0, 1, 1, 0}});
  check("ops.logical_not(a)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return logical_not(in[0]); },
        {bool_, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.sqrt(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return sqrt(in[0]); },
        {float32, Shape{2, 3}, {0.91465205, 0.93729401, 0.79623824, 0.53671741, 0.32019305, 0.4666732}});
  check("ops.log(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return log(in[0]); },
        {float32, Shape{2, 3}, {-0.17842311, -0.1295166, -0.45571375, -1.2445672, -2.2776623, -1.5242522}});
  check("ops.log1p(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return log1p(in[0]); },
        {float32, Shape{2, 3}, {0.60790968, 0.63048422, 0.49102813, 0.25314152, 0.097601727, 0.1970327}});
  check("ops.log2(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return log2(in[0]); },
        {float32, Shape{2, 3}, {-0.25741014, -0.18685296, -0.65745598, -1.7955308, -3.2859721, -2.1990311}});
  check("ops.log10(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return log10(in[0]); },
        {float32, Shape{2, 3}, {-0.077488169, -0.056248348, -0.19791397, -0.54050869, -0.98917615, -0.66197431}});
  check("ops.arcsin(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return arcsin(in[0]); },
        {float32, Shape{2, 3}, {0.99102581, 1.0727553, 0.68670863, 0.29220614, 0.10270406, 0.21954328}});
  check("ops.arccos(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return arccos(in[0]); },
        {float32, Shape{2, 3}, {0.57977051, 0.49804115, 0.88408768, 1.2785902, 1.4680923, 1.351253}});
  check("ops.arctanh(a)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return arctanh(in[0]); },
        {float32, Shape{2, 3}, {1.2096963, 1.3692451, 0.74806857, 0.2964555, 0.10288508, 0.22132845}});
  check("ops.arccosh(a + 1)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f}, [](const Tensors& in) { return arccosh(in[0] + 1); },
        {float32, Shape{2, 3}, {1.217006, 1.2437948, 1.0737242, 0.74190074, 0.44903922, 0.6485495}});
  check("ops.round(a, 1)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return round(in[0], 1); },
        {float32, Shape{2, 3}, {0.40000001, 1, 0.1, -0.90000004, -0.60000002, 0.60000002}});
  check("ops.round(a * 3)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return round(in[0] * 3); },
        {float32, Shape{2, 3}, {1, 3, 0, -3, -2, 2}});
  check("ops.clip(a, -0.5, 0.5)", {wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return clip(in[0], -0.5, 0.5); },
        {float32, Shape{2, 3}, {0.38941833, 0.5, 0.14112, -0.5, -0.5, 0.5}});
  check("ops.clip(a, -1, 2)", {count({2, 3}) - 3}, [](const Tensors& in) { return clip(in[0], -1, 2); },
        {int32, Shape{2, 3}, {-1, -1, -1, 0, 1, 2}});
  check("ops.sqrt(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return sqrt(in[0]); },
        {float32, Shape{2, 3}, {kNaN, kNaN, kNaN, 0, 1, 1.4142135}});
  check("ops.exp(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return exp(in[0]); },
        {float32, Shape{2, 3}, {0.049787067, 0.13533528, 0.36787945, 1, 2.7182817, 7.3890562}});
  check("ops.floor(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return floor(in[0]); }, {float32, Shape{2, 3}, {-3, -2, -1, 0, 1, 2}});
  check("ops.square(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return square(in[0]); }, {int32, Shape{2, 3}, {9, 4, 1, 0, 1, 4}});
  check("ops.negative(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return negative(in[0]); },
        {int32, Shape{2, 3}, {3, 2, 1, 0, -1, -2}});
  check("ops.absolute(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return absolute(in[0]); },
        {int32, Shape{2, 3}, {3, 2, 1, 0, 1, 2}});
  check("ops.logical_not(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return logical_not(in[0]); },
        {bool_, Shape{2, 3}, {0, 0, 0, 1, 0, 0}});
  check("ops.isnan(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return isnan(in[0]); }, {bool_, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.bitwise_not(a)", {count({2, 3}) - 3}, [](const Tensors& in) { return bitwise_not(in[0]); },
        {int32, Shape{2, 3}, {2, 1, 0, -1, -2, -3}});
  check("ops.nan_to_num(ops.log(a), nan=3.0, neginf=-1.0)", {wave({2, 3}, 1.3, 0.4)},
        [](const Tensors& in) { return nan_to_num(log(in[0]), 3.0, {}, -1.0); },
        {float32, Shape{2, 3}, {-0.94310111, -0.0083701052, -1.9581447, 3, 3, -0.54742086}});
}

TEST(Ops, Binary) {
  (void)kNaN;
  check("ops.add(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return add(in[0], in[1]); },
        {float32, Shape{2, 3}, {1.2987157, 1.4190447, -0.11442111, -1.7344431, -1.6274313, -0.12710053}});
  check("ops.subtract(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return subtract(in[0], in[1]); },
        {float32, Shape{2, 3}, {-0.5198791, 0.56428492, 0.3966611, -0.097888827, 0.36489797, 1.2839801}});
  check("ops.multiply(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return multiply(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.35409707, 0.4238176, -0.036061961, 0.74967766, 0.62884551, -0.40811256}});
  check("ops.divide(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return divide(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.42826289, 2.3203359, -0.55223989, 1.119628, 0.63369715, -0.8198536}});
  check("ops.floor_divide(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return floor_divide(in[0], in[1]); }, {float32, Shape{2, 3}, {0, 2, -1, 1, 0, -1}});
  check("ops.mod(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return mod(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.38941833, 0.13690507, -0.11442111, -0.097888827, -0.63126665, -0.12710053}});
  check("ops.fmod(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return fmod(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.38941833, 0.13690507, 0.14112, -0.097888827, -0.63126665, 0.57843977}});
  check("ops.maximum(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return maximum(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.90929741, 0.99166483, 0.14112, -0.81827712, -0.63126665, 0.57843977}});
  check("ops.minimum(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return minimum(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.38941833, 0.42737988, -0.25554112, -0.91616595, -0.99616462, -0.7055403}});
  check("ops.arctan2(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return arctan2(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.40463108, 1.1638782, 2.6370316, -2.2998161, -2.5767636, 2.4548626}});
  check("ops.hypot(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return hypot(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.98917556, 1.0798391, 0.29191798, 1.2283882, 1.1793394, 0.91234845}});
  check("ops.logaddexp(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return logaddexp(in[0], in[1]); },
        {float32, Shape{2, 3}, {1.3759155, 1.4419546, 0.65547651, -0.17287701, -0.10401613, 0.82290077}});
  check("ops.logaddexp2(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return logaddexp2(in[0], in[1]); },
        {float32, Shape{2, 3}, {1.6726497, 1.736937, 0.95637918, 0.13360858, 0.19779041, 1.0748111}});
  check("ops.heaviside(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return heaviside(in[0], in[1]); },
        {float32, Shape{2, 3}, {1, 1, 1, 0, 0, 1}});
  check("ops.fmax(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return fmax(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.90929741, 0.99166483, 0.14112, -0.81827712, -0.63126665, 0.57843977}});
  check("ops.fmin(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return fmin(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.38941833, 0.42737988, -0.25554112, -0.91616595, -0.99616462, -0.7055403}});
  check("ops.equal(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return equal(in[0], in[1]); },
        {bool_, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.not_equal(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return not_equal(in[0], in[1]); },
        {bool_, Shape{2, 3}, {1, 1, 1, 1, 1, 1}});
  check("ops.less(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return less(in[0], in[1]); },
        {bool_, Shape{2, 3}, {1, 0, 0, 1, 0, 0}});
  check("ops.less_equal(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return less_equal(in[0], in[1]); }, {bool_, Shape{2, 3}, {1, 0, 0, 1, 0, 0}});
  check("ops.greater(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return greater(in[0], in[1]); },
        {bool_, Shape{2, 3}, {0, 1, 1, 0, 1, 1}});
  check("ops.greater_equal(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return greater_equal(in[0], in[1]); }, {bool_, Shape{2, 3}, {0, 1, 1, 0, 1, 1}});
  check("ops.logical_and(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return logical_and(in[0], in[1]); }, {bool_, Shape{2, 3}, {1, 1, 1, 1, 1, 1}});
  check("ops.logical_xor(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return logical_xor(in[0], in[1]); }, {bool_, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.isclose(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)}, [](const Tensors& in) { return isclose(in[0], in[1]); },
        {bool_, Shape{2, 3}, {0, 0, 0, 0, 0, 0}});
  check("ops.divide_no_nan(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return divide_no_nan(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.42826289, 2.3203359, -0.55223989, 1.119628, 0.63369715, -0.8198536}});
  check("ops.power(a, b)", {wave({2, 3}, 0.9, 1.0) * 0.4f + 0.5f, wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return power(in[0], in[1]); },
        {float32, Shape{2, 3}, {0.85023743, 0.94615132, 1.1235054, 2.7687635, 9.6690168, 2.9312277}});
  check("ops.add(a, b)", {count({2, 3}) - 3, count({2, 3})}, [](const Tensors& in) { return add(in[0], in[1]); },
        {int32, Shape{2, 3}, {-3, -1, 1, 3, 5, 7}});
  check("ops.divide(a, b + 1)", {count({2, 3}) - 3, count({2, 3})}, [](const Tensors& in) { return divide(in[0], in[1] + 1); },
        {float32, Shape{2, 3}, {-3, -1, -0.33333334, 0, 0.2, 0.33333334}});
  check("ops.floor_divide(a, b + 2)", {count({2, 3}) - 3, count({2, 3})}, [](const Tensors& in) { return floor_divide(in[0], in[1] + 2); },
        {int32, Shape{2, 3}, {-2, -1, -1, 0, 0, 0}});
  check("ops.mod(a, b + 2)", {count({2, 3}) - 3, count({2, 3})}, [](const Tensors& in) { return mod(in[0], in[1] + 2); },
        {int32, Shape{2, 3}, {1, 1, 3, 0, 1, 2}});
  check("ops.power(a, 3)", {count({2, 3})}, [](const Tensors& in) { return power(in[0], 3); },
        {int32, Shape{2, 3}, {0, 1, 8, 27, 64, 125}});
  check("ops.left_shift(a, 2)", {count({2, 3})}, [](const Tensors& in) { return left_shift(in[0], 2); },
        {int32, Shape{2, 3}, {0, 4, 8, 12, 16, 20}});
  check("ops.right_shift(a, 1)", {count({2, 3}) - 3}, [](const Tensors& in) { return right_shift(in[0], 1); },
        {int32, Shape{2, 3}, {-2, -1, -1, 0, 0, 1}});
  check("ops.bitwise_xor(a, b)", {count({2, 3}) - 3, count({2, 3})}, [](const Tensors& in) { return bitwise_xor(in[0], in[1]); },
        {int32, Shape{2, 3}, {-3, -1, -3, 3, 5, 7}});
  check("ops.gcd(a * 6, 4)", {count({2, 3})}, [](const Tensors& in) { return gcd(in[0] * 6, 4); },
        {int32, Shape{2, 3}, {4, 2, 4, 2, 4, 2}});
  check("ops.lcm(a, 4)", {count({2, 3})}, [](const Tensors& in) { return lcm(in[0], 4); }, {int32, Shape{2, 3}, {0, 4, 4, 12, 4, 20}});
  check("ops.ldexp(a, b - 3)", {wave({2, 3}, 1.3, 0.4), count({2, 3})}, [](const Tensors& in) { return ldexp(in[0], in[1] - 3); },
        {float32, Shape{2, 3}, {0.048677292, 0.24791621, 0.070560001, -0.91616595, -1.2625333, 2.3137591}});
  check("ops.where(a > b, a, 0)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) { return where(in[0] > in[1], in[0], 0); },
        {float32, Shape{2, 3}, {0, 0.99166483, 0.14112, 0, -0.63126665, 0.57843977}});
  check("ops.add(a, b)",
        {wave({2, 3}, 1.3, 0.4), wave(
                                     {
                                         3,
                                     },
                                     1.0)},
        [](const Tensors& in) { return in[0] + in[1]; },
        {float32, Shape{2, 3}, {0.38941833, 1.8331358, 1.0504174, -0.91616595, 0.2102043, 1.4877372}});
  check("ops.select([a > 0.5, b > 0.5], [a, b], -1.0)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 0.7, 2.0)},
        [](const Tensors& in) {
          return select({in[0] > 0.5, in[1] > 0.5}, {in[0], in[1]}, -1.0);
        },
        {float32, Shape{2, 3}, {0.90929741, 0.99166483, -1, -1, -1, 0.57843977}});
  check("ops.allclose(a, b)", {wave({2, 3}, 1.3, 0.4), wave({2, 3}, 1.3, 0.4)}, [](const Tensors& in) { return allclose(in[0], in[1]); },
        {bool_, Shape{}, {1}});
}

TEST(Ops, ElementwiseErrors) {
  EXPECT_NE(message_of<TypeError>([] { bitwise_and(Tensor{1.5, 2.0}, Tensor{1, 2}); }).find("integers"), std::string::npos);
  EXPECT_NE(message_of<TypeError>([] { ldexp(Tensor{1.0, 2.0}, Tensor{1.0, 2.0}); }).find("float32"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { add(Tensor{1.0, 2.0}, Tensor{1.0, 2.0, 3.0}); }).find("(2,)"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { add(Tensor(), Tensor{1.0}); }).find("empty"), std::string::npos);
}
// Plain numbers do not widen a tensor; ints meet floats in float32.
TEST(Ops, Promotion) {
  Tensor half = Tensor{1.0, 2.0}.astype(float16), byte = Tensor{1, 2}.astype(int8);
  EXPECT_EQ((half * 2.5).dtype(), float16);
  EXPECT_EQ((byte + 1).dtype(), int8);
  EXPECT_EQ((byte + 1.5).dtype(), float32);
  EXPECT_EQ((half + byte).dtype(), float16);
  EXPECT_EQ((half + half.astype(bfloat16)).dtype(), float32);
  EXPECT_EQ((Tensor{1, 2}.astype(uint32) + Tensor{1, 2}).dtype(), int32);
  EXPECT_EQ((Tensor{true, false} + Tensor{true, true}).dtype(), bool_);
  EXPECT_EQ((Tensor{1, 2} / 2).dtype(), float32);
  EXPECT_EQ(sqrt(byte).dtype(), float32);
  EXPECT_EQ((Tensor(1) + 2).dtype(), int32);
  EXPECT_EQ((Tensor(1) + 2.5).dtype(), float32);
}
// What a model's graph holds of a call: Keras' class, the tensors as arguments, options by name.
TEST(Ops, RecordedCalls) {
  Tensor x = core::make_symbolic({DType::Float32, Shape{None, 3}}, "x");
  Tensor y = concatenate({x, x}, -1);
  EXPECT_TRUE(y.is_symbolic());
  EXPECT_EQ(y.shape(), (Shape{None, 6}));
  const core::History& h = y.impl()->history;
  EXPECT_EQ(h.operation->class_name(), "Concatenate");
  const core::CallArgs& args = h.operation->nodes().at(0).args;
  ASSERT_EQ(args.args.size(), 1u);
  EXPECT_EQ(args.args[0].tensors().size(), 2u);
  ASSERT_NE(args.find("axis"), nullptr);
  EXPECT_EQ(args.find("axis")->value().as_int(), -1);
  Tensor z = x * 2.0 + 1.0;
  EXPECT_EQ(z.impl()->history.operation->class_name(), "Add");
  // The recorded call computes on numbers.
  core::CallArgs again = args.map_tensors([](const Tensor&) { return Tensor{{1.0, 2.0, 3.0}}; });
  EXPECT_EQ(h.operation->rerun(again)[0].to_vector<float>(), (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

}  // namespace keras::ops_test
