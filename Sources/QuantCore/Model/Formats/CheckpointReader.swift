/// How a file or folder is read. What can be written too is a `CheckpointFormat`.
public protocol CheckpointReader: Plugin {
  /// Extensions of files of this format without the dot; empty for a format that is a folder.
  static var fileExtensions: [String] { get }
  /// Whether the path looks like this format, judged by its first bytes or its files. Never throws: a file that cannot be
  /// read is nobody's.
  static func recognises(_ path: String) -> Bool
  /// Opens a checkpoint. Reads headers only.
  static func open(_ path: String, options: OpenOptions) throws -> Checkpoint
}

/// How to open an input.
public struct OpenOptions: Sendable {
  /// What may read a quantized folder.
  public var unpackers: [any Unpacker]
  /// Kinds of files that a folder may hold its weights in, in the order in which they are looked for.
  public var weightFormats: [any WeightFormat.Type]
  /// Path of a `config.json` to use instead of the one beside the input.
  public var configPath: String?
  /// Path of a tokenizer file or folder to use instead of the one beside the input.
  public var tokenizerPath: String?

  public init(
    unpackers: [any Unpacker] = [], weightFormats: [any WeightFormat.Type] = [], configPath: String? = nil, tokenizerPath: String? = nil
  ) {
    self.unpackers = unpackers
    self.weightFormats = weightFormats
    self.configPath = configPath
    self.tokenizerPath = tokenizerPath
  }
}

extension CheckpointReader { public static var axis: PluginAxis { .format } }
