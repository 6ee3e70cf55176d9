#include "platform/threads.h"

#include <fmt/format.h>

#include <cstddef>
#include <system_error>

#include "bitaxon/error.h"

namespace bitaxon {

std::vector<std::thread> start_threads(int first, int end, int n_wanted,
                                       const std::function<void(int index)>& body,
                                       const std::function<void()>& release) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(end - first));
  const auto give_up = [&] {
    release();
    for (std::thread& thread : threads) thread.join();
  };
  try {
    for (int index = first; index < end; ++index) threads.emplace_back(body, index);
  } catch (const std::system_error& refusal) {
    give_up();
    throw Error(ErrorKind::device, fmt::format("cannot start {} thread{}: {}", n_wanted,
                                               n_wanted == 1 ? "" : "s", refusal.code().message()));
  } catch (...) {  // out of memory for the arguments of a thread
    give_up();
    throw;
  }
  return threads;
}

}  // namespace bitaxon
