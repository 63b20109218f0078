#include "harness/fetch.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "harness/zip_member.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

// Bytes that no range of them repeats, so that a wrong join shows.
std::string Content(std::size_t size) {
  std::string content;
  while (content.size() < size) content += std::to_string(content.size()) + ' ';
  content.resize(size);
  return content;
}

void WriteZip(const std::filesystem::path& path,
              const std::vector<std::pair<std::string, std::string>>& members) {
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, content] : members) {
    zip_source_t* source = zip_source_buffer(zip, content.data(), content.size(), 0);
    ASSERT_GE(zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8), 0);
  }
  ASSERT_EQ(zip_close(zip), 0);
}

class FetchTest : public testing::Test {
 protected:
  FetchTest()
      : server_({"python3", std::string(DAQ_SOURCE_DIR) + "/tests/tools/http_server.py",
                 served_.path().string()}) {
    port_ = server_.ReadLine();
    table_.datasets.push_back(
        {.name = "d", .title = {}, .licence = {}, .homepage = {}, .archives = {}, .files = {}});
    data_ = folder_.path() / "data";
    WriteText(served_.path(), "f", content_);
  }
  ~FetchTest() override { RequestInterrupt(false); }

  std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + port_ + "/" + path;
  }

  // A table of the one file d/f, served by the server in `mode`.
  void Offer(const std::string& mode, const std::string& sha256, std::int64_t bytes) {
    table_.datasets[0].files = {{.name = "f",
                                 .path = "d/f",
                                 .sha256 = sha256,
                                 .bytes = bytes,
                                 .url = Url(mode + "/f"),
                                 .archive = {},
                                 .member = {}}};
  }
  void Offer(const std::string& mode) {
    Offer(mode, Sha256Hex(content_), static_cast<std::int64_t>(content_.size()));
  }

  std::vector<FetchedFile> Fetch() { return FetchDataset(table_, "d", data_, callback_, options_); }
  std::string FetchMessage() {
    return MessageOf([&] { Fetch(); });
  }

  std::string Requests() const { return ReadFile(served_.path() / "requests.log"); }

  TemporaryFolder served_;
  TemporaryFolder folder_;
  ChildProcess server_;
  std::string port_;
  const std::string content_ = Content(300000);
  std::filesystem::path data_;
  DatasetTable table_;
  FetchOptions options_;
  FetchCallback callback_;
};

TEST_F(FetchTest, BringsAFile) {
  Offer("plain");
  std::vector<FetchProgress> seen;
  callback_ = [&](const FetchProgress& progress) { seen.push_back(progress); };
  const auto fetched = Fetch();
  ASSERT_EQ(fetched.size(), 1U);
  EXPECT_EQ(fetched[0].path, data_ / "d/f");
  EXPECT_EQ(fetched[0].sha256, Sha256Hex(content_));
  EXPECT_FALSE(fetched[0].already_there);
  EXPECT_TRUE(fetched[0].published);
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f.part"));
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f.sha256"));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().file, "f");
  EXPECT_EQ(seen.back().bytes_done, 300000);
  EXPECT_EQ(seen.back().bytes_total, 300000);
}

TEST_F(FetchTest, FollowsRedirects) {
  Offer("redirect/redirect/plain");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, ReadsAnAnswerOfUnknownLength) {
  Offer("chunked");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, LeavesAGoodFileAlone) {
  Offer("status-500");
  WriteText(data_, "d/f", content_);
  const auto fetched = Fetch();
  EXPECT_TRUE(fetched.at(0).already_there);
  EXPECT_FALSE(std::filesystem::exists(served_.path() / "requests.log"));
}

