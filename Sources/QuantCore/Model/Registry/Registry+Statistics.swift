extension Registry {
  /// The format of files of `StoredStatistics`.
  /// - Throws: `Failure` if no registered format holds arbitrary tensors.
  package func statisticsFormat() throws(Failure) -> any CheckpointFormat.Type {
    for format in formats where format.holdsAnyTensors { return format }
    throw Failure(
      .unsupported, "stats.format", "no format of this program can hold statistics",
      remedy: "Give \(setting: "calibration") instead of \(setting: "stats").")
  }
}
