// The tensors that tests of op builders use.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "bitaxon/ops.h"
#include "core_tests/toy_graph.h"
#include "support/errors.h"

namespace bitaxon::test {

/// Expects that `act` throws an Error with the message "[op] argument: expected EXPECTED..., got
/// GOT...".
template <class Act>
void expect_refused(const Act& act, const std::string& op, const std::string& argument,
                    const std::string& expected, const std::string& got) {
  expect_invalid(act, "[" + op + "] " + argument + ": expected " + expected);
  expect_invalid(act, ", got " + got);
}

/// Makes tensors of every kind. Their shapes suit most ops. The sizes are R 4, D 8, E 6, K 3, N 2,
/// V 40, X 5 and I 7.
class OpBuilders : public testing::Test {
 protected:
  OpBuilders() {
    tail_ = layout_.add("tail", DType::f32, {2, 6}, 2);
    h_ = layout_.add("h", DType::f32, {2, 6}, 2);
    layout_.page_groups = {{.n_pages = 3}, {.n_pages = 3}};
    pages_ = layout_.add_pages("pages", DType::f16, 8, 0);
    pages_f32_ = layout_.add_pages("pages_f32", DType::f32, 8, 0);
    narrow_pages_ = layout_.add_pages("narrow_pages", DType::f32, 3, 0);
    other_pages_ = layout_.add_pages("other_pages", DType::f16, 8, 1);
    seen_ = layout_.add("seen", DType::u32, {2}, 2);
    next_token_ = layout_.add("next_token", DType::i32, {1}, 2);
    vector_ = layout_.add_shared("vector", DType::f32, {1, 100});
    store_ = layout_.add_shared("store", DType::f32, {16, 8});
  }
  Tensor weight(const Shape& shape) { return graph_->weight(toy_weight(shape)); }
  Tensor rows(std::int64_t cols, std::int64_t n = 4) {
    return graph_->input(DType::f32, {n, cols});
  }
  Tensor integers(std::int64_t cols) { return graph_->input(DType::i32, {4, cols}); }
  Tensor state(std::int32_t index) { return graph_->state(layout_, index); }

  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
  StateLayout layout_;
  std::int32_t tail_, h_, pages_, pages_f32_, narrow_pages_, other_pages_, seen_, next_token_,
      vector_, store_;
};

}  // namespace bitaxon::test
