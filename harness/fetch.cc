#include "harness/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "harness/fetch_download.h"
#include "harness/zip_member.h"

namespace daq {
namespace {

std::filesystem::path WithSuffix(const std::filesystem::path& path, std::string_view suffix) {
  std::filesystem::path result = path;
  result += suffix;
  return result;
}

std::string HashFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError({path.string()}, "cannot be read");
  Sha256 hash;
  std::vector<char> piece(std::size_t{1} << 20U);
  while (in) {
    ThrowIfInterrupted();
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    hash.Update(std::string_view(piece.data(), static_cast<std::size_t>(in.gcount())));
  }
  if (in.bad()) throw InputError({path.string()}, "reading failed");
  return hash.HexDigest();
}

// What a file must be, and what is expected and found where it is not; empty where it is.
struct Mismatch {
  std::string expected;
  std::string found;
};
Mismatch Compare(const std::filesystem::path& path, std::int64_t bytes, const std::string& sha256,
                 std::string& actual) {
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  if (bytes > 0 && size != bytes) return {fmt::format("{} bytes", bytes), fmt::format("{}", size)};
  actual = HashFile(path);
  if (!sha256.empty() && actual != sha256) return {"sha256 " + sha256, actual};
  return {};
}

// The hash recorded beside a file whose hash the table does not have; empty if there is none.
std::string RecordedHash(const std::filesystem::path& file) {
  const std::filesystem::path record = WithSuffix(file, ".sha256");
  constexpr std::size_t kDigits = 64;
  return std::filesystem::exists(record) ? ReadFile(record).substr(0, kDigits) : std::string();
}

// Checks that what was brought to `part` is as expected and gives it its name; else keeps it as
// .bad. `source` is where it came from. Returns its hash.
std::string Accept(const std::filesystem::path& part, const std::filesystem::path& path,
                   std::int64_t bytes, const std::string& sha256, const std::string& source) {
  std::string actual;
  const Mismatch mismatch = Compare(part, bytes, sha256, actual);
  if (!mismatch.expected.empty()) {
    const std::filesystem::path bad = WithSuffix(path, ".bad");
    std::filesystem::rename(part, bad);
    throw InputError(
        {source},
        fmt::format("expected {}, found {}; what came is kept as {}, fetch again to try anew",
                    mismatch.expected, mismatch.found, bad.string()));
  }
  std::filesystem::rename(part, path);
  return actual;
}

class Fetcher {
 public:
  Fetcher(const Dataset& dataset, const std::filesystem::path& folder, const FetchOptions& options,
          const FetchCallback& progress)
      : dataset_(dataset), folder_(folder), options_(options), progress_(progress) {}

  std::vector<FetchedFile> Run() {
    // Files that are there are checked before anything is fetched: a wrong one is better known at
    // once.
    std::vector<const DatasetFile*> missing;
    for (const DatasetFile& file : dataset_.files) {
      if (options_.file && *options_.file != file.name) continue;
      if (std::filesystem::exists(folder_ / file.path)) {
        results_.push_back(CheckExisting(file));
      } else {
        missing.push_back(&file);
      }
    }
    for (const DownloadSource& archive : dataset_.archives) FetchArchive(archive, missing);
    for (const DatasetFile* file : missing) {
      if (file->archive.empty()) FetchFile(*file);
    }
    return std::move(results_);
  }

 private:
  FetchedFile CheckExisting(const DatasetFile& file) {
    const std::filesystem::path path = folder_ / file.path;
    const std::string expected = file.sha256.empty() ? RecordedHash(path) : file.sha256;
    std::string actual;
    const Mismatch mismatch = Compare(path, file.bytes, expected, actual);
    if (!mismatch.expected.empty()) {
      throw InputError(
          {path.string()},
          fmt::format("expected {}, found {}; the file was not touched: move it away to fetch it",
                      mismatch.expected, mismatch.found));
    }
    return Report(file, actual, true);
  }

