// The templates of a model, parsed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/chat_template.h"
#include "template/ast.h"

namespace bitaxon {

struct NamedTemplate {
  std::string name;
  jinja::Program program;
  /// Why the template cannot be used. Empty: it can.
  std::string fault;
};

struct JinjaTemplate::Impl {
  std::string origin;
  /// One template named "default", or those of the model.
  std::shared_ptr<const std::vector<NamedTemplate>> templates;
  std::optional<std::string> bos, eos;
};

/// Parses a template. A fault is kept, because a model may have several templates of which one is
/// used.
NamedTemplate parse_named(std::string name, std::string_view source);
/// Throws Error(format): origin and message in one line.
[[noreturn]] void fail_template(std::string_view origin, std::string_view message);

}  // namespace bitaxon
