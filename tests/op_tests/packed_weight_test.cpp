// Tests of the forms in which the CPU backend packs weights. Every form must decode to the same
// bits as the stored weight.
#include "cpu/packed_weight.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cases/op_case.h"
#include "ops/op.h"

namespace bitaxon::test {
namespace {

std::vector<float> values_of(const CaseWeight& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.desc.elements()));
  decode(weight.desc, weight.parts(), 0, values);
  return values;
}

CaseWeight random_weight(OpProblem& problem, Format format, const Shape& shape) {
  return problem.weights()[problem.add_weight(format, shape, 0.1)];
}

TEST(PackedWeight, EveryFormDecodesToTheSameBits) {
  const Shape shapes[] = {{1, 1, 64},  {1, 2, 64},   {1, 15, 128}, {1, 16, 256},
                          {1, 17, 64}, {1, 33, 192}, {3, 20, 128}, {2, 16, 64}};
  const Shape narrow[] = {{1, 48, 4}, {1, 31, 16}, {1, 7, 1}, {1, 5, 33}, {2, 9, 7}};
  const auto check = [](Format format, const Shape& shape) {
    SCOPED_TRACE(fmt::format("{} [{}, {}, {}]", name_of(format), shape[0], shape[1], shape[2]));
    OpProblem problem("packed_weight");
    const CaseWeight weight = random_weight(problem, format, shape);
    const std::vector<float> expected = values_of(weight);
    cpu::ThreadPool pool(3);
    for (const bool plain : {true, false}) {
      const auto packed = cpu::pack_weight(weight.desc, weight.parts(), plain, pool);
      std::vector<float> found(expected.size());
      cpu::decode_all(*packed, found.data());
      EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0)
          << (plain ? "plain" : "for the vectorized kernels");
      for (std::int64_t i = 0; i < shape[1] * shape[2]; ++i)
        ASSERT_EQ(cpu::decode_element(*packed, i / shape[2], i % shape[2]),
                  expected[static_cast<std::size_t>(i)]);
    }
  };
  for (const Format format : kEveryFormat)
    for (const Shape& shape : shapes) {
      if (shape[2] % column_unit(format) == 0) check(format, shape);
    }
  for (const Format format :
       {Format::q8_g32, Format::q8_g128, Format::fp4_g64, Format::nvfp4_nested})
    for (const Shape& shape : {Shape{1, 33, 256}, Shape{3, 20, 128}}) check(format, shape);
  check(Format::nf4_g64, {2, 20, 96});  // a block extends over two rows
  check(Format::q8_rows, {1, 20, 120});
  for (const Format format :
       {Format::f32, Format::f16, Format::bf16, Format::nf4_g64, Format::q8_rows})
    for (const Shape& shape : narrow) check(format, shape);
}

TEST(PackedWeight, TilesTakeNoMoreBytesThanTheStoredForm) {
  for (const Format format : kEveryFormat) {
    if (format == Format::nf4_nested) continue;
    OpProblem problem("packed_weight");
    const WeightDesc desc = random_weight(problem, format, {2, 160, 256}).desc;
    EXPECT_LE(static_cast<double>(cpu::packed_bytes(desc, false)),
              1.001 * static_cast<double>(desc.stored_bytes()) + 64)
        << name_of(format);
  }
}

}  // namespace
}  // namespace bitaxon::test
