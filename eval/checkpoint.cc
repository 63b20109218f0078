#include "eval/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "eval/block_weights.h"
#include "eval/json_file.h"
#include "eval/safetensors.h"
#include "eval/stored_floats.h"
#include "eval/weight_files.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

// One tensor that the model computes with.
struct Weight {
  std::size_t file = 0;
  StoredTensor stored;
  FloatType type = FloatType::kF32;
};

// The number in "model.layers.<number>.", if the name begins so.
std::optional<std::string_view> LayerNumber(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const std::size_t end = name.find('.');
  if (end == 0 || end == std::string_view::npos) return std::nullopt;
  return name.substr(0, end);
}

}  // namespace

struct Checkpoint::State {
  fs::path folder;
  ModelConfig config;
  std::vector<SafetensorsFile> files;
  std::map<std::string, Weight> weights;  // those that the model uses
  std::string dtype;
  std::string head_name;

  void RefuseForeignTensors(const SafetensorsFile& file) const;
  void CheckWeights();
  void AddWeight(const std::string& name, const std::vector<Index>& shape);
  const Weight& Find(const std::string& name) const;
  [[noreturn]] void ThrowNotFinite(const std::string& name, const Weight& weight,
                                   std::size_t element) const;
};

// Other tensors than the model's are left alone (rotary_emb.inv_freq of old checkpoints), except
// those that say that the model computes something else than the config states.
void Checkpoint::State::RefuseForeignTensors(const SafetensorsFile& file) const {
  for (const auto& [name, stored] : file.tensors()) {
    const FileLocation where{file.path().string()};
    if (name.ends_with(".bias"))
      throw InputError(where, DescribeName(name), "no bias (layers with a bias are not supported)",
                       "one");
    const auto number = LayerNumber(name);
    if (!number) continue;
    // Digits of equal length order as numbers do.
    const std::string last = std::to_string(config.num_layers - 1);
    if (number->size() > last.size() || (number->size() == last.size() && *number > last)) {
      throw InputError(where, DescribeName(name),
                       fmt::format("layers 0 to {} as config.json states", last), "a further one");
    }
  }
}

void Checkpoint::State::AddWeight(const std::string& name, const std::vector<Index>& shape) {
  for (std::size_t file = 0; file < files.size(); ++file) {
    const auto found = files[file].tensors().find(name);
    if (found == files[file].tensors().end()) continue;
    const StoredTensor& stored = found->second;
    const FileLocation where{files[file].path().string()};
    if (weights.contains(name))
      throw InputError(where, name, "the tensor in one file", "it in two");
    Weight weight{file, stored};
    if (!ParseFloatType(stored.dtype, &weight.type))
      throw InputError(where, name, "type F32, F16 or BF16", stored.dtype);
    if (stored.shape != shape) {
      throw InputError(where, name, fmt::format("shape {}", DescribeShape(shape)),
                       DescribeShape(stored.shape));
    }
    weights.emplace(name, std::move(weight));
  }
  if (weights.contains(name)) return;
  const fs::path place = files.size() == 1 ? files[0].path() : folder / kWeightIndexName;
  throw InputError({place.string()}, name,
                   fmt::format("a tensor of shape {}", DescribeShape(shape)), "nothing");
}

void Checkpoint::State::CheckWeights() {
  AddWeight(kEmbeddingName, {config.vocab_size, config.hidden_size});
  for (Index layer = 0; layer < config.num_layers; ++layer) {
    for (const std::string_view norm : {"input_layernorm", "post_attention_layernorm"}) {
      AddWeight(fmt::format("model.layers.{}.{}.weight", layer, norm), {config.hidden_size});
    }
    for (const LinearLayer linear : kLinearLayers) {
      const MatrixShape shape = LinearLayerShape(config, linear);
      AddWeight(fmt::format("{}.weight", LinearLayerName(layer, linear)),
                {shape.out_features, shape.in_features});
    }
  }
  AddWeight(kFinalNormName, {config.hidden_size});
  // A tied model's head is its embedding even where the file has both, as in transformers.
  head_name = config.tie_word_embeddings ? kEmbeddingName : "lm_head.weight";
  if (!config.tie_word_embeddings) AddWeight(head_name, {config.vocab_size, config.hidden_size});
  dtype = Find(fmt::format("{}.weight", LinearLayerName(0, LinearLayer::kQuery))).stored.dtype;
}

const Weight& Checkpoint::State::Find(const std::string& name) const {
  const auto found = weights.find(name);
  DAQ_CHECK(found != weights.end(), fmt::format("the model has a tensor {}", name));
  return found->second;
}

