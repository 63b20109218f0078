#pragma once
#include <map>
#include <string>
#include <vector>

#include "harness/report_cells.h"

namespace daq {

// What is said below a table of a report, gathered from its cells: what each evaluation is, the
// sources of published values, and which cells failed for what reason.
class ReportRemarks {
 public:
  // A computed cell, done or failed. Rows and columns are of one manifest, which must outlive this.
  void Add(const Manifest::Row& row, const Manifest::Column& column, const ReportCell& cell);

  // Where a cell's published values are from; for cells beside which they stand.
  void AddSources(const ReportCell& cell);

  // "model (sha256 0123456789ab)", of a table of one model; without cells the name alone.
  std::string Heading(const std::string& model) const;

  // "model: sha256 0123456789ab\n", a line each, of a table of all models.
  std::vector<std::string> LinesOfModels() const;

  // Lines that end in a line feed. `about_columns`, if not empty, stands behind the evaluations.
  std::vector<std::string> Lines(const std::string& about_columns = "") const;

 private:
  // A text that is said of several models or cells.
  struct Note {
    std::string text;
    std::vector<std::string> of = {};
  };
  static void AddNote(const std::string& text, const std::string& of, std::vector<Note>* notes);

  std::vector<Note> models_;  // text: the hash's first digits
  std::map<const Manifest::Column*, std::vector<Note>> evaluations_;  // of the models
  std::vector<Note> failures_;                                        // of cells
  std::vector<std::string> sources_;
};

}  // namespace daq
