/// Everything that can go wrong because of the input, the options or the machine.
///
/// A failure is a value that names its subject. Its wording lives in one place (`QConvertKit`), and its `kind` is the
/// exit code of the program. Only a bug has the kind `internalError`; its message asks for a report.
public struct Failure: Error, Sendable, Equatable {
  /// What a script can do about it. The raw value is the exit code.
  public enum Kind: Int32, Sendable, CaseIterable {
    /// The conversion is complete but a quality gate rejected it.
    case gate = 10
    /// `compare` found differences.
    case differs = 11
    /// The command line is wrong.
    case usage = 64
    /// The input is malformed.
    case data = 65
    /// The input is missing or unreadable.
    case noInput = 66
    /// Understood, but not supported (architecture, type, plug-in).
    case unsupported = 69
    /// A bug in qconvert.
    case internalError = 70
    /// The output cannot be created (it exists, no permission).
    case cannotCreate = 73
    /// An I/O error while running (disk full, read error, input changed).
    case io = 74
    /// Stopped early in a consistent state.
    case stopped = 75
    /// A recipe or configuration is wrong.
    case config = 78
  }

  /// Stable, documented identifier such as `st.header.json` or `convert.no-tensors`.
  public var id: String
  /// What a script can do about it.
  public var kind: Kind
  /// Path of the file the failure is about.
  public var file: String?
  /// Name of the tensor the failure is about.
  public var tensor: String?
  /// Offset in bytes from the start of `file`.
  public var byteOffset: Int?
  /// What is wrong: one sentence without the subject, which is printed before it.
  public var message: String
  /// What to do about it: one sentence, or nil if there is no sensible advice.
  public var remedy: Remedy?

  public init(
    _ kind: Kind, _ id: String, _ message: String, file: String? = nil, tensor: String? = nil, byteOffset: Int? = nil,
    remedy: Remedy? = nil
  ) {
    self.kind = kind
    self.id = id
    self.message = message
    self.file = file
    self.tensor = tensor
    self.byteOffset = byteOffset
    self.remedy = remedy
  }

  /// The same failure with the file filled in, for code that parses bytes and does not know where they came from.
  public func inFile(_ path: String) -> Failure {
    var copy = self
    if copy.file == nil { copy.file = path }
    return copy
  }

  /// The same failure with the tensor filled in.
  public func inTensor(_ name: String) -> Failure {
    var copy = self
    if copy.tensor == nil { copy.tensor = name }
    return copy
  }
}
