#include "harness/datasets.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/calibration.h"
#include "eval/protocols.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

const std::string kDigest(64, 'a');

std::string Head() { return "d:\n  title: T\n  licence: L\n  homepage: H\n"; }

// What a table of one dataset says whose files are `files` (its lines below `files:`).
std::string Message(const std::string& files) {
  return MessageOf([&] { ReadDatasetTable(Head() + "  files:\n" + files, "t.yaml"); });
}

TEST(DatasetTableTest, ReadsFilesAndArchives) {
  const DatasetTable table =
      ReadDatasetTable(Head() +
                           "  archives:\n"
                           "    z.zip: {url: 'https://x/z.zip', bytes: 12, sha256: " +
                           kDigest +
                           "}\n"
                           "  files:\n"
                           "    one: {path: d/one, url: 'https://x/one'}\n"
                           "    two: {path: d/two, archive: z.zip, member: a/two, bytes: 3}\n",
                       "t.yaml");
  ASSERT_EQ(table.datasets.size(), 1U);
  const Dataset& dataset = table.Require("d");
  EXPECT_EQ(dataset.title, "T");
  EXPECT_EQ(dataset.licence, "L");
  EXPECT_EQ(dataset.homepage, "H");
  EXPECT_EQ(dataset.archives,
            (std::vector<DownloadSource>{
                {.name = "z.zip", .url = "https://x/z.zip", .sha256 = kDigest, .bytes = 12}}));
  const DatasetFile one = {.name = "one",
                           .path = "d/one",
                           .sha256 = {},
                           .bytes = 0,
                           .url = "https://x/one",
                           .archive = {},
                           .member = {}};
  const DatasetFile two = {.name = "two",
                           .path = "d/two",
                           .sha256 = {},
                           .bytes = 3,
                           .url = {},
                           .archive = "z.zip",
                           .member = "a/two"};
  EXPECT_EQ(dataset.files, (std::vector<DatasetFile>{one, two}));
  EXPECT_EQ(table.Find("e"), nullptr);
  EXPECT_EQ(dataset.FindFile("three"), nullptr);
}

TEST(DatasetTableTest, RefusesWhatItDoesNotDescribe) {
  EXPECT_EQ(MessageOf([] { ReadDatasetTable("d: {title: T, licence: L, homepage: H}", "t.yaml"); }),
            "t.yaml:1: d.files: expected files by name, found nothing");
  EXPECT_EQ(Message("    a: {path: d/a, url: 'ftp://x/a'}\n"),
            "t.yaml:6: d.files.a.url: expected an http or https address, found \"ftp://x/a\"");
  EXPECT_EQ(Message("    a: {path: d/a}\n"),
            "t.yaml:6: d.files.a.url: expected an http or https address, found nothing");
  EXPECT_EQ(
      Message("    a: {path: d/../../a, url: 'http://x/a'}\n"),
      "t.yaml:6: d.files.a.path: expected a relative path with no \"..\", found \"d/../../a\"");
  EXPECT_EQ(Message("    a: {path: /a, url: 'http://x/a'}\n"),
            "t.yaml:6: d.files.a.path: expected a relative path with no \"..\", found \"/a\"");
  EXPECT_EQ(Message("    a: {path: a, url: 'http://x/a', sha256: ABC}\n"),
            "t.yaml:6: d.files.a.sha256: expected 64 lower-case hexadecimal digits, found \"ABC\"");
  EXPECT_EQ(Message("    a: {path: a, url: 'http://x/a', bytes: 0}\n").substr(0, 22),
            "t.yaml:6: d.files.a.by");
  EXPECT_TRUE(Message("    a: {path: a, archive: z.zip, member: m}\n")
                  .starts_with("t.yaml:6: d.files.a.archive: expected "))
      << Message("    a: {path: a, archive: z.zip, member: m}\n");
  EXPECT_EQ(Message("    a: {path: x, url: 'http://x/a'}\n    b: {path: x, url: 'http://x/b'}\n"),
            "t.yaml:7: d.files.b.path: expected a path that no other file has, found \"x\"");
}

