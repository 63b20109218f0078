// Quantised blocks on disk. An input's first letter says what it is: the block's file (f), the same
// without what its SHA-256 is not over (s: a change that the digest does not show), or the report
// beside it (r).
#include <filesystem>

#include "base/file.h"
#include "base/sha256.h"
#include "base/thread_pool.h"
#include "harness/quantized_store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"

namespace daq {

FuzzTarget BlockTarget();

namespace {

constexpr std::string_view kMagic = "daq-bench block 1\n";
constexpr std::size_t kDigestBytes = 64;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.hidden_size = 4;
  config.intermediate_size = 2;
  config.num_layers = 1;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 2;
  config.vocab_size = 3;
  return config;
}

void ReadStored(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const QuantizedStore store(folder.path());
  static const ScratchFile block(folder.path() / "block-0000");
  static const ScratchFile report(folder.path() / "block-0000.json");
  static const ModelConfig config = SmallConfig();
  static ThreadPool pool(1);
  const char kind = bytes.empty() ? 'f' : bytes.front();
  bytes.remove_prefix(bytes.empty() ? 0 : 1);
  if (kind == 'r') {
    report.Write(bytes);
    store.ReadReport(0);
    return;
  }
  block.Write(kind == 's' ? std::string(kMagic) + Sha256Hex(bytes) + std::string(bytes)
                          : std::string(bytes));
  BlockWeights weights(config);
  DequantizeBlock(store.ReadBlock(0, config), config, &pool, &weights);
}

QuantizedMatrix MakeLayer(LinearLayer layer, const ModelConfig& config) {
  const auto [out_features, in_features] = LinearLayerShape(config, layer);
  const Format format{.codebook = *FindCodebook("nf3", true), .symmetric = true};
  const std::vector<std::uint8_t> codes(static_cast<std::size_t>(out_features * in_features), 5);
  return Pack(format, out_features, in_features, codes,
              {.scale = MatrixF::Constant(out_features, 1, 0.25F),
               .zero_point = MatrixF::Zero(out_features, 1)});
}

std::vector<std::string> Files() {
  const ModelConfig config = SmallConfig();
  QuantizedBlock block;
  block.attention_norm = VectorF::Constant(config.hidden_size, 1);
  block.mlp_norm = block.attention_norm;
  QuantizedBlockReport report{.layers = {}, .stored_bits = 99, .seconds = 1.5};
  for (const LinearLayer layer : kLinearLayers) {
    block.layers.push_back(MakeLayer(layer, config));
    report.layers.push_back({.layer = LinearLayerName(0, layer),
                             .output_mse = 0.5,
                             .diagnostics = {{"gptq.damp", 0.01}}});
  }
  const TemporaryFolder folder;
  QuantizedStore(folder.path()).WriteBlock(0, block, report);
  const std::string file = ReadFile(folder.path() / "block-0000");
  return {"f" + file, "s" + file.substr(kMagic.size() + kDigestBytes),
          "r" + ReadFile(folder.path() / "block-0000.json")};
}

}  // namespace

FuzzTarget BlockTarget() {
  return {.name = "block",
          .run = ReadStored,
          .seeds = Files(),
          .words = {std::string_view("\x00\x00\x00\x00\x00\x00\x00\x00", 8), "daq-bench block 1\n",
                    "\"layers\":", "\"diagnostics\":{", "\"output_mse\":"}};
}

}  // namespace daq