TEST_F(FetchTest, NeverTouchesAWrongFile) {
  Offer("plain");
  std::string wrong = content_;
  wrong[7] = 'x';
  const auto path = WriteText(data_, "d/f", wrong);
  EXPECT_EQ(FetchMessage(), path.string() + ": expected sha256 " + Sha256Hex(content_) +
                                ", found " + Sha256Hex(wrong) +
                                "; the file was not touched: move it away to fetch it");
  EXPECT_EQ(ReadFile(path), wrong);
  WriteText(data_, "d/f", "short");
  EXPECT_EQ(
      FetchMessage(),
      path.string() +
          ": expected 300000 bytes, found 5; the file was not touched: move it away to fetch it");
  EXPECT_FALSE(std::filesystem::exists(served_.path() / "requests.log"));
}

TEST_F(FetchTest, ResumesWhereThePartEnds) {
  Offer("plain");
  WriteText(data_, "d/f.part", content_.substr(0, 123456));
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  EXPECT_EQ(Requests(), "GET /plain/f range=bytes=123456-\n");
}

TEST_F(FetchTest, ResumesThroughARedirect) {
  Offer("redirect/plain");
  WriteText(data_, "d/f.part", content_.substr(0, 10));
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, StartsAnewIfTheServerIgnoresRanges) {
  Offer("no-range");
  WriteText(data_, "d/f.part", content_.substr(0, 1000));
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  EXPECT_EQ(Requests(), "GET /no-range/f range=bytes=1000-\n");
}

TEST_F(FetchTest, AsksForNothingIfThePartIsWhole) {
  Offer("status-500");
  WriteText(data_, "d/f.part", content_);
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, DropsAPartThatIsLongerThanTheFile) {
  Offer("plain");
  WriteText(data_, "d/f.part", content_ + "more");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  // The same where only the server knows the size: it refuses the range.
  std::filesystem::remove(data_ / "d/f");
  Offer("plain", Sha256Hex(content_), 0);
  WriteText(data_, "d/f.part", content_ + "more");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, RefusesARangeThatBeginsElsewhere) {
  Offer("wrong-range", Sha256Hex(content_), 0);
  WriteText(data_, "d/f.part", content_.substr(0, 1000));
  EXPECT_EQ(FetchMessage(),
            Url("wrong-range/f") +
                ": asked for the bytes from 1000 on, the server sends those from 1001 on");
  EXPECT_EQ(ReadFile(data_ / "d/f.part"), content_.substr(0, 1000));
}

TEST_F(FetchTest, TakesUpABrokenConnection) {
  Offer("cut-100000");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  EXPECT_EQ(Requests(),
            "GET /cut-100000/f range=None\nGET /cut-100000/f range=bytes=100000-\nGET "
            "/cut-100000/f range=bytes=200000-\n");
}

TEST_F(FetchTest, ABrokenConnectionLeavesAPartForTheNextTime) {
  Offer("cut-100000");
  options_.attempts = 1;
  const std::string message = FetchMessage();
  EXPECT_EQ(message, Url("cut-100000/f") + ": transfer closed with 200000 bytes remaining to read");
  EXPECT_EQ(ReadFile(data_ / "d/f.part"), content_.substr(0, 100000));
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f"));
  Offer("plain");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, GivesUpAConnectionThatBringsNothing) {
  Offer("cut-0");
  EXPECT_EQ(FetchMessage(),
            Url("cut-0/f") + ": transfer closed with 300000 bytes remaining to read");
  EXPECT_EQ(Requests(), "GET /cut-0/f range=None\n");
}

TEST_F(FetchTest, KeepsWrongContentAside) {
  const std::string good = Content(300001).substr(1);
  Offer("plain", Sha256Hex(good), 300000);
  EXPECT_EQ(FetchMessage(), Url("plain/f") + ": expected sha256 " + Sha256Hex(good) + ", found " +
                                Sha256Hex(content_) + "; what came is kept as " +
                                (data_ / "d/f.bad").string() + ", fetch again to try anew");
  EXPECT_EQ(ReadFile(data_ / "d/f.bad"), content_);
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f.part"));
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f"));
}

TEST_F(FetchTest, RefusesAWrongSizeBeforeBringingIt) {
  Offer("plain", Sha256Hex(content_), 299999);
  EXPECT_EQ(FetchMessage(), Url("plain/f") + ": expected 299999 bytes, the server offers 300000");
  EXPECT_EQ(ReadFile(data_ / "d/f.part"), "");
}

