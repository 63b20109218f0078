#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// What a download must be. An empty sha256 or 0 bytes: not known.
struct DownloadSource {
  std::string name;  // of an archive: its file name; of a plain file: empty
  std::string url;
  std::string sha256;  // 64 lower-case hexadecimal digits
  std::int64_t bytes = 0;

  bool operator==(const DownloadSource&) const = default;
};

// One file of a dataset, got by itself from `url`, or as the member `member` of the archive
// `archive`.
struct DatasetFile {
  std::string name;  // unique in its dataset: "wiki.test.raw"
  std::string path;  // below the data folder, relative, without "..": "wikitext2/wiki.test.raw"
  std::string sha256;
  std::int64_t bytes = 0;
  std::string url;
  std::string archive;
  std::string member;

  bool operator==(const DatasetFile&) const = default;
};

struct Dataset {
  std::string name;
  std::string title;
  std::string licence;
  std::string homepage;
  std::vector<DownloadSource> archives;
  std::vector<DatasetFile> files;

  const DatasetFile* FindFile(std::string_view file) const;  // nullptr if it has no such file
  // Throws InputError that names the files it has.
  const DatasetFile& RequireFile(std::string_view file) const;
};

struct DatasetTable {
  std::vector<Dataset> datasets;

  const Dataset* Find(std::string_view name) const;  // nullptr for an unknown name
  // Throws InputError that names the datasets there are.
  const Dataset& Require(std::string_view name) const;
};

// Reads a table as configs/datasets.yaml describes it. `file` names it in messages. Throws
// InputError, with line and key, for anything that the description there does not allow.
DatasetTable ReadDatasetTable(const std::string& yaml, const std::string& file);

// configs/datasets.yaml as it was when the program was built.
const DatasetTable& Datasets();

// The one folder that dataset files are in, and that `fetch` writes to: --data DIR (empty: not
// given), else DAQ_BENCH_DATA if set, else ./data.
std::filesystem::path DataFolder(const std::filesystem::path& data_flag);

// That file's path in the data folder. Throws InputError if it is not there, with the command that
// gets it, and for a dataset or file that the table does not have, naming those it has.
std::filesystem::path FindDatasetFile(const DatasetTable& table, std::string_view dataset,
                                      std::string_view file, const std::filesystem::path& folder);

}  // namespace daq
