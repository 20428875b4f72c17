// What lives here: a Sequential that grows and shrinks: each layer is called once, names and weights stay.
#include <gtest/gtest.h>

#include <ostream>

#include <keras/layers/core/dense.h>
#include <keras/models/model.h>

namespace keras {
static void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.str(); }

using layers::Dense;

TEST(Sequential, EachLayerHasOneNodeHoweverTheModelGrew) {
  Dense a(4), b(3), c(2);
  Sequential m({Input({5}), a, b});
  m.add(c);
  for (const Layer& l : {Layer(a), Layer(b), Layer(c)}) EXPECT_EQ(l.num_nodes(), 1) << l.name();
  EXPECT_EQ(b.output_shape(), (Shape{None, 3}));
  EXPECT_TRUE(m.outputs()[0].same(c.output()));
  EXPECT_EQ(m.predict(Tensor::full({7, 5}, 1)).shape(), (Shape{7, 2}));

  Tensors before = a.get_weights();
  m.pop();
  EXPECT_EQ(m.layers().size(), 2u);
  EXPECT_TRUE(m.outputs()[0].same(b.output()));
  EXPECT_EQ(m.predict(Tensor::full({7, 5}, 1)).shape(), (Shape{7, 3}));
  EXPECT_EQ(m.count_params(), 5 * 4 + 4 + 4 * 3 + 3);
  m.add(Dense(6));
  EXPECT_EQ(a.num_nodes(), 1);
  EXPECT_EQ(m.predict(Tensor::full({7, 5}, 1)).shape(), (Shape{7, 6}));
  EXPECT_EQ(before[0].to_vector<float>(), a.get_weights()[0].to_vector<float>());
}

TEST(Sequential, PopToNothingAndBack) {
  Sequential m({Input({5}), Dense(4)});
  m.pop();
  EXPECT_TRUE(m.layers().empty());
  EXPECT_FALSE(m.built());
  m.add(Dense(2));
  EXPECT_EQ(m.outputs()[0].shape(), (Shape{None, 2}));
  m.pop();
  m.pop();
  EXPECT_THROW(m.pop(), ValueError);
}

TEST(Sequential, WithoutAnInputItIsBuiltByItsFirstCall) {
  Dense a(4);
  Sequential m({a, Dense(3)});
  EXPECT_FALSE(m.built());
  EXPECT_EQ(m.predict(Tensor::full({2, 5}, 1)).shape(), (Shape{2, 3}));
  EXPECT_TRUE(m.built());
  m.add(Dense(2));
  EXPECT_FALSE(m.built());
  EXPECT_EQ(m.predict(Tensor::full({2, 5}, 1)).shape(), (Shape{2, 2}));
  EXPECT_EQ(m.count_params(), 5 * 4 + 4 + 4 * 3 + 3 + 3 * 2 + 2);
}

}  // namespace keras
