#include "cpu/simd/targets.h"

#include "cpu/simd/simd_targets.h"
// targets.h must follow simd_targets.h, because otherwise it lists targets that are not compiled.
#include <hwy/targets.h>

#include "core/assert.h"
#if defined(__x86_64__)
#include "cpu/simd/product_vnni.h"
#endif

namespace bitaxon::cpu {

/// The product kernels of Highway's best target. Defined in product.cpp.
const ProductKernels* portable_products();

namespace {

constexpr const char* kVnni = "AVX-512 VNNI";

bool has_vnni() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

bool g_vnni_wanted = true;

}  // namespace

const ProductKernels* simd_products() {
#if defined(__x86_64__)
  if (g_vnni_wanted && has_vnni()) return &vnni::kProducts;
#endif
  return portable_products();
}

std::vector<std::string> simd_targets() {
  std::vector<std::string> names;
  if (has_vnni()) names.emplace_back(kVnni);
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    if (target != HWY_SCALAR) names.emplace_back(hwy::TargetName(target));
  return names;
}

void use_simd_target(const std::string& name) {
  hwy::SetSupportedTargetsForTest(0);
  g_vnni_wanted = name.empty() || name == kVnni;
  bool found = g_vnni_wanted;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    if (name == hwy::TargetName(target)) {
      hwy::SetSupportedTargetsForTest(target);
      found = true;
      break;
    }
  BX_ASSERT(found, "the instruction set is one of simd_targets()");
  hwy::GetChosenTarget().DeInit();  // makes the next call of a kernel choose its target again
}

}  // namespace bitaxon::cpu