  // Notes the hash where the table has none.
  FetchedFile Report(const DatasetFile& file, const std::string& sha256, bool already_there) {
    const std::filesystem::path path = folder_ / file.path;
    if (file.sha256.empty() && RecordedHash(path).empty()) {
      WriteFileAtomically(WithSuffix(path, ".sha256"),
                          fmt::format("{}  {}\n", sha256, path.filename().string()));
    }
    return {.path = path,
            .sha256 = sha256,
            .already_there = already_there,
            .published = !file.sha256.empty()};
  }

  // Brings a file or archive to `path` and checks it. Returns its hash.
  std::string Bring(const std::string& name, const std::string& url, std::int64_t bytes,
                    const std::string& sha256, const std::filesystem::path& path) {
    std::filesystem::create_directories(path.parent_path());
    const std::filesystem::path part = WithSuffix(path, ".part");
    DownloadRequest request;
    request.url = url;
    request.part = part;
    request.bytes = bytes;
    request.resume = !sha256.empty();
    request.connect_timeout_seconds = options_.connect_timeout_seconds;
    request.stall_timeout_seconds = options_.stall_timeout_seconds;
    request.attempts = options_.attempts;
    Download(request, [&](std::int64_t done, std::int64_t total) {
      if (progress_) progress_({.file = name, .bytes_done = done, .bytes_total = total});
    });
    return Accept(part, path, bytes, sha256, url);
  }

  void FetchFile(const DatasetFile& file) {
    const std::string sha256 =
        Bring(file.name, file.url, file.bytes, file.sha256, folder_ / file.path);
    results_.push_back(Report(file, sha256, false));
  }

  void FetchArchive(const DownloadSource& archive, const std::vector<const DatasetFile*>& missing) {
    const auto is_member = [&](const DatasetFile* file) { return file->archive == archive.name; };
    if (std::none_of(missing.begin(), missing.end(), is_member)) return;
    const std::filesystem::path path = folder_ / dataset_.name / archive.name;
    if (!IsWhole(path, archive))
      Bring(archive.name, archive.url, archive.bytes, archive.sha256, path);
    for (const DatasetFile* file : missing) {
      if (is_member(file)) Unpack(archive, path, *file);
    }
    std::filesystem::remove(path);
  }

  // An archive that an earlier run brought, but did not get to unpack.
  static bool IsWhole(const std::filesystem::path& path, const DownloadSource& archive) {
    std::string actual;
    return !archive.sha256.empty() && std::filesystem::exists(path) &&
           Compare(path, archive.bytes, archive.sha256, actual).expected.empty();
  }

  void Unpack(const DownloadSource& archive, const std::filesystem::path& archive_path,
              const DatasetFile& file) {
    // Where the size is not known: far more than any text of a dataset, far less than a disk.
    constexpr std::int64_t kMostBytes = std::int64_t{1} << 34U;
    const std::filesystem::path path = folder_ / file.path;
    const std::filesystem::path part = WithSuffix(path, ".part");
    std::filesystem::create_directories(path.parent_path());
    UnpackZipMember(archive_path, file.member, part, file.bytes > 0 ? file.bytes : kMostBytes);
    const std::string sha256 =
        Accept(part, path, file.bytes, file.sha256, archive.url + ": " + file.member);
    results_.push_back(Report(file, sha256, false));
  }

  const Dataset& dataset_;
  const std::filesystem::path& folder_;
  const FetchOptions& options_;
  const FetchCallback& progress_;
  std::vector<FetchedFile> results_;
};

}  // namespace

std::vector<FetchedFile> FetchDataset(const DatasetTable& table, std::string_view name,
                                      const std::filesystem::path& folder,
                                      const FetchCallback& progress, const FetchOptions& options) {
  const Dataset& dataset = table.Require(name);
  if (options.file) dataset.RequireFile(*options.file);
  return Fetcher(dataset, folder, options, progress).Run();
}

}  // namespace daq
