// Runs the kernels of the CPU backend on several threads, so that ThreadSanitizer can check how the
// threads share their work. Other tests compare the results of the kernels.
#include <gtest/gtest.h>

#include "support/backends.h"
#include "support/op_case_params.h"

namespace bitaxon::test {
namespace {

class KernelThreads : public testing::TestWithParam<NamedCase> {};

TEST_P(KernelThreads, ShareTheirWork) {
  const OpProblem problem = problem_of(GetParam().op, *GetParam().op_case);
  for (const Precision precision : {Precision::exact, Precision::fast})
    expect_clean(run_op(cpu_backend(3), problem, precision), std::string(name_of(precision)));
}

INSTANTIATE_TEST_SUITE_P(EveryMode, KernelThreads, testing::ValuesIn(named_cases(kEveryMode)),
                         test_name);

}  // namespace
}  // namespace bitaxon::test
