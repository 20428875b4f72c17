// What lives here: tests of Normalization, the category layers, the lookups, TextVectorization, the spectrograms and Pipeline.
#include <gtest/gtest.h>

#include <keras/layers/preprocessing/category.h>
#include <keras/layers/preprocessing/lookup.h>
#include <keras/layers/preprocessing/normalization.h>
#include <keras/layers/preprocessing/pipeline.h>
#include <keras/layers/preprocessing/random_geometry.h>
#include <keras/layers/preprocessing/rescaling.h>
#include <keras/layers/preprocessing/spectrogram.h>

#include <cmath>

#include <keras/core/function.h>

#include "io/json.h"
#include "layers/layer_impl.h"
#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

std::vector<double> every(const Tensor& t, size_t step) {
  std::vector<double> all = t.to_vector<double>(), out;
  for (size_t i = 0; i < all.size(); i += step) out.push_back(all[i]);
  return out;
}
void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance = 1e-5) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance * std::max(1.0, std::fabs(want[i]))) << i;
}
Tensor waves(const Shape& shape, double by, double scale = 1, double offset = 0) {
  std::vector<float> v;
  for (int64_t i = 0; i < shape.numel(); ++i)
    v.push_back(static_cast<float>(static_cast<float>(std::sin(static_cast<double>(i) * by)) * scale + offset));
  return Tensor::from<float>(v, shape);
}
std::vector<int64_t> ints(const Tensor& t) { return t.to_vector<int64_t>(); }

TEST(NormalizationLayerTest, Everything) {
  check_layer([] { return Normalization(); },
              {.input_shapes = {{4, 3}},
               .output_shapes = {{4, 3}},
               .num_trainable_weights = 0,
               .num_non_trainable_weights = 3,
               .count_params = 7,
               .supports_masking = true,
               .keras_config = keras_config_text("normalization", R"("axis": [-1], "invert": false, "mean": null, "variance": null)"),
               .perturb_weights = false});
  check_layer(
      [] {
        return Normalization({.mean = List{1.0, 2.0, 3.0}, .variance = List{1.0, 4.0, 9.0}});
      },
      {.input_shapes = {{4, 3}}, .count_params = 0});
}
TEST(NormalizationLayerTest, AsKeras) {
  Tensor x = waves({2, 3, 4}, 0.7, 3, 1);
  struct Row {
    NormalizationOptions options;
    Shape weights;
    std::vector<double> want;
  };
  for (const Row& r : {Row{{}, {4}, {-0.131535142660141, -0.9513746500015259, 0.8619700074195862, -1.127951979637146, 1.2406423091888428}},
                       Row{{.axis = {1, 2}}, {3, 4}, {-1.0, 1.0, 0.9999998807907104, -1.0, 1.0}},
                       Row{{.axis = std::nullopt},
                           {},
                           {-0.14967581629753113, -0.6651435494422913, 0.8157505393028259, -1.4423680305480957, 1.3059985637664795}},
                       Row{{.axis = 1, .invert = true},
                           {3},
                           {3.7869348526000977, -0.12931692600250244, 7.289812088012695, -1.1726628541946411, 9.056512832641602}}}) {
    Normalization layer(r.options), batches(r.options);
    layer.adapt(x);
    EXPECT_EQ(layer.weights().at(0).shape(), r.weights);
    EXPECT_EQ(layer.weights().at(2).dtype(), DType::Int32);
    expect_near(every(layer(x), 5), r.want);
    batches.adapt(Tensors{x.rows(0, 1), x.rows(1, 2)});
    expect_near(every(batches(x), 5), r.want);
  }
  expect_near(every(Normalization({.mean = List{1.0, 2.0, 3.0, 4.0}, .variance = List{1.0, 4.0, 9.0, 16.0}})(x), 5),
              {0.0, -1.026174783706665, -0.009680112823843956, -1.4097718000411987, 2.9718222618103027});
  expect_near(every(Normalization({.axis = {1, 2}, .mean = List{1.0, 2.0, 3.0, 4.0}, .variance = List{1.0, 4.0, 9.0, 16.0}})(x), 5),
              {0.0, -1.026174783706665, -0.009680112823843956, -1.4097718000411987, 2.9718222618103027});
  expect_near(every(Normalization({.mean = 3, .variance = 2.0})(x), 5),
              {-1.4142135381698608, -2.158337116241455, -0.020534617826342583, -3.280329942703247, 0.6871821284294128});
}
TEST(NormalizationLayerTest, Mistakes) {
  EXPECT_THROW(Normalization({.mean = 1.0}), ValueError);
  EXPECT_THROW(Normalization({.mean = List{1.0}, .variance = List{1.0, 2.0}}), ValueError);
  Normalization given({.mean = 1.0, .variance = 2.0}), layer;
  EXPECT_THROW(given.adapt(Tensor{{1.0}}), RuntimeError);
  layer.adapt(Tensor{{1.0, 2.0}, {3.0, 4.0}});
  EXPECT_THROW(layer.adapt(Tensor{{1.0, 2.0, 3.0}}), ValueError);
  EXPECT_THROW(Normalization(Layer(Rescaling(1.0))), TypeError);
}

