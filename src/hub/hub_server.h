// The hub to download from or to upload to, and the token that identifies the user.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::hub {

struct HubServer {
  std::string endpoint;  ///< without a slash at the end
  std::string token;     ///< empty for an anonymous user

  /// The endpoint is $HF_ENDPOINT, else https://huggingface.co. The token is $HF_TOKEN, else
  /// $HUGGING_FACE_HUB_TOKEN, else the contents of hub_token_file(). Throws Error(invalid_argument)
  /// for invalid values, Error(unsupported) when $HF_HUB_OFFLINE or $TRANSFORMERS_OFFLINE forbids
  /// requests (the message begins with `command`), and Error(io) when the token file cannot be read.
  static HubServer from_environment(std::string_view command = "download");
};

}  // namespace bitaxon::hub
