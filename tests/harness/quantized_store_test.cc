#include "harness/quantized_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "base/sha256.h"
#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

constexpr std::string_view kMagic = "daq-bench block 1\n";
constexpr std::size_t kDigestBytes = 64;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 4;
  config.num_layers = 1;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 4;
  config.vocab_size = 3;
  return config;
}

class QuantizedStoreTest : public testing::Test {
 protected:
  QuantizedStoreTest() {
    QuantizedBlock block{.attention_norm = VectorF::Ones(config_.hidden_size),
                         .mlp_norm = VectorF::Ones(config_.hidden_size),
                         .layers = {}};
    QuantizedBlockReport report;
    const Format format{.codebook = *FindCodebook("nf3", true), .symmetric = true};
    for (const LinearLayer layer : kLinearLayers) {
      const auto [rows, columns] = LinearLayerShape(config_, layer);
      const std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * columns), 5);
      block.layers.push_back(
          Pack(format, rows, columns, codes,
               {.scale = MatrixF::Ones(rows, 1), .zero_point = MatrixF::Zero(rows, 1)}));
      report.layers.push_back({.layer = LinearLayerName(0, layer)});
    }
    store_.WriteBlock(0, block, report);
  }

  // What reading the block says after a change of what its SHA-256 is over.
  std::string ErrorOf(const std::function<void(std::string*)>& change) const {
    const std::filesystem::path file = folder_.path() / "block-0000";
    const std::string good = ReadFile(file);
    std::string content = good.substr(kMagic.size() + kDigestBytes);
    change(&content);
    WriteFileAtomically(file, std::string(kMagic) + Sha256Hex(content) + content);
    std::string message = InputErrorOf(folder_.path(), [&] { store_.ReadBlock(0, config_); });
    WriteFileAtomically(file, good);
    return message;
  }

  std::string ReportErrorOf(const std::string& text) const {
    WriteFileAtomically(folder_.path() / "block-0000.json", text);
    return InputErrorOf(folder_.path(), [&] { store_.ReadReport(0); });
  }

  TemporaryFolder folder_;
  QuantizedStore store_{folder_.path()};
  ModelConfig config_ = SmallConfig();
};

// The digest can be right and the file another program's.
TEST_F(QuantizedStoreTest, SectionsThatDoNotFitAreRefused) {
  const std::string damaged =
      "block-0000: this quantised block is damaged; run again to make the block anew";
  EXPECT_EQ(ErrorOf([](std::string*) {}), "no error");
  EXPECT_EQ(ErrorOf([](std::string* content) { content->clear(); }), damaged);
  EXPECT_EQ(ErrorOf([](std::string* content) { content->resize(7); }), damaged);
  EXPECT_EQ(ErrorOf([](std::string* content) { (*content)[7] = '\x7F'; }), damaged);
  EXPECT_EQ(ErrorOf([](std::string* content) { content->append("x"); }), damaged);
}

TEST_F(QuantizedStoreTest, BlocksOfAnotherShapeAreRefused) {
  const std::string other =
      "block-0000: this quantised block is not of this model's shape; run again to make the block "
      "anew";
  // Only the two norms.
  EXPECT_EQ(ErrorOf([&](std::string* content) {
              content->resize(2 * (8 + 4 * static_cast<std::size_t>(config_.hidden_size)));
            }),
            other);
  EXPECT_EQ(ErrorOf([](std::string* content) {
              content->erase(8, 32);  // the first norm
              content->replace(0, 8, 8, '\0');
            }),
            other);
  config_.intermediate_size = 6;
  EXPECT_EQ(ErrorOf([](std::string*) {}), other);
}

TEST_F(QuantizedStoreTest, DamagedReportsAreRefused) {
  const std::string damaged =
      "block-0000.json: this quantised block's report is damaged; run again to make the block anew";
  const std::string good = ReadFile(folder_.path() / "block-0000.json");
  EXPECT_EQ(ReportErrorOf(good), "no error");
  EXPECT_EQ(ReportErrorOf(R"({"seconds": 1, "stored_bits": 8, "layers": []})"), damaged)
      << "one layer for each of the block";
  EXPECT_EQ(ReportErrorOf(good.substr(0, good.size() / 2)), damaged);
  EXPECT_EQ(ReportErrorOf(std::string(200'000, '[')), damaged);
}

TEST_F(QuantizedStoreTest, ADiscardedBlockIsMissing) {
  ASSERT_TRUE(store_.HasBlock(0));
  store_.Discard(0);
  EXPECT_FALSE(store_.HasBlock(0));
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { store_.ReadBlock(0, config_); }),
            "block-0000: No such file or directory; run again to make the block anew");
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { store_.ReadReport(0); }),
            "block-0000.json: No such file or directory; run again to make the block anew");
  store_.Discard(0);
}

}  // namespace
}  // namespace daq