TEST(CategoryEncodingTest, Everything) {
  check_layer([] { return CategoryEncoding(4); },
              {.input_shapes = {{3, 5}},
               .input_dtypes = {DType::Int32},
               .int_limit = 4,
               .output_shapes = {{3, 4}},
               .count_params = 0,
               .keras_config = keras_config_text("category_encoding", R"("num_tokens": 4, "output_mode": "multi_hot")"),
               .gradient = false,
               .training_step = false});
  Tensor x{{0, 1, 1}, {3, 3, 3}};
  expect_near(every(CategoryEncoding(4, {.output_mode = "count"})(x), 1), {1, 2, 0, 0, 0, 0, 0, 3});
  expect_near(every(CategoryEncoding(4, {.output_mode = "count"})(x, Tensor{{0.5, 1.0, 2.0}, {1.0, 1.0, 0.25}}), 1),
              {0.5, 3, 0, 0, 0, 0, 0, 2.25});
  EXPECT_EQ(Tensor(CategoryEncoding(4, {.output_mode = "one_hot"})(x)).shape(), (Shape{2, 3, 4}));
  EXPECT_THROW(CategoryEncoding(0), ValueError);
  EXPECT_THROW(CategoryEncoding(3, {.output_mode = "int"}), ValueError);
}

TEST(DiscretizationTest, Everything) {
  check_layer(
      [] {
        return Discretization({.bin_boundaries = {{-0.5, 0.0, 0.5}}, .output_mode = "one_hot"});
      },
      {.input_shapes = {{3, 5}},
       .output_shapes = {{3, 5, 4}},
       .count_params = 0,
       .keras_config =
           R"({"bin_boundaries": [-0.5, 0.0, 0.5], "num_bins": null, "epsilon": 0.01, "output_mode": "one_hot", "sparse": false, "name": "discretization", "dtype": "float32"})",
       .gradient = false,
       .training_step = false,
       .mixed_precision = false});
  EXPECT_EQ(ints(Discretization({.bin_boundaries = {{0.0, 1.0, 2.0}}})(Tensor{-1.5, 0.0, 0.5, 2.5})), (std::vector<int64_t>{0, 1, 1, 3}));
}
TEST(DiscretizationTest, AdaptsAsKeras) {
  std::vector<float> d;
  for (int i = 0; i < 1000; ++i) d.push_back(static_cast<float>(i * 7919 % 1009) / 100);
  Tensor x(d);
  Discretization layer({.num_bins = 5});
  EXPECT_THROW(layer(x), RuntimeError);
  layer.adapt(Tensors{x.rows(0, 300), x.rows(300, 700), x.rows(700, 1000)});
  expect_near(layer.bin_boundaries(), {2.0199975967407227, 4.049997329711914, 6.0799970626831055, 8.069998741149902}, 1e-6);
  Discretization rough({.num_bins = 4, .epsilon = 0.1});
  rough.adapt(x.rows(0, 37));
  expect_near(rough.bin_boundaries(), {2.4280002117156982, 5.170000076293945, 7.406999588012695}, 1e-6);
  Discretization again(deserialize(serialize(layer)));
  EXPECT_EQ(again.bin_boundaries(), layer.bin_boundaries());
  EXPECT_THROW(Discretization({.bin_boundaries = {{0.0}}, .num_bins = 2}), ValueError);
  EXPECT_THROW(Discretization({.bin_boundaries = {{0.0}}}).adapt(x), RuntimeError);
}

