#include "gpu_code/cost_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::gpu_code {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// Reads the fields of a description, and names the one that does not fit.
class Fields {
 public:
  Fields(const Json& json, const std::string& name) : json_(json), name_(name) {
    if (!json.is_object()) refuse("the file", "an object", json);
  }
  /// Refuses fields that have no meaning.
  void need_known(std::initializer_list<std::string_view> known) const {
    for (const auto& [field, value] : json_.items())
      if (std::ranges::find(known, field) == known.end())
        throw Error(ErrorKind::format,
                    fmt::format("{}: {}: unknown field, expected one of {}", printable(name_),
                                printable(field, 100), fmt::join(known, ", ")));
  }
  std::string text(const char* field) const {
    const Json& value = at(field);
    if (!value.is_string()) refuse(field, "a text", value);
    return value.get<std::string>();
  }
  double number(const char* field, double least, double most) const {
    const Json& value = at(field);
    if (!value.is_number() || value.get<double>() < least || value.get<double>() > most)
      refuse(field,
             most < kNoLimit ? fmt::format("a number from {} to {}", least, most)
                             : fmt::format("a number of at least {}", least),
             value);
    return value.get<double>();
  }
  std::uint32_t subgroup_size() const {
    const Json& value = at("subgroup");
    if (!value.is_number_unsigned() || !std::has_single_bit(value.get<std::uint64_t>()) ||
        value.get<std::uint64_t>() < 4 || value.get<std::uint64_t>() > 128)
      refuse("subgroup", "a power of two from 4 to 128", value);
    return value.get<std::uint32_t>();
  }
  std::string step() const {
    std::string name = text("step");
    if (name != "decode" && name != "prefill")
      refuse("step", "\"decode\" or \"prefill\"", at("step"));
    return name;
  }
  /// The elements of a list, or none if the field is missing.
  std::vector<Json> list(const char* field) const {
    if (!json_.contains(field)) return {};
    if (!json_.at(field).is_array()) refuse(field, "a list", json_.at(field));
    return json_.at(field);
  }
  /// Every number of a description has a source.
  void need_source(const char* field) const {
    const Json& sources = at("sources");
    if (!sources.is_object() || !sources.contains(field))
      refuse("sources", fmt::format("the source of {}", field), sources);
  }

 private:
  const Json& at(const char* field) const {
    if (!json_.contains(field))
      throw Error(ErrorKind::format,
                  fmt::format("{}: {}: expected a value, it is missing", printable(name_), field));
    return json_.at(field);
  }
  [[noreturn]] void refuse(const char* field, const std::string& expected, const Json& got) const {
    throw Error(ErrorKind::format, fmt::format("{}: {}: expected {}, got {}", printable(name_),
                                               field, expected, printable_json(got)));
  }

  const Json& json_;
  const std::string& name_;
};

/// The vector and shared-memory instructions of all invocations of a node with this launch.
struct Work {
  double vector = 0, local = 0;
};

/// The main loop tells the instructions for each product with a weight, or with keys and values, or for
/// each product of any kind, and the cost of the node tells the products.
Work work_of(const Cost& cost, const PipelineCode& pipeline, const KernelFacts& facts) {
  const double products = static_cast<double>(cost.flops) / 2;
  const Executed turn = main_turn(pipeline, facts);
  if (facts.kind == KernelKind::vec && turn.weights > 0) {
    const Executed all = executed_by_vec(pipeline, facts, kAllInColumns);
    const double weights = products / facts.rows;
    return {all.vector / all.weights * weights, all.local / all.weights * weights};
  }
  const bool counts_products =
      facts.kind == KernelKind::tile || facts.kind == KernelKind::attention;
  if (counts_products && turn.weights > 0)
    return {turn.vector / turn.weights * products, turn.local / turn.weights * products};
  if (turn.products == 0) return {products, 0};
  return {std::max(1.0, turn.vector / turn.products) * products,
          turn.local / turn.products * products};
}

/// The launch that does the work of a node: the one with a weight, or else the first.
std::size_t worker_of(const std::vector<StepLaunch>& launches, std::size_t first) {
  for (std::size_t i = first; i < first + launches[first].listed.of_node; ++i)
    if (facts_of(launches[i].listed.launch).kind != KernelKind::other) return i;
  return first;
}

std::string label_of(const StepLaunch& launch, const KernelFacts& facts) {
  const std::string& label = launch.listed.label;
  const std::string op = label.substr(label.rfind(' ') + 1);
  const std::string text = op == facts.kernel ? op : fmt::format("{}: {}", op, facts.kernel);
  return facts.format == "-" ? text : fmt::format("{} {}", text, facts.format);
}

