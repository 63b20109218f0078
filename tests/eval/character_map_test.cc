#include "eval/character_map.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"

namespace daq {
namespace {

constexpr std::uint32_t kHasLeaf = 1U << 8U;
constexpr std::uint32_t kIsValue = 1U << 31U;
constexpr std::size_t kFirst = 256 ^ 'a';  // where the root leads with an "a"

// A trie of two blocks that knows "a" alone, whose value is in unit 16.
std::vector<std::uint32_t> Trie() {
  std::vector<std::uint32_t> units(512);
  units[0] = 256U << 10U;
  units[kFirst] = static_cast<std::uint32_t>(kFirst ^ 16U) << 10U | kHasLeaf | 'a';
  units[16] = kIsValue | 2;
  return units;
}

std::string Bytes(const std::vector<std::uint32_t>& units) {
  return {reinterpret_cast<const char*>(units.data()), units.size() * sizeof(std::uint32_t)};
}

// A field with a length of a message; lengths up to 16383.
std::string FieldOf(int number, const std::string& content) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  field.push_back(static_cast<char>(content.size() % 128 | 128));
  field.push_back(static_cast<char>(content.size() / 128));
  return field + content;
}

std::string ModelOf(const std::vector<std::uint32_t>& units, const std::string& texts) {
  const std::string trie = Bytes(units);
  return FieldOf(3, FieldOf(2, Bytes({static_cast<std::uint32_t>(trie.size())}) + trie + texts));
}

const std::string kTexts("x\0b\0", 4);

TEST(CharacterMapTest, SoundOnesAndNoneArePassed) {
  EXPECT_TRUE(HasSoundCharacterMaps(ModelOf(Trie(), kTexts)));
  EXPECT_TRUE(HasSoundCharacterMaps(""));
  EXPECT_TRUE(HasSoundCharacterMaps(
      ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "demo/model/tokenizer.model")));
}

TEST(CharacterMapTest, WaysOutOfTheTrieAreFound) {
  std::vector<std::uint32_t> units = Trie();
  units[0] = 512U << 10U;
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(units, kTexts))) << "from the root";
  units = Trie();
  units[kFirst] = 1024U << 10U | 'a';
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(units, kTexts))) << "from a node";
  units = Trie();
  units.resize(511);
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(units, kTexts))) << "half a block";
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf({}, kTexts))) << "no root";
}

TEST(CharacterMapTest, TextsOutsideTheMapAreFound) {
  std::vector<std::uint32_t> units = Trie();
  units[16] = kIsValue | 4;
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(units, kTexts)));
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(Trie(), "x\0b"))) << "a text without an end";
  EXPECT_FALSE(HasSoundCharacterMaps(ModelOf(Trie(), "")));
}

TEST(CharacterMapTest, DamagedBuffersAreFound) {
  const std::string model = ModelOf(Trie(), kTexts);
  EXPECT_FALSE(HasSoundCharacterMaps(model.substr(0, model.size() - 1)));
  EXPECT_FALSE(HasSoundCharacterMaps("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
  EXPECT_FALSE(HasSoundCharacterMaps("\x1b"));
}

}  // namespace
}  // namespace daq