TEST(HashingTest, StringsAndNumbers) {
  StringArray words({5, 1}, {"omar", "stringer", "marlo", "wire", "skywalker"});
  EXPECT_EQ(ints(Hashing(2)(words)), (std::vector<int64_t>{0, 0, 1, 0, 0}));
  EXPECT_EQ(ints(Hashing(3, {.mask_value = "omar"})(words))[0], 0);
  // A number is hashed as its text.
  EXPECT_EQ(ints(Hashing(1000)(Tensor{-12, 0, 123456})), ints(Hashing(1000)(StringArray({"-12", "0", "123456"}))));
  EXPECT_EQ(ints(Hashing(1000, {.salt = List{133, 137}})(Tensor{-12, 7})),
            ints(Hashing(1000, {.salt = List{133, 137}})(StringArray({"-12", "7"}))));
  check_layer([] { return Hashing(7, {.mask_value = 1, .output_mode = "multi_hot"}); }, {.input_shapes = {{3, 5}},
                                                                                         .input_dtypes = {DType::Int32},
                                                                                         .int_limit = 100,
                                                                                         .output_shapes = {{3, 7}},
                                                                                         .count_params = 0,
                                                                                         .gradient = false,
                                                                                         .training_step = false,
                                                                                         .mixed_precision = false});
  EXPECT_THROW(Hashing(0), ValueError);
  EXPECT_THROW(Hashing(3, {.salt = "x"}), ValueError);
  EXPECT_THROW(Hashing(3, {.dtype = "float32"}), ValueError);
}
TEST(HashedCrossingTest, Everything) {
  HashedCrossing cross(5);
  EXPECT_EQ(ints(cross({StringArray({"A", "B", "A", "B", "A"}), Tensor{101, 101, 101, 102, 102}})), (std::vector<int64_t>{1, 4, 1, 1, 3}));
  Tensor a{1, 2, 3}, b{4, 5, 6};
  EXPECT_EQ(ints(cross(a, b)), ints(cross(std::vector<HashedCrossing::Feature>{a, b})));
  EXPECT_THROW(cross(a, Tensor{1, 2}), ValueError);
  EXPECT_THROW(HashedCrossing(5, {.output_mode = "count"}), ValueError);
}

TEST(StringLookupTest, LooksUp) {
  StringLookup lookup({.mask_token = "[MASK]", .vocabulary = {{"a", "b", "c"}}});
  EXPECT_EQ(ints(lookup(StringArray({2, 2}, {"b", "d", "[MASK]", "a"}))), (std::vector<int64_t>{3, 1, 0, 2}));
  EXPECT_EQ(lookup.get_vocabulary(), (std::vector<std::string>{"[MASK]", "[UNK]", "a", "b", "c"}));
  EXPECT_EQ(lookup.get_vocabulary(false), (std::vector<std::string>{"a", "b", "c"}));
  StringLookup back({.mask_token = "[MASK]", .vocabulary = {lookup.get_vocabulary()}, .invert = true});
  EXPECT_EQ(back.invert(Tensor{3, 0, 1, 9}), StringArray({"b", "[MASK]", "[UNK]", "[UNK]"}));
  EXPECT_THROW(StringLookup({.num_oov_indices = 0, .vocabulary = {{"a"}}})(StringArray({"x"})), ValueError);
  EXPECT_THROW(StringLookup({.vocabulary = {{"a", "a"}}}), ValueError);
  EXPECT_THROW(StringLookup({.max_tokens = 1}), ValueError);
  EXPECT_THROW(lookup(Tensor{1, 2}), TypeError);
}
TEST(StringLookupTest, Adapts) {
  StringLookup lookup({.max_tokens = 3});
  lookup.adapt(StringArray({"b", "a", "c", "b", "c", "c", "a"}));
  // Of equally frequent tokens the last in order comes first.
  EXPECT_EQ(lookup.get_vocabulary(), (std::vector<std::string>{"[UNK]", "c", "b"}));
  StringLookup counts({.output_mode = "tf_idf"});
  counts.adapt(StringArray({2, 3}, {"a", "a", "b", "a", "c", "c"}));
  EXPECT_EQ(counts.get_vocabulary(), (std::vector<std::string>{"[UNK]", "a", "c", "b"}));
  double common = std::log(1 + 2.0 / 3), rare = std::log(2.0);
  expect_near(every(counts(StringArray({1, 4}, {"a", "c", "c", "x"})), 1), {(common + 2 * rare) / 3, common, 2 * rare, 0});
  // Its weights and vocabulary stand beside the variables of a file.
  StringLookup again(deserialize(serialize(counts)));
  again.impl()->load_own_variables(counts.impl()->save_own_variables());
  again.impl()->load_assets(counts.impl()->save_assets());
  EXPECT_EQ(again.get_vocabulary(), counts.get_vocabulary());
  expect_near(every(again(StringArray({1, 2}, {"a", "b"})), 1), every(counts(StringArray({1, 2}, {"a", "b"})), 1));
}

