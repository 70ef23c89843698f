/// One kind of values that is stored for a site.
public enum StatisticsField: String, Sendable, CaseIterable {
  case meanAbsolute = "mean_absolute"
  case meanSquare = "mean_square"
  case minimum
  case maximum
  case gram

  /// The statistic that it belongs to.
  package var statistic: Statistic {
    switch self {
    case .meanAbsolute: .meanAbsolute
    case .meanSquare: .meanSquare
    case .minimum, .maximum: .range
    case .gram: .gram
    }
  }

  package func shape(channels: Int) -> [Int] { self == .gram ? [channels, channels] : [channels] }

  package func values(of statistics: SiteStatistics) -> [Float] {
    switch self {
    case .meanAbsolute: statistics.meanAbsolute
    case .meanSquare: statistics.meanSquare
    case .minimum: statistics.minimum
    case .maximum: statistics.maximum
    case .gram: statistics.gram
    }
  }

  func set(_ values: [Float], in statistics: inout SiteStatistics) {
    switch self {
    case .meanAbsolute: statistics.meanAbsolute = values
    case .meanSquare: statistics.meanSquare = values
    case .minimum: statistics.minimum = values
    case .maximum: statistics.maximum = values
    case .gram: statistics.gram = values
    }
  }
}

extension Statistic {
  /// Whether a file of statistics can hold it.
  public var isStored: Bool { StatisticsField.allCases.contains { $0.statistic == self } }
}

/// What was observed at every site of every block of a model, read from a file block by block.
///
/// The file is a checkpoint of a format that holds arbitrary tensors, with text metadata: for block N and a site,
/// `blocks.N.SITE.tokens` (I64) and `blocks.N.SITE.FIELD` (F32) with the fields of `StatisticsField`; the same without `blocks.N.` for
/// what the output matrix reads. The metadata says what the statistics belong to (`Key`).
public struct StoredStatistics: Sendable {
  /// Metadata of the file. Each value is a string, and each key is preceded by `qconvert.`.
  package enum Key: String {
    /// Version of this layout.
    case version = "statistics"
    /// Fingerprint of the model that was run.
    case model = "statistics.model"
    /// What was collected, separated by spaces.
    case kinds = "statistics.kinds"
    /// Text that was run: origin, windows, tokens per window, tokens of the whole text, hash of the tokens.
    case text = "statistics.text"

    package var stored: String { "qconvert." + rawValue }
  }

  /// The layout that this program writes, and the only one that it reads. In layout 1, the fingerprint did not cover all
  /// hyperparameters; layout 2 had nothing about the output matrix.
  package static let version = "3"

  /// The text that was run; without its tokens.
  public let calibration: CalibrationWindows
  /// What was collected.
  public let kinds: Set<Statistic>
  private let model: String
  private let checkpoint: Checkpoint

  /// - Throws: `Failure` `stats.…` if the file is not a file of statistics, or has another version.
  package init(_ checkpoint: Checkpoint) throws(Failure) {
    func value(_ key: Key) -> String? { checkpoint.metadata[key.stored]?.stringValue }
    guard let version = value(.version) else {
      throw Failure(
        .data, "stats.kind", "is not a file of statistics", file: checkpoint.path, remedy: "Give a file that \(command: "calibrate") wrote."
      )
    }
    guard version == StoredStatistics.version else {
      throw Failure(
        .data, "stats.version", "has layout \(version), but this program reads layout \(StoredStatistics.version)", file: checkpoint.path,
        remedy: "Collect the statistics again with \(command: "calibrate").")
    }
    guard let model = value(.model), let kinds = value(.kinds), let text = value(.text),
      let calibration = CalibrationWindows(stored: text)
    else {
      throw Failure(
        .data, "stats.metadata", "does not say what was collected, and on which text", file: checkpoint.path,
        remedy: "Collect the statistics again with \(command: "calibrate").")
    }
    self.model = model
    self.kinds = Set(kinds.split(separator: " ").compactMap { Statistic(rawValue: String($0)) })
    self.calibration = calibration
    self.checkpoint = checkpoint
  }

