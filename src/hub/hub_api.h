// Requests to the API of a hub.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hub/http.h"
#include "hub/hub_listing.h"
#include "hub/hub_server.h"

namespace bitaxon::hub {

/// A function that shows one line to the user, such as why a request is tried again.
using Note = std::function<void(const std::string&)>;

/// One repository of a hub. The client and the server must outlive it. When the hub refuses, the
/// functions throw Error(io) with a message that says what to do. They throw Error(format) for an
/// invalid answer, and Interrupted when the user interrupts.
class HubRepository {
 public:
  /// `name` is "owner/name". `revision` is a branch, a tag or a commit.
  HubRepository(HttpClient& client, const HubServer& server, const std::string& name,
                const std::string& revision, Note note);

  /// Asks the hub for the list of files of the revision.
  HubListing list();
  /// A listed file with its size and its id. Asks the hub for values that the list lacks.
  HubFile describe(const std::string& commit, const ListedFile& listed);

  /// The address of the contents of a file.
  std::string file_url(const std::string& commit, const std::string& file_name) const;
  /// The address of the list of files, for messages.
  std::string shown_list() const;

 private:
  HttpAnswer ask(const HttpRequest& request, const HttpReceiver& receiver, const std::string& what);
  HttpAnswer get_text(const std::string& url, std::string& text);
  std::vector<ListedFile> list_tree(const std::string& commit);

  HttpClient& client_;
  const HubServer& server_;
  std::string name_, revision_, list_url_;
  Note note_;
};

/// Makes a request, again after failures that may pass, until there is an answer with any other
/// status. `what` begins messages. Throws Error(io) after Retries::kMaxTries tries, and as
/// HttpClient::ask does.
HttpAnswer ask_patiently(HttpClient& client, const HttpRequest& request,
                         const HttpReceiver& receiver, const std::string& what, const Note& note);
/// Throws Error(io) for an answer whose status is neither 200 nor 206. `what` begins the message.
[[noreturn]] void refuse_status(const HttpAnswer& answer, const HubServer& server,
                                const std::string& what);

}  // namespace bitaxon::hub
