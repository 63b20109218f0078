#include "eval/model_locator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRevision = "0123456789abcdef0123456789abcdef01234567";

// Each test sees only the variables that it sets; the user's come back at the end.
class ModelLocatorTest : public testing::Test {
 protected:
  ModelLocatorTest() {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(name);
      saved_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      ::unsetenv(name);
    }
    Set("HOME", root() / "home");
  }
  ~ModelLocatorTest() override {
    for (const auto& [name, value] : saved_) {
      if (value)
        ::setenv(name.c_str(), value->c_str(), 1);
      else
        ::unsetenv(name.c_str());
    }
  }

  fs::path root() const { return folder_.path(); }
  static void Set(const char* name, const fs::path& value) { ::setenv(name, value.c_str(), 1); }

  // Puts owner/name into the cache `hub` as huggingface_hub lays it out, and returns the snapshot.
  static fs::path Install(const fs::path& hub, const std::string& reference = kRevision) {
    const fs::path entry = hub / "models--owner--name";
    const fs::path snapshot = entry / "snapshots" / kRevision;
    fs::create_directories(snapshot);
    fs::create_directories(entry / "refs");
    WriteText(snapshot, "config.json", "{}");
    WriteText(entry / "refs", "main", reference);
    return snapshot;
  }
  std::string Error(const std::string& name) const {
    return InputErrorOf(root(), [&] { LocateModel(name, root() / "base"); });
  }

 private:
  const TemporaryFolder folder_;
  std::map<std::string, std::optional<std::string>> saved_;
};

TEST_F(ModelLocatorTest, AFolderIsUsedAsItIs) {
  fs::create_directories(root() / "base/models/tiny");
  EXPECT_EQ(LocateModel("models/tiny", root() / "base"), root() / "base/models/tiny");
  EXPECT_EQ(LocateModel((root() / "base/models").string(), "elsewhere"), root() / "base/models")
      << "absolute";
  EXPECT_EQ(LocateModel("../base/models", root() / "base"), root() / "base/../base/models");
}

TEST_F(ModelLocatorTest, AFolderWinsOverTheCache) {
  Install(root() / "home/.cache/huggingface/hub");
  fs::create_directories(root() / "base/owner/name");
  EXPECT_EQ(LocateModel("owner/name", root() / "base"), root() / "base/owner/name");
}

TEST_F(ModelLocatorTest, TheCacheIsWhereHuggingFaceHubHasIt) {
  // From the last place to the first: each wins over those before it.
  const auto expect = [&](const fs::path& hub) {
    const fs::path snapshot = Install(hub);
    EXPECT_EQ(LocateModel("owner/name", root() / "base"), snapshot);
  };
  expect(root() / "home/.cache/huggingface/hub");
  Set("XDG_CACHE_HOME", root() / "xdg");
  expect(root() / "xdg/huggingface/hub");
  Set("HF_HOME", root() / "hf");
  expect(root() / "hf/hub");
  Set("HUGGINGFACE_HUB_CACHE", root() / "old");
  expect(root() / "old");
  Set("HF_HUB_CACHE", root() / "cache");
  expect(root() / "cache");
  Set("HF_HUB_CACHE", "~/tilde");
  expect(root() / "home/tilde");
}

TEST_F(ModelLocatorTest, AVariableSetToNothingIsUnset) {
  const fs::path snapshot = Install(root() / "home/.cache/huggingface/hub");
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"})
    Set(name, "");
  EXPECT_EQ(LocateModel("owner/name", root() / "base"), snapshot);
}

TEST_F(ModelLocatorTest, AReferenceMayEndInALineFeed) {
  const fs::path snapshot =
      Install(root() / "home/.cache/huggingface/hub", std::string(kRevision) + "\n");
  EXPECT_EQ(LocateModel("owner/name", root() / "base"), snapshot);
}

TEST_F(ModelLocatorTest, AnAbsentModelComesWithTheDownloadCommand) {
  EXPECT_EQ(Error("owner/name"),
            "owner/name: no such model: there is no folder base/owner/name and no "
            "home/.cache/huggingface/hub/models--owner--name/refs/main; download it with: hf "
            "download owner/name "
            "--exclude \"*.bin\" (from: pip install huggingface_hub)");
}

TEST_F(ModelLocatorTest, AnIncompleteDownloadIsNamed) {
  fs::remove(Install(root() / "home/.cache/huggingface/hub") / "config.json");
  EXPECT_EQ(Error("owner/name"),
            std::string("owner/name: the download is incomplete: there is no "
                        "home/.cache/huggingface/hub/models--owner--name/snapshots/") +
                kRevision +
                "/config.json; download it with: hf download owner/name --exclude \"*.bin\" (from: "
                "pip install "
                "huggingface_hub)");
}

TEST_F(ModelLocatorTest, AReferenceCannotLeadOutOfTheCache) {
  for (const char* reference : {"../../../../x", "", "a/b", ".."}) {
    Install(root() / "home/.cache/huggingface/hub", reference);
    EXPECT_EQ(Error("owner/name"),
              "home/.cache/huggingface/hub/models--owner--name/refs/main: expected the name of a "
              "snapshot");
  }
}

TEST_F(ModelLocatorTest, OtherNamesCanOnlyBeFolders) {
  for (const char* name : {"tiny", "./owner/name", "../owner/name", "owner/name/more",
                           "owner/na me", "/owner/name", "owner/", "owner/.."}) {
    const std::string folder = *name == '/' ? name : std::string("base/") + name;
    EXPECT_EQ(Error(name), std::string(name) + ": no such model: there is no folder " + folder);
  }
  EXPECT_EQ(Error(""), "model: expected a folder or a Hugging Face id, found an empty name");
  WriteText(root(), "file", "x");
  EXPECT_EQ(Error("../file"), "../file: no such model: there is no folder base/../file");
}

}  // namespace
}  // namespace daq
