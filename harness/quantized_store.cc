#include "harness/quantized_store.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
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
  std::memcpy(norm.data(), bytes.data(), static_cast<std::size_t>(norm.size()) * sizeof(float));
  return norm;
}

// Takes the next section off `rest`. The digest was checked, so a wrong length is a bug here.
std::string_view NextSection(std::string_view* rest) {
  std::uint64_t size = 0;
  DAQ_CHECK(rest->size() >= sizeof(size), "a section's length");
  std::memcpy(&size, rest->data(), sizeof(size));
  rest->remove_prefix(sizeof(size));
  DAQ_CHECK(rest->size() >= size, "a section's content");
  const std::string_view section = rest->substr(0, size);
  rest->remove_prefix(size);
  return section;
}

}  // namespace

std::filesystem::path QuantizedStore::BlockFile(Index block) const {
  return folder_ / fmt::format("block-{:04}", block);
}

std::filesystem::path QuantizedStore::ReportFile(Index block) const {
  return folder_ / fmt::format("block-{:04}.json", block);
}

bool QuantizedStore::HasBlock(Index block) const {
  return std::filesystem::exists(BlockFile(block));
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

QuantizedBlock QuantizedStore::ReadBlock(Index block) const {
  const std::string file = BlockFile(block).string();
  const std::string bytes = ReadFile(file);
  const std::size_t start = kMagic.size() + kDigestBytes;
  if (bytes.size() < start || !bytes.starts_with(kMagic) ||
      std::string_view(bytes).substr(kMagic.size(), kDigestBytes) !=
          Sha256Hex(std::string_view(bytes).substr(start))) {
    throw InputError({file}, "this quantised block is damaged: delete it and run again");
  }
  std::string_view rest = std::string_view(bytes).substr(start);
  QuantizedBlock content;
  content.attention_norm = NormFromBytes(NextSection(&rest));
  content.mlp_norm = NormFromBytes(NextSection(&rest));
  while (!rest.empty()) content.layers.push_back(Parse(NextSection(&rest), file));
  return content;
}

QuantizedBlockReport QuantizedStore::ReadReport(Index block) const {
  const std::filesystem::path file = ReportFile(block);
  QuantizedBlockReport report;
  try {
    const Json json = Json::parse(ReadFile(file));
    json.at("seconds").get_to(report.seconds);
    json.at("stored_bits").get_to(report.stored_bits);
    for (const Json& layer : json.at("layers")) report.layers.push_back(LayerReportFromJson(layer));
  } catch (const Json::exception&) {
    throw InputError({file.string()},
                     "this quantised block's report is damaged: delete the block and run again");
  }
  return report;
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
