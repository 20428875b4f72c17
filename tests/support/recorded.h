// What lives here: reading values recorded from Keras itself (the conformance corpus) in tests. No comparison of whole kinds.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include <keras/base/value.h>
#include <keras/core/tensor.h>

#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"

namespace keras::test {

/// The folder of recorded values beside the project; empty when there is none.
inline std::filesystem::path corpus() {
  std::filesystem::path p = std::filesystem::path(KERAS_SOURCE_DIR) / ".." / "shared" / "corpus";
  return std::filesystem::is_directory(p) ? p : std::filesystem::path();
}

/// One case folder: its JSON and its arrays.
struct Case {
  std::string slug;
  Value json;
  io::Arrays arrays;
  Tensor tensor(const Value& key) const {
    const io::Array& a = arrays.at(key.as_string());
    return Tensor::from_bytes(a.data.data(), a.numel(), a.dtype, a.shape);
  }
  double tolerance(const char* which, double otherwise) const {
    const Value& t = json.get("tolerance").get(which);
    return t.is_number() ? t.as_float() : otherwise;
  }
};

/// Calls f(case, record) for every record of a kind; returns how many there were.
template <class F> int each_record(const std::string& kind, F f) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus() / kind)) {
    Case c;
    c.slug = entry.path().filename();
    std::string path = entry.path() / "case.json";
    c.json = io::parse_json(io::read_text_file(path), path);
    if (std::filesystem::exists(entry.path() / "data.npz")) c.arrays = io::read_npz(entry.path() / "data.npz");
    for (const Value& record : c.json.get("records").as_list()) {
      SCOPED_TRACE(kind + "/" + c.slug + " record " + record.get("id").str() + " " + record.get("config").str() + record.get("kwargs").str());
      ++count;
      try {
        f(c, record);
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    }
  }
  return count;
}

/// Element by element |got - want| <= atol + rtol |want|, shapes and dtypes equal.
inline void expect_close(const Tensor& got, const Tensor& want, double rtol, double atol) {
  ASSERT_EQ(got.shape(), want.shape());
  EXPECT_EQ(dtype_name(got.dtype()), std::string(dtype_name(want.dtype())));
  std::vector<double> g = got.to_vector<double>(), w = want.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] == w[i] || (std::isnan(g[i]) && std::isnan(w[i]))) continue;
    ASSERT_LE(std::abs(g[i] - w[i]), atol + rtol * std::abs(w[i])) << "element " << i << ": " << g[i] << " instead of " << w[i];
  }
}

}  // namespace keras::test
