#include "harness/state_checkpoint.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

constexpr Index kWindows = 3;
constexpr Index kTokens = 5;
constexpr Index kHidden = 7;

class StateCheckpointTest : public testing::Test {
 protected:
  StateCheckpointTest() : states_(kWindows, kTokens, kHidden, {}) {
    for (Index window = 0; window < kWindows; ++window) {
      MatrixView rows = states_.rows(window, 1);
      for (Index i = 0; i < rows.size(); ++i)
        rows.data()[i] = static_cast<float>(window * 1000 + i) / 3;
    }
    StateCheckpoint(file(), "key", std::chrono::seconds(0)).SaveIfDue(2, &states_);
  }

  std::filesystem::path file() const { return folder_.path() / "work" / "a.states"; }

  // Blocks done as read back, and whether all values are those that were saved.
  std::optional<Index> Load(const std::string& key, HiddenStates* states) const {
    return StateCheckpoint(file(), key, std::chrono::seconds(0)).Load(states);
  }

  const TemporaryFolder folder_;
  HiddenStates states_;
};

TEST_F(StateCheckpointTest, GivesBackTheSameBits) {
  HiddenStates loaded(kWindows, kTokens, kHidden, {});
  EXPECT_EQ(Load("key", &loaded), Index{2});
  for (Index window = 0; window < kWindows; ++window)
    EXPECT_EQ(loaded.rows(window, 1), states_.rows(window, 1));
}

TEST_F(StateCheckpointTest, AnotherKeyOrShapeIsNotThis) {
  HiddenStates loaded(kWindows, kTokens, kHidden, {});
  EXPECT_EQ(Load("other", &loaded), std::nullopt);
  EXPECT_EQ(Load("ke", &loaded), std::nullopt);
  HiddenStates larger(kWindows + 1, kTokens, kHidden, {});
  EXPECT_EQ(Load("key", &larger), std::nullopt);
}

// A power cut may leave any part of a file unwritten.
TEST_F(StateCheckpointTest, EveryChangedByteAndEveryTruncationIsNoticed) {
  const std::string sound = ReadFile(file());
  HiddenStates loaded(kWindows, kTokens, kHidden, {});
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    WriteFileAtomically(file(), damaged);
    EXPECT_EQ(Load("key", &loaded), std::nullopt) << at;
  }
  for (std::size_t size = 0; size < sound.size(); size += 13) {
    WriteFileAtomically(file(), sound.substr(0, size));
    EXPECT_EQ(Load("key", &loaded), std::nullopt) << size;
  }
  WriteFileAtomically(file(), sound);
  EXPECT_EQ(Load("key", &loaded), Index{2});
}

TEST_F(StateCheckpointTest, SavesOnlyWhenDue) {
  StateCheckpoint rare(folder_.path() / "rare.states", "key", std::chrono::hours(1));
  rare.SaveIfDue(1, &states_);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "rare.states"));
}

}  // namespace
}  // namespace daq
