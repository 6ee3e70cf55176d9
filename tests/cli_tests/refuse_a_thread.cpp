// A library that is preloaded into a program. It refuses to start one thread, in the same way as a
// system with too many threads. The variable BX_REFUSED_THREAD is the number of this thread,
// counted from 1 in the order of starting.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

using Start = void* (*)(void*);
using PthreadCreate = int (*)(pthread_t*, const pthread_attr_t*, Start, void*);

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, Start start,
                              void* argument) {
  static std::atomic<int> n_started{0};
  const char* refused = std::getenv("BX_REFUSED_THREAD");
  if (refused != nullptr && ++n_started == std::atoi(refused)) return EAGAIN;
  static const auto create = reinterpret_cast<PthreadCreate>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, start, argument);
}
