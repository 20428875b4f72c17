// What lives here: the plain summary of graphs and of models inside models, line for line as Keras 2 prints it.
#include <gtest/gtest.h>

#include <keras/layers/core/dense.h>
#include <keras/layers/merging/merge.h>
#include <keras/models/model.h>

#include "core/impl.h"

namespace keras {

using namespace layers;

static std::string bar(size_t n) {
  std::string s;
  for (size_t i = 0; i < n; ++i) s += "¯";
  return s;
}

TEST(Summary, PlainGraphHasConnections) {
  core::clear_names();
  Tensor a = Input({3}, {.name = "a"}), b = Input({3}, {.name = "b"});
  Dense shared(2, {.name = "shared"});
  Model m({a, b}, Concatenate()({shared(a), shared(b)}), {.name = "m"});
  EXPECT_EQ(m.summary_text({.style = "plain"}),
            "Model: \"m\"\n" + std::string(98, '_') + "\n"
            " Layer (type)                Output Shape                 Param #   Connected to                  \n" + std::string(98, '=') + "\n"
            " a (InputLayer)              [(None, 3)]                  0         []                            \n" + std::string(98, ' ') + "\n"
            " b (InputLayer)              [(None, 3)]                  0         []                            \n" + std::string(98, ' ') + "\n"
            " shared (Dense)              (None, 2)                    8         ['a[0][0]',                   \n"
            "                                                                     'b[0][0]']                   \n" + std::string(98, ' ') + "\n"
            " concatenate (Concatenate)   (None, 4)                    0         ['shared[0][0]',              \n"
            "                                                                     'shared[1][0]']              \n" + std::string(98, ' ') + "\n" +
            std::string(98, '=') + "\n"
            "Total params: 8 (32.00 Byte)\n"
            "Trainable params: 8 (32.00 Byte)\n"
            "Non-trainable params: 0 (0.00 Byte)\n" + std::string(98, '_') + "\n");
}

TEST(Summary, PlainNestedModelsStandBetweenBars) {
  core::clear_names();
  Sequential inner({Input({3}), Dense(4), Dense(2)}, {.name = "inner"});
  Sequential m({Input({3}), inner, Dense(1)}, {.name = "m"});
  EXPECT_EQ(m.summary_text({.expand_nested = true, .style = "plain"}),
            "Model: \"m\"\n" + std::string(65, '_') + "\n"
            " Layer (type)                Output Shape              Param #   \n" + std::string(65, '=') + "\n"
            " inner (Sequential)          (None, 2)                 26        \n"
            "|" + bar(63) + "|\n"
            "| dense (Dense)              (None, 4)                 16       |\n"
            "|" + std::string(63, ' ') + "|\n"
            "| dense_1 (Dense)            (None, 2)                 10       |\n" +
            bar(65) + "\n"
            " dense_2 (Dense)             (None, 1)                 3         \n" + std::string(65, ' ') + "\n" +
            std::string(65, '=') + "\n"
            "Total params: 29 (116.00 Byte)\n"
            "Trainable params: 29 (116.00 Byte)\n"
            "Non-trainable params: 0 (0.00 Byte)\n" + std::string(65, '_') + "\n");
}

}  // namespace keras
