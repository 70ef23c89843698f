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
  /// What to do about a finding that leaves open what the weights are, so that nothing can be computed or converted; nil: it does not.
  public var remedy: Remedy?

  public init(_ severity: Severity, _ id: String, _ message: String, tensor: String? = nil, remedy: Remedy? = nil) {
    self.severity = severity
    self.id = id
    self.message = message
    self.tensor = tensor
    self.remedy = remedy
  }

  /// The finding as one sentence with its subject.
  package var sentence: String { (tensor.map { "'\($0)' " } ?? "") + message }

  /// One finding for several tensors with the same problem, reported for the first; none if there are no tensors.
  public static func grouped(
    _ severity: Severity, _ id: String, _ message: String, in tensors: [String], remedy: Remedy? = nil
  ) -> [Finding] {
    let count = tensors.count == 1 ? "" : ", in \(tensors.count) tensors"
    return tensors.first.map { [Finding(severity, id, message + count, tensor: $0, remedy: remedy)] } ?? []
  }
}
