/// Something that is wrong in a checkpoint that could be opened.
public struct Finding: Sendable, Equatable {
  public enum Severity: String, Sendable {
    /// Some client refuses the checkpoint, or computes with wrong weights.
    case error
    /// Unusual, and perhaps not intended.
    case warning
  }

  public var severity: Severity
  /// Stable identifier such as `scale.not-positive`.
  public var id: String
  /// Name of the tensor, or nil if the finding is about the whole checkpoint.
  public var tensor: String?
  /// One sentence without its subject.
  public var message: String

  public init(_ severity: Severity, _ id: String, _ message: String, tensor: String? = nil) {
    self.severity = severity
    self.id = id
    self.message = message
    self.tensor = tensor
  }

  /// One finding for several tensors with the same problem, reported for the first; none if there are no tensors.
  public static func grouped(_ severity: Severity, _ id: String, _ message: String, in tensors: [String]) -> [Finding] {
    tensors.first.map { [Finding(severity, id, message + (tensors.count == 1 ? "" : ", in \(tensors.count) tensors"), tensor: $0)] } ?? []
  }
}