/// Adds a node. Its launches follow one another, and its first launch has its cost.
void add_node(const DeviceDescription& device, const Cost& cost, const PipelineCode& pipeline,
              const KernelFacts& facts, std::size_t n_launches, PredictedKernel& kernel) {
  PipelineCode code = pipeline;
  code.subgroup_size = device.subgroup;
  const Work work = work_of(cost, code, facts);
  const double clocks = device.units * device.clock_ghz * 1e3;  // of all units, in a microsecond
  double vector = work.vector / (clocks * device.lanes_per_clock * device.issue_share);
  double matrix = 0;
  if (facts.kind == KernelKind::tile && device.matrix_tflops > 0) {
    matrix = static_cast<double>(cost.flops) / (device.matrix_tflops * 1e6 * device.issue_share);
    vector = 0;
  }
  const double local = work.local / (clocks * device.local_per_clock * device.issue_share);
  const double memory =
      static_cast<double>(cost.bytes) / (device.bandwidth_gb_s * 1e3 * device.bandwidth_share);
  const double launch = device.launch_us * static_cast<double>(n_launches);
  kernel.launches += static_cast<int>(n_launches);
  kernel.bytes += static_cast<double>(cost.bytes);
  kernel.flops += static_cast<double>(cost.flops);
  kernel.vector_us += vector;
  kernel.local_us += local;
  kernel.memory_us += memory;
  kernel.matrix_us += matrix;
  kernel.launch_us += launch;
  kernel.us += launch + std::max({vector, local, memory, matrix});
}

std::string binding_of(const PredictedKernel& kernel) {
  const std::pair<double, const char*> parts[] = {{kernel.memory_us, "memory"},
                                                  {kernel.vector_us, "vector"},
                                                  {kernel.matrix_us, "matrix"},
                                                  {kernel.local_us, "shared memory"},
                                                  {kernel.launch_us, "launches"}};
  return std::ranges::max_element(parts, {}, [](const auto& part) { return part.first; })->second;
}

BaseModel model_of(const StepOptions& options) {
  const ModelSpec spec = preset_spec(options.preset);
  if (options.quantize == "none") return BaseModel::random(spec, 1);
  return BaseModel::random(spec, 1, {.codes = true, .quantize = options.quantize});
}

}  // namespace

DeviceDescription parse_device(const std::string& text, const std::string& name) {
  const Json json = parse_json(text, name, kConfigLimits);
  const Fields fields(json, name);
  fields.need_known({"name", "vendor", "code", "subgroup", "units", "lanes_per_clock",
                     "local_per_clock", "clock_ghz", "bandwidth_gb_s", "matrix_tflops", "launch_us",
                     "issue_share", "bandwidth_share", "sources", "measured"});
  DeviceDescription device;
  device.name = fields.text("name");
  device.vendor = fields.text("vendor");
  device.code = fields.text("code");
  const struct {
    const char* field;
    double* number;
    double least;
    double most = kNoLimit;
  } kNumbers[] = {{"units", &device.units, 1},
                  {"lanes_per_clock", &device.lanes_per_clock, 1},
                  {"local_per_clock", &device.local_per_clock, 1},
                  {"clock_ghz", &device.clock_ghz, 0.01},
                  {"bandwidth_gb_s", &device.bandwidth_gb_s, 1},
                  {"matrix_tflops", &device.matrix_tflops, 0},
                  {"launch_us", &device.launch_us, 0},
                  {"issue_share", &device.issue_share, 0.01, 1},
                  {"bandwidth_share", &device.bandwidth_share, 0.01, 1}};
  for (const auto& [field, number, least, most] : kNumbers) {
    *number = fields.number(field, least, most);
    fields.need_source(field);
  }
  device.subgroup = fields.subgroup_size();
  fields.need_source("subgroup");
  for (const Json& entry : fields.list("measured")) {
    const Fields measured(entry, name);
    measured.need_known({"step", "ms", "source"});
    device.measured.push_back(
        {measured.step(), measured.number("ms", 0, kNoLimit), measured.text("source")});
  }
  return device;
}

DeviceDescription read_device(const std::filesystem::path& path) {
  return parse_device(read_whole_file(path, kConfigLimits.max_bytes), path.string());
}

double Prediction::us() const {
  double sum = 0;
  for (const PredictedKernel& kernel : kernels) sum += kernel.us;
  return sum;
}

Prediction predict(const DeviceDescription& device, const std::string& step, std::int64_t n_rows,
                   const std::vector<StepLaunch>& launches,
                   const std::vector<PipelineCode>& codes) {
  std::map<std::string, PredictedKernel> by_label;
  for (std::size_t i = 0; i < launches.size(); i += launches[i].listed.of_node) {
    const std::size_t worker = worker_of(launches, i);
    const KernelFacts facts = facts_of(launches[worker].listed.launch);
    add_node(device, launches[i].cost, codes[worker], facts, launches[i].listed.of_node,
             by_label[label_of(launches[worker], facts)]);
  }
  Prediction prediction{.step = step, .n_rows = n_rows, .kernels = {}};
  for (auto& [label, kernel] : by_label) {
    kernel.label = label;
    kernel.binds = binding_of(kernel);
    prediction.kernels.push_back(kernel);
  }
  std::ranges::sort(prediction.kernels, std::greater<>(), &PredictedKernel::us);
  return prediction;
}

