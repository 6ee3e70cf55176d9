// Which hub is asked, and as whom.
#pragma once

#include <string>

namespace bitaxon::hub {

struct HubServer {
  std::string endpoint;  ///< without a slash at the end
  std::string token;     ///< empty: nobody

  /// The endpoint is $HF_ENDPOINT, else https://huggingface.co. The token is $HF_TOKEN, else
  /// $HUGGING_FACE_HUB_TOKEN, else in the file hub_token_file(). Throws Error(invalid_argument) for
  /// values that cannot be meant, Error(unsupported) when $HF_HUB_OFFLINE or $TRANSFORMERS_OFFLINE
  /// forbids to ask, Error(io) for a file that cannot be read.
  static HubServer from_environment();
};

}  // namespace bitaxon::hub