void Checkpoint::State::ThrowNotFinite(const std::string& name, const Weight& weight,
                                       std::size_t element) const {
  const std::byte* stored = files[weight.file].bytes().data() + weight.stored.begin;
  const std::size_t width = FloatBytes(weight.type);
  float value = 0;
  while (ConvertStoredFloats(weight.type, stored + element * width, {&value, 1})) ++element;
  // The mantissa tells a NaN from an infinity; WidenF16 leaves that to us.
  std::uint32_t bits = 0;
  std::memcpy(&bits, stored + element * width, width);
  const std::uint32_t mantissa = weight.type == FloatType::kF32   ? 0x7FFFFFU
                                 : weight.type == FloatType::kF16 ? 0x3FFU
                                                                  : 0x7FU;
  const bool negative = (bits >> (8 * width - 1) & 1U) != 0;
  const std::string_view found = (bits & mantissa) != 0 ? "NaN"
                                 : negative             ? "-infinity"
                                                        : "infinity";
  std::string place = std::to_string(element);
  if (weight.stored.shape.size() == 2) {
    const auto columns = static_cast<std::size_t>(weight.stored.shape[1]);
    place = fmt::format("{}, {}", element / columns, element % columns);
  }
  throw InputError({files[weight.file].path().string()}, fmt::format("{}[{}]", name, place),
                   "a finite number", found);
}

Checkpoint::Checkpoint(const fs::path& folder) : state_(std::make_unique<State>()) {
  std::error_code ignored;  // a name that cannot be looked up is no folder either
  if (!fs::is_directory(folder, ignored)) throw InputError({folder.string()}, "no such folder");
  state_->folder = folder;
  state_->config = ReadModelConfig(folder / "config.json");
  state_->files = OpenWeightFiles(folder);
  for (const SafetensorsFile& file : state_->files) state_->RefuseForeignTensors(file);
  state_->CheckWeights();
}

Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

const fs::path& Checkpoint::folder() const { return state_->folder; }
const ModelConfig& Checkpoint::config() const { return state_->config; }
const std::string& Checkpoint::dtype() const { return state_->dtype; }
const std::string& Checkpoint::head_name() const { return state_->head_name; }

std::int64_t Checkpoint::file_bytes() const {
  std::int64_t bytes = 0;
  for (const SafetensorsFile& file : state_->files)
    bytes += static_cast<std::int64_t>(file.bytes().size());
  return bytes;
}

void Checkpoint::ReadRows(const std::string& name, Index first_row, MatrixView to) const {
  const Weight& weight = state_->Find(name);
  const std::vector<Index>& shape = weight.stored.shape;
  DAQ_CHECK(shape.size() == 2 && to.cols() == shape[1], "the columns of the tensor");
  DAQ_CHECK(first_row >= 0 && to.rows() <= shape[0] - first_row, "rows of the tensor");
  const auto columns = static_cast<std::size_t>(shape[1]);
  const std::size_t row_bytes = columns * FloatBytes(weight.type);
  const SafetensorsFile& file = state_->files[weight.file];
  const std::span<const std::byte> part =
      file.bytes().subspan(weight.stored.begin + static_cast<std::size_t>(first_row) * row_bytes,
                           static_cast<std::size_t>(to.rows()) * row_bytes);
  file.Prefetch(part);
  for (Index row = 0; row < to.rows(); ++row) {
    const std::byte* stored = part.data() + static_cast<std::size_t>(row) * row_bytes;
    if (!ConvertStoredFloats(weight.type, stored, {to.row(row).data(), columns})) {
      state_->ThrowNotFinite(name, weight, static_cast<std::size_t>(first_row + row) * columns);
    }
  }
  file.ThrowIfChanged();
  file.Release(part);
}

void Checkpoint::ReadAhead(const std::string& name) const {
  const Weight& weight = state_->Find(name);
  const SafetensorsFile& file = state_->files[weight.file];
  file.Prefetch(file.bytes().subspan(weight.stored.begin, weight.stored.end - weight.stored.begin));
}

VectorF Checkpoint::ReadVector(const std::string& name) const {
  const Weight& weight = state_->Find(name);
  DAQ_CHECK(weight.stored.shape.size() == 1, "a vector");
  VectorF to(weight.stored.shape[0]);
  const std::byte* stored = state_->files[weight.file].bytes().data() + weight.stored.begin;
  if (!ConvertStoredFloats(weight.type, stored, {to.data(), static_cast<std::size_t>(to.size())})) {
    state_->ThrowNotFinite(name, weight, 0);
  }
  state_->files[weight.file].ThrowIfChanged();
  return to;
}

std::vector<std::filesystem::path> Checkpoint::files() const {
  std::vector<fs::path> paths = {state_->folder / "config.json"};
  for (const SafetensorsFile& file : state_->files) paths.push_back(file.path());
  return paths;
}

std::string Checkpoint::ContentHash() const {
  constexpr std::size_t kPieceBytes = std::size_t{1}
                                      << 24;  // pages of a piece are dropped before the next
  std::string lines =
      fmt::format("{}  config.json\n", Sha256Hex(ReadFile(state_->folder / "config.json")));
  for (const SafetensorsFile& file : state_->files) {
    Sha256 hash;
    std::span<const std::byte> rest = file.bytes();
    while (!rest.empty()) {
      ThrowIfInterrupted();
      const std::span<const std::byte> piece = rest.first(std::min(kPieceBytes, rest.size()));
      file.Prefetch(piece);
      hash.Update(piece);
      file.Release(piece);
      rest = rest.subspan(piece.size());
    }
    file.ThrowIfChanged();
    lines += fmt::format("{}  {}\n", hash.HexDigest(), file.path().filename().string());
  }
  return Sha256Hex(lines);
}

}  // namespace daq
