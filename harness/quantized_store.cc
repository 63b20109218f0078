#include "harness/quantized_store.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/json_file.h"
#include "harness/report_json.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

// A block's file: magic, the SHA-256 of the rest, then sections, each its length (8 bytes, native
// order) and content: the two norms, the packed layers.
constexpr std::string_view kMagic = "daq-bench block 1\n";
constexpr std::size_t kDigestBytes = 64;

void AppendSection(std::string_view content, std::string* to) {
  const std::uint64_t size = content.size();
  to->append(reinterpret_cast<const char*>(&size), sizeof(size));
  to->append(content);
}

std::string_view NormBytes(const VectorF& norm) {
  return {reinterpret_cast<const char*>(norm.data()),
          static_cast<std::size_t>(norm.size()) * sizeof(float)};
}

VectorF NormFromBytes(std::string_view bytes) {
  VectorF norm(static_cast<Index>(bytes.size() / sizeof(float)));
  // Not for an empty one, which has no place to copy to.
  if (norm.size() > 0)
    std::memcpy(norm.data(), bytes.data(), static_cast<std::size_t>(norm.size()) * sizeof(float));
  return norm;
}

// A block of another model would be read past its end.
void RequireShape(const QuantizedBlock& block, const ModelConfig& config, const std::string& file) {
  bool fits = block.attention_norm.size() == config.hidden_size &&
              block.mlp_norm.size() == config.hidden_size &&
              block.layers.size() == kLinearLayers.size();
  for (std::size_t i = 0; fits && i < kLinearLayers.size(); ++i) {
    const MatrixShape shape = LinearLayerShape(config, kLinearLayers[i]);
    fits = block.layers[i].out_features == shape.out_features &&
           block.layers[i].in_features == shape.in_features;
  }
  if (!fits) {
    throw InputError({file}, "this quantised block is not of this model's shape");
  }
}

[[noreturn]] void ThrowDamaged(const std::string& file) {
  throw InputError({file}, "this quantised block is damaged");
}

// Takes the next section off `rest`. The digest says that the file is as it was written, not that
// this program wrote it.
std::string_view NextSection(std::string_view* rest, const std::string& file) {
  std::uint64_t size = 0;
  if (rest->size() < sizeof(size)) ThrowDamaged(file);
  std::memcpy(&size, rest->data(), sizeof(size));
  rest->remove_prefix(sizeof(size));
  if (rest->size() < size) ThrowDamaged(file);
  const std::string_view section = rest->substr(0, size);
  rest->remove_prefix(size);
  return section;
}

// What `read` returns; the InputError that it throws as one of that block.
template <typename Read>
auto OrUnusable(Index block, const Read& read) {
  try {
    return read();
  } catch (const InputError& error) {
    throw UnusableBlock(block, error);
  }
}

}  // namespace

UnusableBlock::UnusableBlock(Index block, const InputError& problem)
    : InputError(fmt::format("{}; run again to make the block anew", problem.what())),
      block_(block) {}

std::filesystem::path QuantizedStore::BlockFile(Index block) const {
  return folder_ / fmt::format("block-{:04}", block);
}

std::filesystem::path QuantizedStore::ReportFile(Index block) const {
  return folder_ / fmt::format("block-{:04}.json", block);
}

bool QuantizedStore::HasBlock(Index block) const {
  return std::filesystem::exists(BlockFile(block));
}

bool QuantizedStore::HasAllBlocks(Index blocks) const {
  for (Index block = 0; block < blocks; ++block) {
    if (!HasBlock(block)) return false;
  }
  return true;
}

void QuantizedStore::WriteBlock(Index block, const QuantizedBlock& content,
                                const QuantizedBlockReport& report) const {
  Json json = {
      {"seconds", report.seconds}, {"stored_bits", report.stored_bits}, {"layers", Json::array()}};
  for (const LayerReport& layer : report.layers) json["layers"].push_back(ToJson(layer));
  WriteFileAtomically(ReportFile(block), json.dump(1) + "\n");

  // The digest's place is kept free and filled in last: a block of a large model is not copied
  // around. The block is there once this second file is.
  const std::size_t start = kMagic.size() + kDigestBytes;
  std::string bytes(kMagic);
  bytes.resize(start);
  AppendSection(NormBytes(content.attention_norm), &bytes);
  AppendSection(NormBytes(content.mlp_norm), &bytes);
  for (const QuantizedMatrix& layer : content.layers) AppendSection(Serialize(layer), &bytes);
  bytes.replace(kMagic.size(), kDigestBytes, Sha256Hex(std::string_view(bytes).substr(start)));
  WriteFileAtomically(BlockFile(block), bytes);
}

QuantizedBlock QuantizedStore::ParseBlock(Index block, const ModelConfig& config) const {
  const std::string file = BlockFile(block).string();
  const std::string bytes = ReadFile(file);
  const std::size_t start = kMagic.size() + kDigestBytes;
  if (bytes.size() < start || !bytes.starts_with(kMagic) ||
      std::string_view(bytes).substr(kMagic.size(), kDigestBytes) !=
          Sha256Hex(std::string_view(bytes).substr(start))) {
    ThrowDamaged(file);
  }
  std::string_view rest = std::string_view(bytes).substr(start);
  QuantizedBlock content;
  content.attention_norm = NormFromBytes(NextSection(&rest, file));
  content.mlp_norm = NormFromBytes(NextSection(&rest, file));
  while (!rest.empty()) content.layers.push_back(Parse(NextSection(&rest, file), file));
  RequireShape(content, config, file);
  return content;
}

QuantizedBlockReport QuantizedStore::ParseReport(Index block) const {
  const std::filesystem::path file = ReportFile(block);
  QuantizedBlockReport report;
  const std::string text = ReadFile(file);
  try {
    const Json json = ParseOrderedJson(text, file.string());
    json.at("seconds").get_to(report.seconds);
    report.stored_bits =
        static_cast<std::int64_t>(json.at("stored_bits").get_ref<const Json::number_unsigned_t&>());
    for (const Json& layer : json.at("layers")) report.layers.push_back(LayerReportFromJson(layer));
    if (report.layers.size() == kLinearLayers.size()) return report;
  } catch (const Json::exception&) {
  } catch (const InputError&) {  // no JSON
  }
  throw InputError({file.string()}, "this quantised block's report is damaged");
}

QuantizedBlock QuantizedStore::ReadBlock(Index block, const ModelConfig& config) const {
  return OrUnusable(block, [&] { return ParseBlock(block, config); });
}

QuantizedBlockReport QuantizedStore::ReadReport(Index block) const {
  return OrUnusable(block, [&] { return ParseReport(block); });
}

// The block first: it counts as there while its own file is.
void QuantizedStore::Discard(Index block) const {
  std::filesystem::remove(BlockFile(block));
  std::filesystem::remove(ReportFile(block));
}

void QuantizedStore::Remove() const { RemoveFolder(folder_); }

void DequantizeBlock(const QuantizedBlock& block, const ModelConfig& config, ThreadPool* pool,
                     BlockWeights* weights) {
  weights->attention_norm = block.attention_norm;
  weights->mlp_norm = block.mlp_norm;
  for (std::size_t i = 0; i < kLinearLayers.size(); ++i) {
    Dequantize(block.layers[i], weights->Layer(config, kLinearLayers[i]), pool);
  }
}

}  // namespace daq