TEST(IntegerLookupTest, Modes) {
  Tensor x{{12, 1138, 42}, {42, 1000, 36}};
  IntegerLookup lookup({.vocabulary = {{12, 36, 1138, 42}}});
  EXPECT_EQ(ints(lookup(x)), (std::vector<int64_t>{1, 3, 4, 4, 0, 2}));
  EXPECT_EQ(ints(IntegerLookup({.num_oov_indices = 2, .vocabulary = {{12, 36, 1138, 42}}})(Tensor{37, 1000})),
            (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(ints(IntegerLookup({.mask_token = 42, .vocabulary = {{12, 36, 1138}}})(x)), (std::vector<int64_t>{2, 4, 0, 0, 1, 3}));
  EXPECT_EQ(ints(IntegerLookup({.vocabulary = {{12, 36}}, .output_mode = "count"})(x)), (std::vector<int64_t>{2, 1, 0, 2, 0, 1}));
  EXPECT_EQ(ints(IntegerLookup({.vocabulary = {{12, 36}}, .invert = true})(Tensor{1, 2, 0, 5})), (std::vector<int64_t>{12, 36, -1, -1}));
  EXPECT_THROW(IntegerLookup({.num_oov_indices = 0, .vocabulary = {{12}}})(x), Error);
  EXPECT_EQ(ints(IntegerLookup({.num_oov_indices = 0, .vocabulary = {{12, 3}}})(Tensor{3, 12})), (std::vector<int64_t>{1, 0}));
  Function step([&](const Tensors& in) { return Tensors{lookup(in[0])}; });
  EXPECT_EQ(ints(step({x})[0]), ints(lookup(x)));
  IntegerLookup learned;
  learned.adapt(Tensor{1, 1, 1, 2, 2, 3});
  EXPECT_EQ(learned.get_vocabulary(), (std::vector<int64_t>{-1, 1, 2, 3}));
  IntegerLookup again(deserialize(serialize(learned)));
  again.impl()->load_assets(learned.impl()->save_assets());
  EXPECT_EQ(again.get_vocabulary(), learned.get_vocabulary());
  EXPECT_THROW(IntegerLookup({.vocabulary_dtype = "int32"}), ValueError);
}

TEST(TextVectorizationTest, Everything) {
  TextVectorization vectorize({.output_sequence_length = 4});
  vectorize.adapt(StringArray({"foo bar", "Bar, BAZ!", "foo bar baz"}));
  EXPECT_EQ(vectorize.get_vocabulary(), (std::vector<std::string>{"", "[UNK]", "bar", "foo", "baz"}));
  EXPECT_EQ(ints(vectorize(StringArray({"foo qux bar", "a b c d e"}))), (std::vector<int64_t>{3, 1, 2, 0, 1, 1, 1, 1}));
  TextVectorization pairs({.ngrams = 2, .output_mode = "count", .vocabulary = {{"foo", "foo bar", "bar"}}});
  EXPECT_EQ(ints(pairs(StringArray({"foo bar foo"}))), (std::vector<int64_t>{1, 2, 1, 1}));
  TextVectorization whole({.split = std::nullopt, .ngrams = List{2}, .vocabulary = {{"a b"}}});
  EXPECT_EQ(ints(whole(StringArray({"a", "b", "a"}))), (std::vector<int64_t>{2, 1}));
  TextVectorization letters({.split = "character", .vocabulary = {{"a", "\xC3\xA4"}}});
  EXPECT_EQ(ints(letters(StringArray({"a\xC3\xA4x"}))), (std::vector<int64_t>{2, 3, 1}));
  TextVectorization own({.vocabulary = {{"x"}}, .standardize_function = [](const std::string&) { return std::string("x y"); }});
  EXPECT_EQ(ints(own(StringArray({"whatever"}))), (std::vector<int64_t>{2, 1}));
  EXPECT_THROW(own.config(), ValueError);
  TextVectorization again(deserialize(serialize(vectorize)));
  again.impl()->load_assets(vectorize.impl()->save_assets());
  EXPECT_EQ(ints(again(StringArray({"foo qux bar"}))), ints(vectorize(StringArray({"foo qux bar"}))));
  EXPECT_THROW(TextVectorization({.split = "words"}), ValueError);
  EXPECT_THROW(TextVectorization({.output_mode = "count", .output_sequence_length = 3}), ValueError);
}

TEST(SpectrogramTest, Stft) {
  Tensor x = waves({2, 100, 2}, 0.3);
  std::vector<float> turned;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t t = 0; t < 100; ++t) turned.push_back(x.data<float>()[static_cast<size_t>(b * 200 + t * 2 + c)]);
  Tensor first = Tensor::from<float>(turned, {2, 2, 100});
  auto expect = [&](const Layer& layer, const Tensor& in, const Shape& shape, const std::vector<double>& want, double tolerance = 2e-4) {
    Tensor y = layer(in);
    EXPECT_EQ(y.shape(), shape);
    expect_near(every(y, std::max<size_t>(1, static_cast<size_t>(y.numel()) / 12)), want, tolerance);
  };
  expect(STFTSpectrogram("log", {.frame_length = 32}), x, {2, 5, 34},
         {-6.933261871337891, -6.77173376083374, -2.9314680099487305, -7.605843544006348, -6.400563716888428, 0.24904821813106537,
          -7.893432140350342, -5.9892778396606445, 0.819068193435669, -7.510195255279541, -5.4805192947387695, 0.09289427101612091,
          -7.288966655731201},
         2e-2);
  expect(
      STFTSpectrogram("psd", {.frame_length = 16, .frame_step = 4, .scaling = "spectrum", .padding = "same"}), x, {2, 25, 18},
      {0.12069397419691086, 0.02771461009979248, 2.9707882731599966e-06, 0.04161973297595978, 0.027547765523195267, 3.004706968567916e-06,
       0.12013004720211029, 0.027450036257505417, 2.945700089185266e-06, 0.03407449647784233, 0.02789420820772648, 3.0793037240073318e-06});
  expect(STFTSpectrogram("stft", {.frame_length = 20, .fft_length = 32, .window = "hamming", .periodic = true, .expand_dims = true}), x,
         {2, 9, 34, 2},
         {-0.0012569570681080222, 0.0, -0.025384221225976944, 0.0, -0.03226633369922638, 0.0, -0.008768909610807896, 0.0,
          0.017883196473121643, 0.0, 0.03238609433174133, 0.0});
  expect(STFTSpectrogram("imag", {.frame_length = 16, .expand_dims = true, .data_format = "channels_first"}), first, {2, 2, 11, 9},
         {0.0, 0.0013494387967512012, 0.2101575881242752, 0.0, 0.000219902562093921, 0.1084420382976532, 0.0, -0.0001823872298700735,
          -0.10492505878210068, 0.0, 0.0009657227201387286, 0.0066272905096411705});
  expect(STFTSpectrogram("magnitude", {.frame_length = 16, .window = Value(), .scaling = std::nullopt}), x, {2, 11, 18},
         {3.2951412200927734, 1.130208969116211, 2.2755815982818604, 1.6914739608764648, 1.058066964149475, 2.091919422149658,
          3.354924201965332, 1.017486572265625, 2.005114793777466, 2.4997429847717285, 0.87501460313797, 1.7371110916137695});
  check_layer(
      [] { return STFTSpectrogram("magnitude", {.frame_length = 8}); },
      {.input_shapes = {{2, 20, 1}},
       .output_shapes = {{2, 4, 5}},
       .num_trainable_weights = 2,
       .count_params = 80,
       .supports_masking = false,
       .keras_config = keras_config_text(
           "stft_spectrogram",
           R"("mode": "magnitude", "frame_length": 8, "frame_step": null, "fft_length": null, "window": "hann", "periodic": false, "scaling": "density", "padding": "valid", "data_format": "channels_last", "expand_dims": false)"),
       .gradient = false,
       .mixed_precision = false});
  EXPECT_EQ(STFTSpectrogram("stft", {.frame_length = 8}).compute_output_shape({None, None, 2}), (Shape{None, None, 20}));
  EXPECT_EQ(STFTSpectrogram("log", {.frame_length = 8, .expand_dims = true}).compute_output_shape({None, 20, None}),
            (Shape{None, 4, 5, None}));
  EXPECT_THROW(STFTSpectrogram("loud"), ValueError);
  EXPECT_THROW(STFTSpectrogram("log", {.frame_length = 8, .frame_step = 9}), ValueError);
  EXPECT_THROW(STFTSpectrogram("log", {.window = "none such"}), ValueError);
}
TEST(SpectrogramTest, Mel) {
  Tensor x = waves({2, 100, 2}, 0.3);
  std::vector<float> left;
  for (size_t i = 0; i < 400; i += 2) left.push_back(x.data<float>()[i]);
  Tensor sound = Tensor::from<float>(left, {2, 100});
  Tensor y = MelSpectrogram({.fft_length = 64, .sequence_stride = 16, .sampling_rate = 800, .num_mel_bins = 8})(sound);
  EXPECT_EQ(y.shape(), (Shape{2, 8, 7}));
  expect_near(every(y, 11),
              {22.127531051635742, 23.626953125, -0.5120875835418701, -7.754756927490234, -56.3730354309082, -4.326234340667725,
               23.62694549560547, 5.105284690856934, -50.30506896972656, -9.253579139709473, -12.786355018615723},
              1e-3);
  y = MelSpectrogram({.fft_length = 64,
                      .sequence_stride = 20,
                      .sequence_length = 40,
                      .window = "hamming",
                      .sampling_rate = 800,
                      .num_mel_bins = 5,
                      .max_freq = 300,
                      .power_to_db = false})(sound);
  EXPECT_EQ(y.shape(), (Shape{2, 5, 6}));
  expect_near(every(y, 6),
              {111.89286804199219, 67.69639587402344, 11.350515365600586, 2.298649311065674, 1.0256229639053345, 148.2279052734375,
               49.6770133972168, 10.2313232421875, 2.0775861740112305, 0.9244153499603271},
              1e-3);
  std::vector<float> wave(100);
  for (size_t i = 0; i < wave.size(); ++i) wave[i] = std::sin(static_cast<float>(i) * 0.37f);
  y = MelSpectrogram({.fft_length = 16, .sequence_stride = 8, .window = Value(), .sampling_rate = 800, .num_mel_bins = 3})(Tensor::from<float>(wave, {1, 100}));
  EXPECT_EQ(y.shape(), (Shape{1, 3, 13}));
  expect_near(every(y, 13), {10.118733406066895, -2.763795852661133, -6.28964900970459}, 1e-4);
  check_layer([] { return MelSpectrogram({.fft_length = 32, .sequence_stride = 8, .num_mel_bins = 4}); }, {.input_shapes = {{2, 64}},
                                                                                                           .output_shapes = {{2, 4, 9}},
                                                                                                           .count_params = 0,
                                                                                                           .gradient = false,
                                                                                                           .training_step = false,
                                                                                                           .mixed_precision = false});
  EXPECT_EQ(MelSpectrogram({.fft_length = 32, .sequence_stride = 8, .num_mel_bins = 4}).compute_output_shape({None, None}),
            (Shape{None, 4, None}));
  EXPECT_THROW(MelSpectrogram({.fft_length = 16, .sequence_length = 32}), ValueError);
}

TEST(PipelineTest, Everything) {
  Pipeline pipeline({RandomFlip("horizontal", {.seed = 1}), Rescaling(0.5)});
  EXPECT_EQ(io::to_json(pipeline.config().at("layers").as_list().at(1).get("config").get("scale"), 1), "0.5");
  Tensor x = waves({2, 3, 4, 1}, 0.9);
  Layer again = deserialize(serialize(pipeline));
  EXPECT_EQ(Tensor(again(x)).to_vector<float>(), Tensor(pipeline(x)).to_vector<float>());
  expect_near(every(pipeline(x, {.training = false}), 5), every(Rescaling(0.5)(x), 5));
  EXPECT_EQ(pipeline.compute_output_shape({None, 3, 4, 1}), (Shape{None, 3, 4, 1}));
  EXPECT_EQ(pipeline.variables().size(), 1u);
}

}  // namespace
}  // namespace keras::layers
