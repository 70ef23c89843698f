extension Registry {
  /// The format of files of `StoredStatistics`.
  /// - Throws: `Failure` where the program has none that holds any tensors.
  package func statisticsFormat() throws(Failure) -> any CheckpointFormat.Type {
    for format in formats where format.holdsAnyTensors { return format }
    throw Failure(
      .unsupported, "stats.format", "no format of this program holds statistics", remedy: "Give --calibration instead of --stats.")
  }
}
