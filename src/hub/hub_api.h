// What is asked of a hub.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hub/http.h"
#include "hub/hub_listing.h"
#include "hub/hub_server.h"

namespace bitaxon::hub {

/// What was tried again, for the user.
using Note = std::function<void(const std::string&)>;

/// One repository of a hub. The client and the server outlive it. All throw Error(io) that says
/// what to do when the hub refuses, Error(format) for what no hub answers, and Interrupted.
class HubRepository {
 public:
  /// `name`: "owner/name"; `revision`: branch, tag or commit.
  HubRepository(HttpClient& client, const HubServer& server, const std::string& name,
                const std::string& revision, Note note);

  /// Asks for the files of the revision.
  HubListing list();
  /// A file with its size and its id. Asks for what the list does not tell of it.
  HubFile describe(const std::string& commit, const ListedFile& listed);

  /// Where the contents of a file are.
  std::string file_url(const std::string& commit, const std::string& file_name) const;
  /// Where the list of files came from, for messages.
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

/// Throws the Error(io) for an answer that is neither 200 nor 206; `what` begins its message.
[[noreturn]] void refuse_status(const HttpAnswer& answer, const HubServer& server,
                                const std::string& what);

}  // namespace bitaxon::hub