  /// Refuses statistics of another model, or without what is needed.
  package func check(model fingerprint: String, requirements: Set<Statistic>) throws(Failure) {
    guard fingerprint == model else {
      throw Failure(
        .data, "stats.other-model", "was collected on another model", file: checkpoint.path,
        remedy: "Collect statistics of this model with \(command: "calibrate").")
    }
    let missing = Statistic.allCases.filter { requirements.contains($0) && !kinds.contains($0) }
    if let unstored = missing.first(where: { !$0.isStored }) {
      throw Failure(
        .unsupported, "stats.not-stored", "the methods ask for \(unstored.rawValue), which no file can hold", file: checkpoint.path,
        remedy: "Convert with \(setting: "calibration") instead.")
    }
    guard missing.isEmpty else {
      throw Failure(
        .data, "stats.missing", "lacks \(missing.map { $0.rawValue }.joined(separator: ", ")), which the methods ask for",
        file: checkpoint.path, remedy: "Collect the statistics again with \(command: "calibrate"), \(setting: "for") and these methods.")
    }
  }

  /// The statistics that a run that collects `wanted` would have found in a block.
  /// - Parameters:
  ///   - block: nil: outside of the blocks.
  ///   - sites: each with its number of channels.
  /// - Throws: `Failure` `stats.shape` if a site is missing or has another width, `stats.value` for values that are not finite.
  package func statistics(block: Int?, sites: [(site: Site, channels: Int)], wanted: Set<Statistic>) throws(Failure) -> [Site:
    SiteStatistics]
  {
    var result: [Site: SiteStatistics] = [:]
    for (site, channels) in sites {
      var statistics = SiteStatistics(channels: channels)
      statistics.tokens = try tokens(block, site)
      if statistics.tokens == 0 { continue }
      for field in StatisticsField.allCases where wanted.contains(field.statistic) {
        let name = StoredStatistics.name(block, site, field.rawValue)
        guard let tensor = checkpoint[name], tensor.shape == field.shape(channels: channels), tensor.storage.elementType == .f32 else {
          throw Failure(
            .data, "stats.shape", "is missing, or not F32 of shape \(field.shape(channels: channels))", file: checkpoint.path, tensor: name,
            remedy: "Collect the statistics again with \(command: "calibrate").")
        }
        let values = tensor.matrix().values
        guard values.allSatisfy({ $0.isFinite }) else {
          throw Failure(
            .data, "stats.value", "holds values that are not finite", file: checkpoint.path, tensor: name,
            remedy: "Collect the statistics again: the file is damaged.")
        }
        field.set(values, in: &statistics)
      }
      statistics.deriveMeanSquare()
      result[site] = statistics
    }
    return result
  }

  private func tokens(_ block: Int?, _ site: Site) throws(Failure) -> Int {
    let name = StoredStatistics.name(block, site, "tokens")
    guard let bytes = checkpoint[name]?.storage.verbatim, bytes.count == 8, let count = Int(exactly: try ByteReader(bytes).first()),
      count >= 0
    else {
      throw Failure(
        .data, "stats.shape", "is missing, or not a single I64 value", file: checkpoint.path, tensor: name,
        remedy: "Collect the statistics again with \(command: "calibrate").")
    }
    return count
  }

  package static func name(_ block: Int?, _ site: Site, _ field: String) -> String {
    (block.map { "blocks.\($0)." } ?? "") + "\(site.name).\(field)"
  }
}

extension ByteReader {
  /// The first eight bytes as a signed integer.
  fileprivate func first() throws(Failure) -> Int64 {
    var reader = self
    return Int64(bitPattern: try reader.u64())
  }
}

extension SiteStatistics {
  /// Computes mean squares from the diagonal of the Gram matrix, if they were not collected separately.
  package mutating func deriveMeanSquare() {
    guard meanSquare.isEmpty, !gram.isEmpty else { return }
    meanSquare = (0..<channels).map { gram[$0 * channels + $0] / Float(max(1, tokens)) }
  }
}
