/// A text table whose columns are as wide as their widest cells. Control characters in cells are escaped.
struct Table {
  enum Alignment: Sendable { case left, right }

  private let titles: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  init(_ columns: [(title: String, alignment: Alignment)]) {
    titles = columns.map { $0.title }
    alignments = columns.map { $0.alignment }
  }

  /// Adds a row; missing cells are empty.
  mutating func add(_ cells: [String]) {
    rows.append(titles.indices.map { $0 < cells.count ? Wording.printable(cells[$0]) : "" })
  }

  /// One line per row, each ended by a line feed, without trailing spaces.
  /// - Parameter style: makes the titles bold if it colours.
  func text(style: Style = .plain) -> String {
    var widths = titles.map { $0.count }
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    var text = style.bold(line(titles, widths)) + "\n"
    for row in rows { text += line(row, widths) + "\n" }
    return text
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      if column > 0 { text += "  " }
      text += alignments[column] == .right ? cell.leftPadded(to: widths[column]) : cell.padded(to: widths[column])
    }
    while text.last == " " { text.removeLast() }
    return text
  }
}
