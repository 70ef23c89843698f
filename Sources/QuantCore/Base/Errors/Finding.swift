/// Something that is wrong in a checkpoint that could be opened.
public struct Finding: Sendable, Equatable {
  public enum Severity: String, Sendable {
    /// Some reader refuses it, or computes with wrong numbers.
    case error
    /// Unusual, and perhaps not meant.
    case warning
  }

  public var severity: Severity
  /// Stable identifier such as `scale.not-positive`.
  public var id: String
  /// Name of the tensor, or nil where it is about the whole.
  public var tensor: String?
  /// One sentence without its subject.
  public var message: String

  public init(_ severity: Severity, _ id: String, _ message: String, tensor: String? = nil) {
    self.severity = severity
    self.id = id
    self.message = message
    self.tensor = tensor
  }

  /// What is wrong in the same way with several tensors, told of the first; nothing for none.
  public static func grouped(_ severity: Severity, _ id: String, _ message: String, in tensors: [String]) -> [Finding] {
    tensors.first.map { [Finding(severity, id, message + (tensors.count == 1 ? "" : ", in \(tensors.count) tensors"), tensor: $0)] } ?? []
  }
}
