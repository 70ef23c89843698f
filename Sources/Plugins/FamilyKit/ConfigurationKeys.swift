public import QuantCore

/// The values of a configuration, by their keys in either format.
/// GGUF keys are given without the architecture prefix. Sizes must be in 0…2³¹−1, so that products of two of them
/// cannot overflow.
public struct ConfigurationKeys: Sendable {
  /// What is read.
  public let configuration: Configuration
  /// Path of the checkpoint, for messages.
  public let path: String
  private let prefix: String

  public init(_ configuration: Configuration, path: String) {
    self.configuration = configuration
    self.path = path
    prefix = (configuration.architecture ?? "") + "."
  }

  /// Whether the model was opened from a GGUF, whose keys hold what its converter worked out.
  public var isStored: Bool { configuration.keyValues != nil }

  /// The keys of an object inside a `config.json`, such as the `text_config` of a model with a vision tower; `self` if there is none.
  public func nested(_ key: String) -> ConfigurationKeys {
    guard let inner = json(key), inner.objectValue != nil else { return self }
    return ConfigurationKeys(.huggingFace(inner), path: path)
  }

  /// The value of the JSON key, or nil for a GGUF, an absent key, or null.
  public func json(_ key: String) -> JSON? {
    guard let value = configuration.json?[key], !value.isNull else { return nil }
    return value
  }

  /// The value of the GGUF key without its prefix, or nil for a `config.json` or an absent key.
  public func metadata(_ key: String) -> MetadataValue? {
    configuration.keyValues?[prefix + key]
  }

  /// A size or a count, or nil if the configuration does not state it.
  /// - Parameters:
  ///   - skipsZeros: whether the zeros of a list with one entry per block stand for blocks without such a part.
  ///   - mayDiffer: whether the entries of such a list may differ; then the first one is the result.
  public func size(_ huggingFace: String, _ gguf: String, skipsZeros: Bool = false, mayDiffer: Bool = false) throws(Failure) -> Int? {
    if isStored {
      guard let value = metadata(gguf) else { return nil }
      return try checked(try common(value, gguf, skipsZeros: skipsZeros, mayDiffer: mayDiffer), prefix + gguf)
    }
    guard let stated = json(huggingFace) else { return nil }
    let value = mayDiffer ? stated.arrayValue?.first ?? stated : stated
    return try checked(value.doubleValue.flatMap(Int.init(exactly:)), huggingFace)
  }

  /// A size or a count that must be present and positive.
  public func positiveSize(_ huggingFace: String, _ gguf: String, mayDiffer: Bool = false) throws(Failure) -> Int {
    guard let value = try size(huggingFace, gguf, mayDiffer: mayDiffer) else { throw missing(huggingFace, gguf) }
    guard value > 0 else { throw bad(name(huggingFace, gguf), "is \(value), but must be positive") }
    return value
  }

  /// The same for a `config.json` that may use one of several keys.
  public func positiveSize(_ huggingFace: [String], _ gguf: String) throws(Failure) -> Int {
    try positiveSize(huggingFace.first { json($0) != nil } ?? huggingFace[0], gguf)
  }

  /// A finite positive number, or nil if the configuration does not state it.
  public func number(_ huggingFace: String, _ gguf: String) throws(Failure) -> Double? {
    let value: Double?
    if isStored {
      guard let stated = metadata(gguf) else { return nil }
      value = stated.doubleValue
    } else {
      guard let stated = json(huggingFace) else { return nil }
      value = stated.doubleValue
    }
    return try positive(value, name(huggingFace, gguf))
  }

  /// `value` if it is finite and positive.
  public func positive(_ value: Double?, _ key: String) throws(Failure) -> Double {
    guard let value, value.isFinite, value > 0 else { throw bad(key, "is not a positive number") }
    return value
  }

  public func missing(_ huggingFace: String, _ gguf: String) -> Failure {
    Failure(.data, "model.key-missing", "the configuration has no '\(name(huggingFace, gguf))'", file: path)
  }

  public func bad(_ key: String, _ what: String) -> Failure {
    Failure(.data, "model.key-value", "'\(key)' in the configuration \(what)", file: path)
  }

  public func unsupported(_ id: String, _ message: String) -> Failure {
    Failure(
      .unsupported, id, message, file: path, remedy: "Without calibration, it can still be converted within its format.")
  }

  public func name(_ huggingFace: String, _ gguf: String) -> String {
    isStored ? prefix + gguf : huggingFace
  }

  /// A size or count for each block. A GGUF may state one value for all blocks or a list; nil if it states neither.
  /// - Throws: `Failure` `model.key-value` for a list that does not have one entry per block.
  public func sizes(stored key: String, blocks: Int) throws(Failure) -> [Int]? {
    let values: [Int]
    switch metadata(key) {
    case nil: return nil
    case .u32s(let list)?: values = list.map { Int($0) }
    case .i32s(let list)?: values = list.map { Int($0) }
    case .bools(let list)?: values = list.map { $0 ? 1 : 0 }
    case let value?: return [Int](repeating: try checked(value.intValue, prefix + key), count: blocks)
    }
    // Blocks that predict further tokens may have entries too.
    let predicting = metadata("nextn_predict_layers")?.intValue ?? 0
    guard values.count == blocks || values.count - predicting == blocks else {
      throw bad(prefix + key, "has \(values.count) values for \(blocks) blocks")
    }
    return try values.prefix(blocks).map { (value) throws(Failure) in try checked(value, prefix + key) }
  }

  private func checked(_ value: Int?, _ key: String) throws(Failure) -> Int {
    guard let value, value >= 0, value <= Int(Int32.max) else { throw bad(key, "is not a whole number from 0 to 2147483647") }
    return value
  }

  /// An integer, or the common value of an array that has one entry per block; the first one if they may differ.
  private func common(_ value: MetadataValue, _ key: String, skipsZeros: Bool, mayDiffer: Bool) throws(Failure) -> Int? {
    var values: [Int]
    switch value {
    case .u32s(let list): values = list.map { Int($0) }
    case .i32s(let list): values = list.map { Int($0) }
    default: return value.intValue
    }
    if skipsZeros, values.contains(where: { $0 != 0 }) { values.removeAll { $0 == 0 } }
    guard let first = values.first else { return nil }
    guard mayDiffer || values.allSatisfy({ $0 == first }) else {
      throw unsupported("model.blocks-differ", "'\(prefix + key)' differs between blocks")
    }
    return first
  }
}