TEST_F(FetchTest, NamesTheReasonOfAFailure) {
  Offer("status-404");
  EXPECT_EQ(FetchMessage(), Url("status-404/f") + ": the server answers with HTTP status 404");
  Offer("status-503");
  EXPECT_EQ(FetchMessage(), Url("status-503/f") + ": the server answers with HTTP status 503");
  EXPECT_EQ(ReadFile(data_ / "d/f.part"), "") << "an error page is no content";
  Offer("loop");
  EXPECT_EQ(FetchMessage(), Url("loop/f") + ": Maximum (10) redirects followed");
  table_.datasets[0].files[0].url = "file:///etc/hostname";
  EXPECT_EQ(FetchMessage(),
            "file:///etc/hostname: Protocol \"file\" not supported or disabled in libcurl");
  table_.datasets[0].files[0].url = "http://127.0.0.1:1/f";  // nothing listens there
  EXPECT_TRUE(
      FetchMessage().starts_with("http://127.0.0.1:1/f: Failed to connect to 127.0.0.1 port 1"))
      << FetchMessage();
}

TEST_F(FetchTest, AnInterruptLeavesAPart) {
  Offer("plain");
  RequestInterrupt(true);
  EXPECT_THROW(Fetch(), Interrupted);
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/f"));
  RequestInterrupt(false);
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
}

TEST_F(FetchTest, TheCallbackMayThrow) {
  Offer("plain");
  callback_ = [](const FetchProgress&) { throw std::runtime_error("enough"); };
  EXPECT_EQ(FetchMessage(), "enough");
}

TEST_F(FetchTest, RecordsAHashThatIsNotPublished) {
  Offer("plain", "", 0);
  EXPECT_FALSE(Fetch().at(0).published);
  EXPECT_EQ(ReadFile(data_ / "d/f.sha256"), Sha256Hex(content_) + "  f\n");
  EXPECT_TRUE(Fetch().at(0).already_there);
  // From now on the file is held to it.
  WriteText(data_, "d/f", "changed");
  EXPECT_EQ(FetchMessage(), (data_ / "d/f").string() + ": expected sha256 " + Sha256Hex(content_) +
                                ", found " + Sha256Hex(std::string_view("changed")) +
                                "; the file was not touched: move it away to fetch it");
}

TEST_F(FetchTest, APartIsNotTakenUpWithoutAHash) {
  Offer("plain", "", 0);
  WriteText(data_, "d/f.part", "of another file");
  Fetch();
  EXPECT_EQ(ReadFile(data_ / "d/f"), content_);
  EXPECT_EQ(Requests(), "GET /plain/f range=None\n");
}

TEST_F(FetchTest, NamesUnknownDatasetsAndFiles) {
  Offer("plain");
  EXPECT_EQ(MessageOf([&] { FetchDataset(table_, "e", data_, callback_); }),
            "dataset: expected d, found \"e\"");
  options_.file = "g";
  EXPECT_EQ(FetchMessage(), "dataset d: file: expected f, found \"g\"");
}

