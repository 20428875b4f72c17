// What lives here: an LSTM that forecasts the CO2 of the air over Mauna Loa half a year ahead, against forecasts that need no learning.
// ctest args: data/co2_mauna_loa.csv
// ctest: slow
#include <keras/keras.h>

#include <cmath>
#include <cstdio>
#include <vector>

using namespace keras;
using namespace keras::layers;

int main(int argc, char** argv) {
  // Weekly values since 1958; a missing one is taken from the line between its neighbours.
  utils::CsvData csv = utils::load_csv(argc > 1 ? argv[1] : "data/co2_mauna_loa.csv");
  std::vector<double> table = csv.values.to_vector<double>(), series;
  for (size_t i = 1; i < table.size(); i += 2) series.push_back(table[i]);
  for (size_t i = 0; i < series.size(); ++i) {
    if (!std::isnan(series[i])) continue;
    size_t end = i;
    while (end < series.size() && std::isnan(series[end])) ++end;
    double before = i ? series[i - 1] : series[end], after = end < series.size() ? series[end] : before;
    for (size_t k = i; k < end; ++k) series[k] = before + (after - before) * static_cast<double>(k - i + 1) / static_cast<double>(end - i + 1);
  }

  // From a year of weeks to the value 26 weeks later, all relative to the last week seen.
  const size_t window = 52, ahead = 26, count = series.size() - window - ahead + 1;
  const double scale = 5.0;  // ppm, about the seasonal swing
  std::vector<float> inputs, targets;
  for (size_t start = 0; start < count; ++start) {
    double last = series[start + window - 1];
    for (size_t k = 0; k < window; ++k) inputs.push_back(static_cast<float>((series[start + k] - last) / scale));
    targets.push_back(static_cast<float>((series[start + window + ahead - 1] - last) / scale));
  }
  int64_t n = static_cast<int64_t>(count), w = static_cast<int64_t>(window), split = n * 8 / 10;
  Tensor x = Tensor::from(inputs, {n, w, 1}), y = Tensor::from(targets, {n, 1});
  // What is tested on begins where everything trained on has ended.
  int64_t first_test = split + w + static_cast<int64_t>(ahead);
  Tensor x_train = x.rows(0, split), y_train = y.rows(0, split), x_test = x.rows(first_test, n);

  utils::set_random_seed(1);
  Sequential model({Input({w, 1}), LSTM(32), Dense(1)});
  model.summary();
  model.compile({.optimizer = optimizers::Adam({.learning_rate = 0.003}), .loss = "mse"});
  model.fit(x_train, y_train, {.batch_size = 32, .epochs = 12, .verbose = 2});

  std::vector<float> forecast = model.predict(x_test, {.verbose = 0}).to_vector<float>();
  double learned = 0, persistence = 0, seasonal = 0;
  for (size_t i = 0; i < forecast.size(); ++i) {
    size_t start = static_cast<size_t>(first_test) + i, target = start + window + ahead - 1;
    double truth = series[target], last = series[start + window - 1];
    learned += std::abs(last + scale * forecast[i] - truth);
    persistence += std::abs(last - truth);
    seasonal += std::abs(series[target - 52] - truth);
  }
  double m = static_cast<double>(forecast.size());
  std::printf("mean absolute error 26 weeks ahead on %zu weeks not trained on:\n", forecast.size());
  std::printf("  as last week            %.3f ppm\n  as a year before        %.3f ppm\n  LSTM                    %.3f ppm\n", persistence / m, seasonal / m, learned / m);
  return learned < seasonal && learned < persistence ? 0 : 1;
}
