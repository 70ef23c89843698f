import QuantCore

/// Where the result document of a conversion goes.
enum ReportPlace: Sendable, Equatable {
  /// A file beside the output, with the output's name and `.qconvert.json`.
  case beside
  case none
  case file(String)

  /// Of the result document; nil where there is none.
  func path(output: String) -> String? {
    switch self {
    case .beside: Files.join(Files.folder(of: output), Files.lastComponent(output) + ".qconvert.json")
    case .none: nil
    case .file(let path): path
    }
  }
}
