// What lives here: seeds S11 to S19: keras.backend, NumPy's generator, TensorFlow 1's way of writing, attention by batch_dot.
#include <unistd.h>

#include <cstring>

#include "seeds/seeds.h"

using namespace keras;
using namespace keras::seeds;
using ::testing::HasSubstr;

namespace {
const Tensor kX = {{{3.f, 3, 7}, {2, 4, 7}}, {{2, 1, 2}, {1, 1, 4}}};
const Tensor kY = {{3.f, 2, 1, 1}, {1, 1, 2, 4}, {4, 3, 1, 4}};
}  // namespace

TEST(Seeds, S11_DotOfPlaceholders) {
  Tensor x = K::placeholder({2, 2, 3}), y = K::placeholder({3, 4});
  Tensor z = K::dot(x, y);
  EXPECT_TRUE(z.is_symbolic());
  EXPECT_EQ(z.shape(), (Shape{2, 2, 4}));
  const Numbers want = {40, 30, 16, 43, 38, 29, 17, 46, 15, 11, 6, 14, 20, 15, 7, 21};
  Tensor value = K::eval(z, {{x, kX}, {y, kY}});
  EXPECT_EQ(value.shape(), (Shape{2, 2, 4}));
  expect_near(value, want, 0);
  expect_near(K::function({x, y}, {z})({kX, kY})[0], want, 0);
  expect_near(ops::dot(kX, kY), want, 0);
  // With the second column alone, as a vector.
  Tensor column = ops::get_item(kY, {Slice{}, 1});
  EXPECT_EQ(column.shape(), (Shape{3}));
  Tensor by_vector = K::dot(kX, column);
  EXPECT_EQ(by_vector.shape(), (Shape{2, 2}));
  expect_near(by_vector, Numbers{30, 29, 11, 15}, 0);
  Tensor symbolic = K::dot(x, ops::get_item(y, {Slice{}, 1}));
  EXPECT_EQ(symbolic.shape(), (Shape{2, 2}));
  expect_near(K::eval(symbolic, {{x, kX}, {y, kY}}), Numbers{30, 29, 11, 15}, 0);
  EXPECT_THAT(error_of<ValueError>([&] { K::eval(z, {{x, kX}}); }), HasSubstr("not fed"));
  EXPECT_THAT(error_of<ValueError>([&] { K::eval(z, {{x, kY}, {y, kY}}); }), HasSubstr("(2, 2, 3)"));
}

