// Which hub is asked, and as whom.
#pragma once

#include <string>

namespace bitaxon::hub {

struct HubServer {
  std::string endpoint;  ///< without a slash at the end
  std::string token;     ///< empty: nobody

  /// $HF_ENDPOINT, else https://huggingface.co; $HF_TOKEN, else the file $HF_TOKEN_PATH or
  /// $HF_HOME/token where there is one. Throws Error(invalid_argument) for what cannot be meant,
  /// Error(unsupported) when $HF_HUB_OFFLINE forbids to ask, Error(io) for a file that cannot be
  /// read.
  static HubServer from_environment();
};

}  // namespace bitaxon::hub
