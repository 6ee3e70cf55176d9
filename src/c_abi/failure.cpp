#include "c_abi/failure.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <new>
#include <string_view>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "platform/utf8.h"

namespace bitaxon::c {
namespace {

/// The error text of this thread. A fixed array, because a report must not fail.
thread_local std::array<char, 2048> text{};

bitaxon_status report(bitaxon_status status, std::string_view message) noexcept {
  std::size_t size = std::min(message.size(), text.size() - 1);
  // A message that is cut ends with a whole character.
  if (size < message.size()) size = valid_prefix(message.substr(0, size));
  std::memcpy(text.data(), message.data(), size);
  text[size] = '\0';
  return status;
}

bitaxon_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument:
      return BITAXON_STATUS_INVALID_ARGUMENT;
    case ErrorKind::unsupported:
      return BITAXON_STATUS_UNSUPPORTED;
    case ErrorKind::format:
      return BITAXON_STATUS_FORMAT;
    case ErrorKind::io:
      return BITAXON_STATUS_IO;
    case ErrorKind::device:
      return BITAXON_STATUS_DEVICE;
    case ErrorKind::internal:
      break;
  }
  return BITAXON_STATUS_INTERNAL;
}

}  // namespace

void refuse(const std::string& message) { throw Failure(BITAXON_STATUS_INVALID_ARGUMENT, message); }

bitaxon_status report_exception() noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    return report(failure.status(), failure.what());
  } catch (const OutOfMemory& error) {
    return report(BITAXON_STATUS_OUT_OF_MEMORY, error.what());
  } catch (const Error& error) {
    return report(status_of(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return report(BITAXON_STATUS_OUT_OF_MEMORY, "out of memory");
  } catch (const std::length_error&) {  // a container cannot be as large as asked for
    return report(BITAXON_STATUS_OUT_OF_MEMORY, "out of memory: a size beyond all limits");
  } catch (const std::filesystem::filesystem_error& error) {
    return report(BITAXON_STATUS_IO, error.what());
  } catch (const std::exception& error) {
    return report(BITAXON_STATUS_INTERNAL, error.what());
  } catch (...) {
    return report(BITAXON_STATUS_INTERNAL,
                  "an exception of an unknown type, perhaps of a callback");
  }
}

void clear_error() noexcept { text[0] = '\0'; }

const char* error_text() noexcept { return text.data(); }

}  // namespace bitaxon::c
