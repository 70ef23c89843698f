import QuantCore

/// Where the result document of a conversion goes.
enum ReportPlace: Sendable, Equatable {
  /// A file beside the output, named after it with `.qconvert.json` appended.
  case beside
  case none
  case file(String)

  /// The path of the result document; nil if there is none.
  func path(output: String) -> String? {
    switch self {
    case .beside: Files.join(Files.folder(of: output), Files.lastComponent(output) + ".qconvert.json")
    case .none: nil
    case .file(let path): path
    }
  }
}
