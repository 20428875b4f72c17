// What lives here: tests of the small helpers on arrays.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include <keras/utils.h>

namespace keras::utils {
namespace {

void expect(const Tensor& got, DType dtype, const Shape& shape, const std::vector<double>& want) {
  EXPECT_STREQ(dtype_name(got.dtype()), dtype_name(dtype));
  ASSERT_EQ(got.shape(), shape);
  std::vector<double> g = got.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], 1e-6) << i;
}

TEST(PadSequences, NumbersAndSamples) {
  std::vector<std::vector<int64_t>> s{{1}, {2, 3}, {4, 5, 6}};
  expect(pad_sequences(s), DType::Int32, {3, 3}, {0, 0, 1, 0, 2, 3, 4, 5, 6});
  expect(pad_sequences(s, {.maxlen = 2, .padding = "post", .truncating = "post", .value = -1}), DType::Int32, {3, 2}, {1, -1, 2, 3, 4, 5});
  Tensors pairs{Tensor{{1, 1}}, Tensor{{2, 1}, {2, 2}}, Tensor::empty(DType::Int32, Shape{0})};
  expect(pad_sequences(pairs, {.dtype = DType::Float32, .value = 0.5}), DType::Float32, {3, 2, 2}, {0.5, 0.5, 1, 1, 2, 1, 2, 2, 0.5, 0.5, 0.5, 0.5});
  EXPECT_THROW(pad_sequences(Tensors{Tensor{{1, 1}}, Tensor{1}}), ValueError);
  EXPECT_THROW(pad_sequences(s, {.padding = "mid"}), ValueError);
}
TEST(Normalize, AlongAnAxis) {
  expect(normalize(Tensor{{3, 4}, {0, 0}}), DType::Float32, {2, 2}, {0.6, 0.8, 0, 0});
  expect(normalize(Tensor{{1.0, 2.0}, {3.0, 2.0}}, 0, 1), DType::Float32, {2, 2}, {0.25, 0.5, 0.75, 0.5});
}
TEST(Timeseries, WindowsAndTargets) {
  Tensor data(std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  auto batches = timeseries_dataset_from_array(data, data, 3, {.sequence_stride = 2, .sampling_rate = 2, .batch_size = 2});
  ASSERT_EQ(batches.size(), 2u);
  expect(batches[0].first, DType::Int32, {2, 3}, {0, 2, 4, 2, 4, 6});
  expect(batches[0].second, DType::Int32, {2}, {0, 2});
  expect(batches[1].first, DType::Int32, {1, 3}, {4, 6, 8});
  auto single = timeseries_dataset_from_array(data, {}, 4, {.batch_size = std::nullopt, .start_index = 2, .end_index = 7});
  ASSERT_EQ(single.size(), 2u);
  expect(single[1].first, DType::Int32, {4}, {3, 4, 5, 6});
  EXPECT_FALSE(single[0].second.defined());
  auto shuffled = timeseries_dataset_from_array(data, {}, 1, {.shuffle = true, .seed = 7});
  std::vector<int32_t> seen = shuffled[0].first.to_vector<int32_t>();
  EXPECT_NE(seen, data.to_vector<int32_t>());
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, data.to_vector<int32_t>());
}
TEST(Timeseries, RefusesWhatDoesNotFit) {
  Tensor data = Tensor::full({10}, 1);
  for (const TimeseriesOptions& o : {TimeseriesOptions{.sequence_stride = 0}, TimeseriesOptions{.sequence_stride = 10}, TimeseriesOptions{.sampling_rate = -1},
                                     TimeseriesOptions{.batch_size = 0}, TimeseriesOptions{.start_index = -1}, TimeseriesOptions{.start_index = 10},
                                     TimeseriesOptions{.start_index = 5, .end_index = 5}, TimeseriesOptions{.end_index = -1}, TimeseriesOptions{.end_index = 10}})
    EXPECT_THROW(timeseries_dataset_from_array(data, {}, 3, o), ValueError);
}

}  // namespace
}  // namespace keras::utils
