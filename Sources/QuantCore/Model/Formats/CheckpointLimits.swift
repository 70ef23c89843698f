/// What readers accept and writers keep to, so that no output is written that could not be read.
public enum CheckpointLimits {
  /// Tensors of one file: 61 blocks of 256 experts with three matrices, each stored in four tensors, are 187,392.
  public static let tensorsOfFile = 196_608
  /// Tensors of a model in several files.
  public static let tensors = 1_000_000

  /// - Throws: `Failure` `limit.tensor-count` for more than are ever read of one file.
  public static func check(tensorsOfFile count: Int) throws(Failure) {
    guard count > tensorsOfFile else { return }
    throw Failure(
      .unsupported, "limit.tensor-count", "a file would hold \(count) tensors; at most \(tensorsOfFile) are supported",
      remedy: "Write several files with \(setting: "shard-size").")
  }
}
