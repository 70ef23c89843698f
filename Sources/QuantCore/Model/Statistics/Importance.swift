/// How much errors in each column of a weight matrix weigh: the mean squares of its inputs on some text. llama.cpp calls it an
/// importance matrix.
public struct Importance: Sendable, Equatable {
  /// What was observed at the input of one matrix.
  public struct Entry: Sendable, Equatable {
    /// Mean x² of every input channel; for a stack of experts, those of each expert, one after another.
    public var meanSquares: [Float]
    /// Number of tokens that were seen: one count, or one for each expert.
    public var tokens: [Int]

    public init(meanSquares: [Float], tokens: [Int]) {
      self.meanSquares = meanSquares
      self.tokens = tokens
    }
  }

  /// By the names of matrices in `naming`, or in the source's naming for matrices that have no name in it.
  public var entries: [String: Entry]
  /// The naming of the entries; nil if they were not read from a file.
  public var naming: Naming?
  /// Names of the texts that were observed.
  public var texts: [String]
  /// Number of windows.
  public var windows: Int
  /// Tokens in each window; 0 if unknown.
  public var context: Int

  public init(entries: [String: Entry], texts: [String] = [], windows: Int = 0, context: Int = 0) {
    self.entries = entries
    self.texts = texts
    self.windows = windows
    self.context = context
  }

  /// The mean over the matrices of a stack that read the same site.
  static func mean(of values: [Float], columns: Int) -> [Float] {
    let count = values.count / max(1, columns)
    return (0..<columns).map { column in (0..<count).reduce(Float(0)) { $0 + values[$1 * columns + column] } / Float(max(1, count)) }
  }

  /// XXH3-128 of names and values, in hexadecimal.
  public var fingerprint: String {
    let hash = StreamHash()
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      Array(name.utf8).withUnsafeBytes { hash?.update($0) }
      entry.meanSquares.withUnsafeBytes { hash?.update($0) }
    }
    return hash?.digest().hexadecimal ?? ""
  }

  /// Refuses values that are negative or not finite.
  /// - Throws: `Failure` `importance.value` that names the matrix.
  public func check() throws(Failure) {
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      guard let index = entry.meanSquares.firstIndex(where: { !$0.isFinite || $0 < 0 }) else { continue }
      throw Failure(
        .data, "importance.value", "the mean square of channel \(index) is \(entry.meanSquares[index])", tensor: name,
        remedy: "Collect importance again: the activations were not finite, or the file is damaged.")
    }
  }
}

/// How importance is stored in a file.
public protocol ImportanceFormat: Plugin {
  /// Extensions of files that it writes, without the dot.
  static var fileExtensions: [String] { get }
  /// Whether the file looks like this format. Returns false for a file that cannot be read.
  static func recognises(_ path: String) -> Bool
  /// The naming of matrices in its files.
  static var naming: Naming { get }
  /// Reads a file.
  /// - Throws: `Failure` that says where it is malformed.
  static func read(_ path: String) throws -> Importance
  /// The bytes of a file.
  static func bytes(_ importance: Importance) throws -> [UInt8]
}

extension ImportanceFormat { public static var axis: PluginAxis { .importance } }
