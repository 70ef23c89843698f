/// A format that holds low-rank adapters.
public protocol AdapterFormat: CheckpointFormat {
  /// The tensors of an adapter, with their names and shapes in this format: for each weight A, then B.
  /// - Throws: `Failure` if the format has no place for some of it.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor]
  /// Name of the scheme that stores the numbers of an adapter in so many bits.
  /// - Parameter columns: length of the rows.
  /// - Returns: nil if clients of the format read no such numbers.
  static func scheme(bits: Int, columns: Int) -> String?
  /// Whether an adapter can change stacked experts.
  static var holdsStacks: Bool { get }
}

extension AdapterFormat {
  public static func scheme(bits: Int, columns: Int) -> String? { bits == 16 ? "f16" : nil }
  public static var holdsStacks: Bool { false }

  /// Where an adapter lies that belongs to an output: the name of a folder inside it, or of a file beside it.
  /// - Parameter output: path of the output.
  public static func companionName(of output: String) -> String {
    isFolder ? "adapter" : Files.stem(of: output) + ".lora" + (fileExtensions.first.map { "." + $0 } ?? "")
  }
}