std::vector<Prediction> predict_steps(const DeviceDescription& device, const StepOptions& options) {
  const BaseModel model = model_of(options);
  const vulkan::DeviceCaps caps = family_caps({device.code})[0];
  const std::pair<const char*, ModelStep> steps[] = {
      {"decode", {.n_rows = 1, .position = options.depth}},
      {"prefill", {.n_rows = options.prefill, .position = 0}}};
  std::vector<std::vector<StepLaunch>> launches;
  std::vector<FamilyCode> family(1);
  family[0].family = device.code;
  // A pipeline is compiled once, although many launches need it.
  std::map<std::string, std::size_t> places;
  const auto key_of = [](const vulkan::Launch& launch) {
    return fmt::format("{} {}", name_of(launch.shader), constants_text(launch));
  };
  for (const auto& [name, step] : steps) {
    launches.push_back(step_launches(model, step, Precision::fast, caps));
    for (const StepLaunch& launch : launches.back()) {
      const vulkan::Launch& its = launch.listed.launch;
      if (places.emplace(key_of(its), family[0].pipelines.size()).second)
        family[0].pipelines.push_back({its, facts_of(its), name});
    }
  }
  compile(family, {.families = {device.code},
                   .filter = {},
                   .shader_dir = options.shader_dir,
                   .brief = false,
                   .jobs = options.jobs});
  std::vector<Prediction> predictions;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    std::vector<PipelineCode> codes;
    for (const StepLaunch& launch : launches[i])
      codes.push_back(family[0].codes[places.at(key_of(launch.listed.launch))]);
    predictions.push_back(
        predict(device, steps[i].first, steps[i].second.n_rows, launches[i], codes));
  }
  return predictions;
}

std::string prediction_text(const DeviceDescription& device,
                            const std::vector<Prediction>& predictions) {
  std::string text = fmt::format("{}, with the machine code of {}\n", device.name, device.code);
  for (const Prediction& step : predictions) {
    text += fmt::format("\n{} of {} row{}: {:.2f} ms, {:.1f} tok/s predicted\n", step.step,
                        step.n_rows, step.n_rows == 1 ? "" : "s", step.us() * 1e-3,
                        static_cast<double>(step.n_rows) / step.us() * 1e6);
    for (const DeviceDescription::Measurement& measured : device.measured)
      if (measured.step == step.step)
        text += fmt::format("measured: {:.2f} ms, {:.2f} times that ({})\n", measured.ms,
                            measured.ms * 1e3 / step.us(), printable(measured.source, 200));
    text += fmt::format("{:<46} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  {}\n",
                        "kernel", "launches", "MB", "us", "vector", "matrix", "shared", "memory",
                        "launch", "binds");
    for (const PredictedKernel& kernel : step.kernels)
      text += fmt::format(
          "{:<46} {:>8} {:>10.2f} {:>10.1f} {:>10.1f} {:>10.1f} {:>10.1f} {:>10.1f} {:>10.1f}  "
          "{}\n",
          kernel.label, kernel.launches, kernel.bytes * 1e-6, kernel.us, kernel.vector_us,
          kernel.matrix_us, kernel.local_us, kernel.memory_us, kernel.launch_us, kernel.binds);
  }
  return text;
}

Json prediction_json(const DeviceDescription& device, const std::vector<Prediction>& predictions) {
  Json steps = Json::array();
  for (const Prediction& step : predictions) {
    Json kernels = Json::array();
    for (const PredictedKernel& kernel : step.kernels)
      kernels.push_back({{"kernel", kernel.label},
                         {"launches", kernel.launches},
                         {"bytes", kernel.bytes},
                         {"flops", kernel.flops},
                         {"us", kernel.us},
                         {"vector_us", kernel.vector_us},
                         {"matrix_us", kernel.matrix_us},
                         {"shared_memory_us", kernel.local_us},
                         {"memory_us", kernel.memory_us},
                         {"launch_us", kernel.launch_us},
                         {"binds", kernel.binds}});
    Json measured = Json::array();
    for (const DeviceDescription::Measurement& entry : device.measured)
      if (entry.step == step.step) measured.push_back({{"ms", entry.ms}, {"source", entry.source}});
    steps.push_back({{"step", step.step},
                     {"rows", step.n_rows},
                     {"ms", step.us() * 1e-3},
                     {"measured", std::move(measured)},
                     {"kernels", std::move(kernels)}});
  }
  return {{"device", device.name}, {"code", device.code}, {"steps", std::move(steps)}};
}

}  // namespace bitaxon::gpu_code