TEST_F(FetchTest, BringsOneFileIfAsked) {
  Offer("plain");
  table_.datasets[0].files.push_back(table_.datasets[0].files[0]);
  table_.datasets[0].files[0].name = "other";
  table_.datasets[0].files[0].path = "d/other";
  options_.file = "f";
  EXPECT_EQ(Fetch().size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/other"));
}

class FetchArchiveTest : public FetchTest {
 protected:
  FetchArchiveTest() {
    // A member that tries to leave the folder is only a name here: nothing of the archive decides
    // where bytes go.
    WriteZip(served_.path() / "z.zip", {{"a/one", one_}, {"a/two", two_}, {"../evil", "evil"}});
    const std::string zip = ReadFile(served_.path() / "z.zip");
    table_.datasets[0].archives = {{.name = "z.zip",
                                    .url = Url("plain/z.zip"),
                                    .sha256 = Sha256Hex(zip),
                                    .bytes = static_cast<std::int64_t>(zip.size())}};
    table_.datasets[0].files = {Member("one", one_), Member("two", two_)};
  }

  static DatasetFile Member(const std::string& name, const std::string& content) {
    return {.name = name,
            .path = "d/sub/" + name,
            .sha256 = Sha256Hex(content),
            .bytes = static_cast<std::int64_t>(content.size()),
            .url = {},
            .archive = "z.zip",
            .member = "a/" + name};
  }

  const std::string one_ = Content(700000);
  const std::string two_ = "two\n";
};

TEST_F(FetchArchiveTest, UnpacksItsMembersAndIsRemoved) {
  EXPECT_EQ(Fetch().size(), 2U);
  EXPECT_EQ(ReadFile(data_ / "d/sub/one"), one_);
  EXPECT_EQ(ReadFile(data_ / "d/sub/two"), two_);
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
    files += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(files, 2);
}

TEST_F(FetchArchiveTest, IsNotFetchedIfAllMembersAreThere) {
  Fetch();
  std::filesystem::remove(served_.path() / "requests.log");
  for (const FetchedFile& file : Fetch()) EXPECT_TRUE(file.already_there);
  EXPECT_FALSE(std::filesystem::exists(served_.path() / "requests.log"));
}

TEST_F(FetchArchiveTest, BringsOnlyWhatIsMissing) {
  WriteText(data_, "d/sub/two", two_);
  const auto fetched = Fetch();
  EXPECT_EQ(fetched.at(0).path, data_ / "d/sub/two");
  EXPECT_TRUE(fetched.at(0).already_there);
  EXPECT_EQ(ReadFile(data_ / "d/sub/one"), one_);
}

TEST_F(FetchArchiveTest, ChecksItsMembers) {
  table_.datasets[0].files[1].sha256 = Sha256Hex(one_);
  EXPECT_EQ(FetchMessage(), Url("plain/z.zip") + ": a/two: expected sha256 " + Sha256Hex(one_) +
                                ", found " + Sha256Hex(two_) + "; what came is kept as " +
                                (data_ / "d/sub/two.bad").string() + ", fetch again to try anew");
  EXPECT_FALSE(std::filesystem::exists(data_ / "d/sub/two"));
}

TEST_F(FetchArchiveTest, NamesWhatIsWrongWithIt) {
  const std::filesystem::path zip = data_ / "d/z.zip";
  table_.datasets[0].files[1].member = "a/three";
  EXPECT_EQ(FetchMessage(), zip.string() + ": a/three: No such file");
  std::filesystem::remove_all(data_);
  table_.datasets[0].files[1].member = "a/two";
  table_.datasets[0].files[1].bytes = 3;
  EXPECT_EQ(FetchMessage(), zip.string() + ": a/two: expected at most 3 bytes, found more");
  std::filesystem::remove_all(data_);
  table_.datasets[0].archives[0] = {
      .name = "z.zip", .url = Url("plain/f"), .sha256 = {}, .bytes = 0};
  EXPECT_EQ(FetchMessage(), zip.string() + ": expected a zip archive: Not a zip archive");
}

TEST(ZipMemberTest, RefusesADamagedMember) {
  const TemporaryFolder folder;
  WriteZip(folder.path() / "z.zip", {{"m", Content(100000)}});
  std::string bytes = ReadFile(folder.path() / "z.zip");
  for (std::size_t at = 2000; at < 2010; ++at) bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
  const auto path = WriteText(folder.path(), "bad.zip", bytes);
  const std::string message =
      MessageOf([&] { UnpackZipMember(path, "m", folder.path() / "out", 1000000); });
  EXPECT_TRUE(message.starts_with(path.string() + ": m: "))
      << message;  // zlib's reason or libzip's "CRC error"
}

}  // namespace
}  // namespace daq