TEST(Seeds, S12_NumpysLegacyGenerator) {
  random::RandomState np(123);
  Tensor x = np.randint(1, 10, {2, 2, 3}), y = np.randint(1, 5, {3, 4});
  EXPECT_EQ(x.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(numbers(x), numbers(kX));
  EXPECT_EQ(numbers(y), numbers(kY));
  np.seed(123);
  EXPECT_EQ(numbers(np.randint(1, 10, {2, 2, 3})), numbers(kX));
}

TEST(Seeds, S13_DotAndBiasAdd) {
  Tensor z = K::dot(K::placeholder({2, 3}), K::placeholder({3, 4}));
  EXPECT_EQ(z.shape(), (Shape{2, 4}));
  Tensor x = some({2, 3, 4, 5}), last = some({5}), first = some({3});
  Numbers n = numbers(x), l = numbers(last), f = numbers(first), want_last = n, want_first = n;
  for (size_t i = 0; i < n.size(); ++i) want_last[i] += l[i % 5], want_first[i] += f[i / 20 % 3];
  expect_near(K::bias_add(x, last), want_last, 1e-7);
  expect_near(K::bias_add(x, last, "channels_last"), want_last, 1e-7);
  expect_near(K::bias_add(x, first, "channels_first"), want_first, 1e-7);
  Tensor symbolic = K::placeholder({None, 3, 4, 5});
  EXPECT_EQ(K::bias_add(symbolic, first, "channels_first").shape(), (Shape{None, 3, 4, 5}));
  EXPECT_THAT(error_of<ValueError>([&] { K::bias_add(x, last, "channels_lost"); }), HasSubstr("channels_last"));
  EXPECT_THAT(error_of<ValueError>([&] { K::bias_add(x, Tensor::full({2, 3}, 1)); }), HasSubstr("rank"));
}

TEST(Seeds, S14_BatchDotOfOnes) {
  Tensor x = K::ones({36, 8, 24}), y = K::ones({36, 8, 24});
  Tensor over1 = K::batch_dot(x, y, std::pair{1, 1}), over2 = K::batch_dot(x, y, std::pair{2, 2});
  EXPECT_EQ(over1.shape(), (Shape{36, 24, 24}));
  EXPECT_EQ(over2.shape(), (Shape{36, 8, 8}));
  expect_near(over1, Numbers(36 * 24 * 24, 8.0), 0);
  expect_near(over2, Numbers(36 * 8 * 8, 24.0), 0);
  EXPECT_EQ(K::batch_dot(x, y, 1).shape(), (Shape{36, 24, 24}));
}

TEST(Seeds, S15_BatchDotOfInputsCountsTheBatchAxis) {
  Tensor x = Input({36, 8, 24}), y = Input({36, 8, 24});
  EXPECT_EQ(x.rank(), 4);
  EXPECT_EQ(K::batch_dot(x, y, std::pair{1, 1}).shape(), (Shape{None, 8, 24, 8, 24}));
  EXPECT_EQ(K::batch_dot(x, y, std::pair{2, 2}).shape(), (Shape{None, 36, 24, 36, 24}));
  EXPECT_EQ(K::batch_dot(x, y, std::pair{3, 3}).shape(), (Shape{None, 36, 8, 36, 8}));
  // The older reading, under its own name.
  EXPECT_EQ(K::batch_dot_tf1(x, y, 1).shape(), (Shape{None, 36, 24, 24}));
  EXPECT_EQ(K::batch_dot_tf1(x, y, 2).shape(), (Shape{None, 36, 24, 24}));
  EXPECT_EQ(K::batch_dot_tf1(x, y, 3).shape(), (Shape{None, 36, 8, 8}));
  // On rank 3 the two agree, and the older one takes 0 as 1.
  Tensor a = some({2, 3, 4}), b = some({2, 3, 4}, DType::Float32, 8);
  for (int axis : {1, 2}) expect_near(K::batch_dot_tf1(a, b, axis), K::batch_dot(a, b, axis));
  expect_near(K::batch_dot_tf1(a, b, 0), K::batch_dot(a, b, 1));
  // The numbers of the general reading: out[n, p, q, r, s] = sum over the contracted axis.
  Tensor u = some({2, 3, 2, 4}), v = some({2, 2, 3, 5}, DType::Float32, 8);
  Tensor w = K::batch_dot(u, v, std::pair{1, 2});
  ASSERT_EQ(w.shape(), (Shape{2, 2, 4, 2, 5}));
  expect_near(w, ops::einsum("ncab,nkcd->nabkd", {u, v}), 1e-6);
}

TEST(Seeds, S16_BatchDotOfRankThree) {
  Tensor a = {{{1.f, 2, 3}, {3, 2, 1}}}, b = {{{1.f, 3, 3}, {2, 2, 0}}};
  const Numbers over1 = {7, 9, 3, 6, 10, 6, 5, 11, 9}, over2 = {16, 6, 12, 10};
  Tensor first = K::batch_dot(a, b, 1), second = K::batch_dot(a, b, 2);
  EXPECT_EQ(first.shape(), (Shape{1, 3, 3}));
  EXPECT_EQ(second.shape(), (Shape{1, 2, 2}));
  expect_near(first, over1, 0);
  expect_near(second, over2, 0);
  std::string error = error_of<ValueError>([&] { K::batch_dot(a, b, 0); });
  EXPECT_THAT(error, HasSubstr("batch axis can't be contracted"));
  EXPECT_THAT(error, HasSubstr("expand_dims"));
  EXPECT_NE(error_of<ValueError>([&] { K::batch_dot(a, b, -3); }), "");
  namespace tf = compat::v1;
  expect_near(tf::matmul(a, b, {.adjoint_a = true}), over1, 0);
  expect_near(tf::matmul(a, b, {.adjoint_b = true}), over2, 0);
  expect_near(tf::matmul(a, b, {.transpose_a = true}), over1, 0);
  EXPECT_EQ(tf::matmul(K::placeholder({None, 2, 3}), K::placeholder({None, 2, 5}), {.adjoint_a = true}).shape(), (Shape{None, 3, 5}));
}

TEST(Seeds, S17_OnesOfASymbolicShape) {
  Tensor x = Input({30});
  Tensor symbolic = K::ones(K::shape(x)), concrete = K::ones({30, 40});
  EXPECT_TRUE(symbolic.is_symbolic());
  EXPECT_EQ(symbolic.shape(), (Shape{None, 30}));
  EXPECT_EQ(K::int_shape(symbolic), (Shape{None, 30}));
  EXPECT_TRUE(concrete.is_concrete());
  EXPECT_EQ(concrete.shape(), (Shape{30, 40}));
  Tensor value = K::eval(symbolic, {{x, Tensor::full({3, 30}, 5)}});
  EXPECT_EQ(value.shape(), (Shape{3, 30}));
  expect_near(value, Numbers(90, 1.0), 0);
  EXPECT_THAT(error_of<ValueError>([] { K::ones({None, 30}); }), HasSubstr("K::shape"));
}

TEST(Seeds, S18_TensorFlow1sDense) {
  namespace tf = compat::v1;
  tf::reset_default_graph();
  struct Case {
    Shape input, first, second;
  };
  for (const Case& c : {Case{{784}, {None, 4}, {None, 10}}, Case{{784, 1}, {None, 784, 4}, {None, 784, 10}}, Case{{32, 28}, {None, 32, 4}, {None, 32, 10}},
                        Case{{32, 28, 1}, {None, 32, 28, 4}, {None, 32, 28, 10}}}) {
    Tensor x = tf::placeholder("float32", Shape{None} + c.input);
    Tensor h = tf::layers::dense(x, 4), y = tf::layers::dense(h, 10, {.activation = "softmax"});
    EXPECT_EQ(h.shape(), c.first);
    EXPECT_EQ(y.shape(), c.second);
    tf::Session session;
    session.run(tf::global_variables_initializer());
    Tensor fed = some(Shape{3} + c.input);
    Tensor value = session.run(y, {{x, fed}});
    EXPECT_EQ(value.shape(), Shape{3} + c.input.slice(0, -1) + Shape{10});
    expect_near(ops::sum(value, -1), Numbers(static_cast<size_t>(value.numel() / 10), 1.0));
  }
  // The whole signature, and weights shared by name.
  tf::reset_default_graph();
  Tensor x = tf::placeholder("float32", {None, 3}), z = tf::placeholder("float32", {None, 5, 3});
  Tensor a = tf::layers::dense(x, 2,
                               {.activation = "relu",
                                .use_bias = true,
                                .kernel_initializer = "ones",
                                .bias_initializer = "ones",
                                .kernel_regularizer = regularizers::L2(0.5),
                                .bias_regularizer = regularizers::L1(0.25),
                                .activity_regularizer = regularizers::L2(0.125),
                                .kernel_constraint = "non_neg",
                                .bias_constraint = "non_neg",
                                .trainable = true,
                                .name = "fc"});
  EXPECT_EQ(tf::global_variables().size(), 2u);
  Tensor b = tf::layers::dense(z, 2, {.name = "fc", .reuse = true});
  EXPECT_EQ(tf::global_variables().size(), 2u);
  EXPECT_EQ(b.shape(), (Shape{None, 5, 2}));
  EXPECT_EQ(tf::get_regularization_losses().size(), 3u);
  tf::Session session;
  session.run(tf::global_variables_initializer());
  expect_near(session.run(a, {{x, Tensor{{1.f, 2, 3}}}}), Numbers{7, 7}, 1e-6);
  session.run(tf::assign(tf::global_variables()[0], Tensor::full({3, 2}, 2)));
  expect_near(session.run(a, {{x, Tensor{{1.f, 2, 3}}}}), Numbers{13, 13}, 1e-6);
  expect_near(session.run(b, {{z, Tensor::full({1, 5, 3}, 1)}}), Numbers(10, 7.0), 1e-6);
  Tensors losses = session.run(tf::get_regularization_losses(), {{x, Tensor{{1.f, 2, 3}}}});
  expect_near(losses[0], Numbers{0.5 * 6 * 4}, 1e-6);
  expect_near(losses[1], Numbers{0.25 * 2}, 1e-6);
  expect_near(losses[2], Numbers{0.125 * 2 * 169}, 1e-6);
  EXPECT_THAT(error_of<ValueError>([&] { tf::layers::dense(x, 2, {.name = "fc"}); }), HasSubstr("reuse"));
  EXPECT_THAT(error_of<ValueError>([&] { tf::layers::dense(x, 2, {.name = "other", .reuse = true}); }), HasSubstr("does not exist"));
  EXPECT_THAT(error_of<ValueError>([&] { tf::layers::dense(x, 5, {.name = "fc", .reuse = true}); }), HasSubstr("shape"));
}

TEST(Seeds, S19_AttentionByBatchDot) {
  Tensor query = Input({4, 6}), value = Input({7, 6});
  Tensor by_hand = K::batch_dot(K::softmax(K::batch_dot(query, value, 2)), value, std::pair{2, 1});
  Tensor scores = layers::Dot(2)({query, value});
  Tensor by_layers = layers::Dot(Axes{2, 1})({layers::Activation("softmax")(scores), value});
  Tensor by_layer = layers::Attention()({query, value});
  EXPECT_EQ(by_hand.shape(), (Shape{None, 4, 6}));
  EXPECT_EQ(by_layers.shape(), by_hand.shape());
  EXPECT_EQ(by_layer.shape(), by_hand.shape());
  Model model({query, value}, Tensors{by_hand, by_layers, by_layer});
  Tensors out = model.predict_all(Tensors{some({3, 4, 6}), some({3, 7, 6}, DType::Float32, 8)});
  expect_near(out[0], out[1], 1e-6);
  expect_near(out[0], out[2], 1e-6);
}