TEST(DatasetTableTest, TheBuiltInTableIsTheFile) {
  const std::string yaml =
      ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "configs/datasets.yaml");
  const DatasetTable table = ReadDatasetTable(yaml, "configs/datasets.yaml");
  ASSERT_EQ(Datasets().datasets.size(), table.datasets.size());
  for (std::size_t i = 0; i < table.datasets.size(); ++i) {
    EXPECT_EQ(Datasets().datasets[i].name, table.datasets[i].name);
    EXPECT_EQ(Datasets().datasets[i].archives, table.datasets[i].archives);
    EXPECT_EQ(Datasets().datasets[i].files, table.datasets[i].files);
  }
}

TEST(DatasetTableTest, HasTheFileOfEveryProtocol) {
  for (const ProtocolInfo& info : EvaluationProtocols()) {
    if (info.dataset.empty()) continue;
    const DatasetFile& file = Datasets().Require(info.dataset).RequireFile(info.dataset_file);
    EXPECT_FALSE(file.sha256.empty()) << info.id;
  }
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) {
    if (protocol.dataset.empty()) continue;
    EXPECT_NO_THROW(Datasets().Require(protocol.dataset).RequireFile(protocol.dataset_file))
        << protocol.id;
  }
}

TEST(DatasetTableTest, HashesOfTheTableAreThoseOfTheFiles) {
  DAQ_REQUIRE_SHARED("data/wikitext2/wiki.test.raw");
  int checked = 0;
  for (const DatasetFile& file : Datasets().Require("wikitext2").files) {
    const auto path = SharedPath("data") / file.path;
    if (!std::filesystem::exists(path)) continue;
    EXPECT_EQ(Sha256Hex(ReadFile(path)), file.sha256) << file.name;
    EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path)), file.bytes) << file.name;
    ++checked;
  }
  EXPECT_EQ(checked, 2);  // the test and the validation split
}

TEST(FindDatasetFileTest, IsThePathInTheDataFolder) {
  const TemporaryFolder folder;
  WriteText(folder.path(), "b/wikitext2/wiki.test.raw", "x");
  EXPECT_EQ(FindDatasetFile(Datasets(), "wikitext2", "wiki.test.raw", folder.path() / "b"),
            folder.path() / "b/wikitext2/wiki.test.raw");
}

TEST(FindDatasetFileTest, SaysHowToGetAMissingFile) {
  EXPECT_EQ(
      MessageOf([&] { FindDatasetFile(Datasets(), "wikitext2", "wiki.test.raw", "no/such"); }),
      "wikitext2/wiki.test.raw: not found in the data folder no/such; get it by: daq-bench fetch "
      "wikitext2 --data no/such");
}

TEST(FindDatasetFileTest, APartOfAShardIsNotTheShard) {
  DAQ_REQUIRE_SHARED("data/c4");
  EXPECT_THROW(
      FindDatasetFile(Datasets(), "c4", "c4-validation.00000-of-00008.json.gz", SharedPath("data")),
      InputError);
}

TEST(FindDatasetFileTest, NamesWhatTheTableHas) {
  EXPECT_EQ(MessageOf([&] { FindDatasetFile(Datasets(), "ptb", "x", "data"); }),
            "dataset: expected one of wikitext2, c4, pile-val, found \"ptb\"");
  EXPECT_EQ(MessageOf([&] { FindDatasetFile(Datasets(), "wikitext", "x", "data"); }),
            "dataset: expected one of wikitext2, c4, pile-val, found \"wikitext\" (did you mean "
            "wikitext2?)");
  EXPECT_EQ(MessageOf([&] { FindDatasetFile(Datasets(), "wikitext2", "test", "data"); }),
            "dataset wikitext2: file: expected one of wiki.test.raw, wiki.valid.raw, "
            "wiki.train.raw, found \"test\"");
}

TEST(DataFolderTest, IsTheFlagElseTheVariableElseData) {
  const char* before = std::getenv("DAQ_BENCH_DATA");
  const std::string kept = before == nullptr ? "" : before;
  ::unsetenv("DAQ_BENCH_DATA");
  EXPECT_EQ(DataFolder({}), "data");
  ::setenv("DAQ_BENCH_DATA", "env", 1);
  EXPECT_EQ(DataFolder("flag"), "flag");
  EXPECT_EQ(DataFolder({}), "env");
  ::setenv("DAQ_BENCH_DATA", "", 1);
  EXPECT_EQ(DataFolder({}), "data");
  if (before != nullptr) ::setenv("DAQ_BENCH_DATA", kept.c_str(), 1);
  if (before == nullptr) ::unsetenv("DAQ_BENCH_DATA");
}

}  // namespace
}  // namespace daq
