// A library to preload into a program. It makes the start of one thread fail, as if the system had
// too many threads. The variable BX_REFUSED_THREAD is the number of this thread. The first thread
// that the program starts has number 1.
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
