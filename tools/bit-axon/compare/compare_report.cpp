#include "compare/compare_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

std::string device_line(const char* letter, const ComparedDevice& device) {
  return fmt::format("{:<9}{}: {}; {}\n", letter, device.backend, printable(device.name),
                     name_of(device.precision));
}

constexpr const char* kDifferenceRow = "{:<9}{:<{}}{:>12}{:>12}{:>8}{:>20}\n";

/// The width of the column with the kinds of blocks.
std::size_t kind_width(const ModelSpec& spec) {
  std::size_t width = 8;
  for (const BlockSpec& block : spec.blocks) width = std::max(width, block.kind.size() + 1);
  return width;
}

std::string difference_line(const std::string& name, std::string_view kind, std::size_t width,
                            const Difference& difference) {
  const auto text = [](double x) { return fmt::format("{:.2e}", x); };
  return fmt::format(kDifferenceRow, name, kind, width, text(difference.relative_l2()),
                     text(difference.worst_row_relative_l2()), difference.worst_row(),
                     text(difference.largest()));
}

std::string parting_line(const Comparison& found) {
  const auto name = [](std::int32_t token) {
    return token < 0 ? std::string("none (not finite)") : std::to_string(token);
  };
  const Parting& parting = *found.parting;
  return fmt::format(
      "         first other token: {}, {} on a, {} on b; gap {:.2e} on a, {:.2e} on b; {} "
      "(bound {:.2e})\n",
      found.n_same_greedy, name(parting.a_token), name(parting.b_token), parting.a_gap,
      parting.b_gap, parting.is_near_tie ? "a near tie" : "not a near tie", parting.near_tie_bound);
}

std::string speed_line(const char* name, double a, double b) {
  const auto text = [](double x, int digits) {
    return std::isfinite(x) ? fmt::format("{:.{}f}", x, digits) : std::string("-");
  };
  return fmt::format("{:<9}{:>12} tok/s{:>12} tok/s{:>9}\n", name, text(a, 1), text(b, 1),
                     text(b / a, 2));
}

Json difference_json(const Difference& difference, const Tolerance& tolerance) {
  return {{"relative_l2", finite_or_null(difference.relative_l2())},
          {"worst_row", difference.worst_row()},
          {"worst_row_relative_l2", finite_or_null(difference.worst_row_relative_l2())},
          {"largest_difference", finite_or_null(difference.largest())},
          {"not_finite", difference.n_not_finite()},
          {"within_tolerance", difference.problem(tolerance).empty()}};
}

Json device_json(const Comparison& found, const ComparedDevice& device) {
  return {{"device", device.backend},
          {"name", printable(device.name)},
          {"precision", name_of(device.precision)},
          {"prefill_tokens_per_sec", finite_or_null(found.prefill_tokens_per_sec(device))},
          {"decode_tokens_per_sec", finite_or_null(device.decode_tokens_per_sec())}};
}

/// A token as JSON. Null if there is no token.
Json token_json(std::int32_t token) { return token < 0 ? Json(nullptr) : Json(token); }

Json tokens_json(const std::vector<std::int32_t>& tokens) {
  Json list = Json::array();
  for (const std::int32_t token : tokens) list.push_back(token_json(token));
  return list;
}

Json greedy_json(const Comparison& found) {
  Json json = {{"tokens", found.n_greedy},
               {"agreeing", found.n_same_greedy},
               {"a_token_ids", tokens_json(found.a.greedy_tokens)},
               {"b_token_ids", tokens_json(found.b.greedy_tokens)},
               {"first_difference", nullptr}};
  if (found.parting)
    json["first_difference"] = {{"index", found.n_same_greedy},
                                {"a_token_id", token_json(found.parting->a_token)},
                                {"b_token_id", token_json(found.parting->b_token)},
                                {"a_gap", finite_or_null(found.parting->a_gap)},
                                {"b_gap", finite_or_null(found.parting->b_gap)},
                                {"near_tie_bound", finite_or_null(found.parting->near_tie_bound)},
                                {"row_relative_l2", finite_or_null(found.parting->relative_l2)},
                                {"near_tie", found.parting->is_near_tie}};
  return json;
}

}  // namespace

std::string report_text(const Comparison& found) {
  std::string text = device_line("a", found.a) + device_line("b", found.b);
  text += fmt::format("model    {}\nrows     {} in {} piece{}\n\n", found.model_name, found.n_rows,
                      found.n_pieces, found.n_pieces == 1 ? "" : "s");
  const std::size_t width = kind_width(found.spec);
  text += fmt::format(kDifferenceRow, "", "", width, "relative L2", "worst row", "index",
                      "largest difference");
  for (std::size_t i = 0; i < found.layers.size(); ++i)
    text += difference_line(fmt::format("layer {}", i), found.spec.blocks[i].kind, width,
                            found.layers[i]);
  text += difference_line("logits", "", width, found.logits);
  text +=
      fmt::format("\ntop-1    the same in {} of {} rows\n", found.n_same_likeliest, found.n_rows);
  text +=
      fmt::format("greedy   the same for {} of {} tokens\n", found.n_same_greedy, found.n_greedy);
  if (found.parting) text += parting_line(found);
  text += fmt::format("\n{:<9}{:>18}{:>18}{:>9}\n", "", "a", "b", "b/a");
  text += speed_line("prefill", found.prefill_tokens_per_sec(found.a),
                     found.prefill_tokens_per_sec(found.b));
  text += speed_line("decode", found.a.decode_tokens_per_sec(), found.b.decode_tokens_per_sec());
  const auto beyond = first_beyond_tolerance(found);
  return text + (beyond ? fmt::format("\ndiffers: {}: {}\n", beyond->what, beyond->why)
                        : fmt::format("\nagrees: relative L2 at most {:.2e} over all rows, {:.2e} "
                                      "in each\n",
                                      found.tolerance.whole, found.tolerance.row));
}

Json report_json(const Comparison& found) {
  Json json;
  json["model"] = found.model_name;
  json["a"] = device_json(found, found.a);
  json["b"] = device_json(found, found.b);
  json["speed_ratio"] = {{"prefill", finite_or_null(found.prefill_tokens_per_sec(found.b) /
                                                    found.prefill_tokens_per_sec(found.a))},
                         {"decode", finite_or_null(found.b.decode_tokens_per_sec() /
                                                   found.a.decode_tokens_per_sec())}};
  json["rows"] = found.n_rows;
  json["pieces"] = found.n_pieces;
  json["tolerance"] = {{"relative_l2", found.tolerance.whole},
                       {"row_relative_l2", found.tolerance.row}};
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    Json layer = {{"index", i}, {"kind", found.spec.blocks[i].kind}};
    layer.update(difference_json(found.layers[i], found.tolerance));
    json["layers"].push_back(layer);
  }
  json["logits"] = difference_json(found.logits, found.tolerance);
  json["top1"] = {{"rows", found.n_rows}, {"agreeing", found.n_same_likeliest}};
  json["greedy"] = greedy_json(found);
  const auto beyond = first_beyond_tolerance(found);
  json["verdict"] = beyond ? "differs" : "agrees";
  json["first_beyond_tolerance"] = beyond ? Json(beyond->what) : Json(nullptr);
  json["reason"] = beyond ? Json(beyond->why) : Json(nullptr);
  return json;
}

}  // namespace bitaxon::tool
