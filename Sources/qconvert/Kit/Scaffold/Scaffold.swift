import ArgumentParser
import QuantCore
import QuantPlatform

/// A Swift package with a plug-in that works.
///
/// The packages in `Examples` are what this writes, so that building them tests it.
struct Scaffold {
  enum Kind: String, ExpressibleByArgument, CaseIterable, Sendable {
    case method, scheme, packing, format, family
  }

  /// The id of the plug-in and the name of the package: `clip-search`.
  let name: String
  /// The name in types: `ClipSearch`.
  let camel: String
  let kind: Kind
  /// The dependency on qconvert as Package.swift declares it.
  let dependency: String

  /// - Throws: `Failure` of kind usage for a name that is none, or is taken; of kind noInput where qconvert is not there.
  init(name: String, kind: Kind, qconvert: String, registry: Registry) throws(Failure) {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    let isWord = { (word: Substring) in !word.isEmpty && word.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789".contains($0) } }
    guard name.count <= 40, name.first?.isLetter ?? false, words.allSatisfy(isWord) else {
      throw Failure(
        .usage, "scaffold.name", "'\(name)' is no name for a plug-in",
        remedy: "Use lower-case letters, digits and single hyphens, with a letter first and at most 40 in all.")
    }
    let taken = registry.plugins.filter { $0.axis.rawValue == kind.rawValue }.map { $0.id } + ["quantization", "activation"]
    guard !taken.contains(name) else {
      throw Failure(.usage, "scaffold.taken", "there is a \(kind.rawValue) '\(name)' already", remedy: "Choose another name.")
    }
    self.name = name
    self.kind = kind
    camel = words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    dependency = try Scaffold.dependency(qconvert)
  }

  private static func dependency(_ qconvert: String) throws(Failure) -> String {
    if qconvert.contains("://") { return ".package(url: \(JSON.string(qconvert).text()), branch: \"main\")" }
    guard Files.exists(Files.join(qconvert, "Package.swift")) else {
      throw Failure(
        .noInput, "scaffold.qconvert", "holds no Package.swift", file: qconvert, remedy: "Give the folder of qconvert's sources.")
    }
    // The package is a folder in the current one.
    let path = qconvert.hasPrefix("/") ? qconvert : Files.join("..", qconvert)
    return ".package(name: \"qconvert\", path: \(JSON.string(path).text()))"
  }

  /// The plug-in's type: `ClipSearchMethod`.
  var type: String { camel + kind.rawValue.prefix(1).uppercased() + kind.rawValue.dropFirst() }
  var module: String { camel + "Plugin" }

  /// The plug-in and its tests.
  private var contents: (source: String, tests: String) {
    switch kind {
    case .method: (method, methodTests)
    case .scheme: (scheme, schemeTests)
    case .packing: (packing, packingTests)
    case .format: (format, formatTests)
    case .family: (family, familyTests)
    }
  }

  /// Paths within the package, and contents.
  var files: [(path: String, text: String)] {
    [
      ("Package.swift", package),
      ("README.md", readme),
      ("Sources/\(module)/\(type).swift", contents.source),
      ("Sources/qconvert-\(name)/main.swift", program),
      ("Tests/\(module)Tests/\(type)Tests.swift", contents.tests),
    ]
  }

  /// Writes the package into a new folder in the current one.
  /// - Throws: `Failure` of kind cannotCreate where something of this name is there; then nothing is changed.
  func write() throws {
    guard mkdir(name, 0o777) == 0 else {
      let message = errno == EEXIST ? "exists already" : "cannot be created: \(String(cString: strerror(errno)))"
      throw Failure(.cannotCreate, "output.exists", message, file: name, remedy: "Choose another name, or another folder.")
    }
    for (path, text) in files {
      var folder = name
      for part in path.split(separator: "/").dropLast() {
        folder = Files.join(folder, String(part))
        mkdir(folder, 0o777)
      }
      let bytes = Array(text.utf8)
      let layout = OutputLayout(isFolder: false, files: [.init(name: "", size: bytes.count, literals: [(0, bytes)])], placements: [])
      try OutputTransaction(layout: layout, target: Files.join(name, path), force: false, inputs: []).commit()
    }
  }
}
