#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "base/error.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

std::string MessageOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

TEST(FileTest, WritesAtomicallyIntoNewFoldersAndReadsBack) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "a" / "b.txt";
  WriteFileAtomically(file, "one");
  WriteFileAtomically(file, std::string("two\0three", 9));
  EXPECT_EQ(ReadFile(file), std::string("two\0three", 9));
  // No temporary is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(file.parent_path()), {}), 1);
}

TEST(FileTest, NamesWhatCannotBeRead) {
  const TemporaryFolder folder;
  const std::string missing = (folder.path() / "missing").string();
  EXPECT_EQ(MessageOf([&] { ReadFile(missing); }), missing + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { ReadFile(folder.path()); }),
            folder.path().string() + ": this is a folder, expected a file");
  EXPECT_EQ(MessageOf([&] { MappedFile{missing}; }), missing + ": No such file or directory");
  std::ofstream(folder.path() / "empty").close();
  EXPECT_EQ(MessageOf([&] { MappedFile{folder.path() / "empty"}; }),
            (folder.path() / "empty").string() + ": the file is empty");
  const std::string pipe = (folder.path() / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(MessageOf([&] { ReadFile(pipe); }),
            pipe + ": this is a pipe, a socket or a device, expected a regular file");
}

TEST(FileTest, MappedBytesStayReadableAfterRelease) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "data";
  WriteFileAtomically(file, std::string(100000, 'x'));
  const MappedFile mapped(file);
  ASSERT_EQ(mapped.bytes().size(), 100000U);
  mapped.Release(mapped.bytes().subspan(10, 90000));
  for (const std::byte byte : mapped.bytes()) ASSERT_EQ(byte, std::byte{'x'});
}

TEST(FileTest, NoticesAChangeThatKeepsSizeAndModificationTime) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "data";
  WriteFileAtomically(file, "one");
  const MappedFile mapped(file);
  EXPECT_EQ(MessageOf([&] { mapped.ThrowIfChanged(); }), "no InputError");
  const FileStamp before = StampOf(file);
  // In place, again and again: the system's clock of files ticks every few milliseconds.
  while (StampOf(file).changed_ns == before.changed_ns) {
    const auto modified = std::filesystem::last_write_time(file);
    std::ofstream(file, std::ios::in) << "two";
    std::filesystem::last_write_time(file, modified);
  }
  EXPECT_EQ(StampOf(file).size, before.size);
  EXPECT_EQ(StampOf(file).modified_ns, before.modified_ns);
  const std::string changed =
      file.string() + ": the file was changed while it was in use: run again";
  EXPECT_EQ(MessageOf([&] { mapped.ThrowIfChanged(); }), changed);
  const MappedFile again(file);
  WriteFileAtomically(file, "two");
  EXPECT_EQ(MessageOf([&] { again.ThrowIfChanged(); }), changed);
}

}  // namespace
}  // namespace daq
