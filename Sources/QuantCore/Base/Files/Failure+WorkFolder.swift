extension Failure {
  /// The same failure of a run whose work folder stays, because it cannot be removed.
  package func leaving(_ work: WorkFolder) -> Failure {
    var copy = self
    copy.message += "; \(work.path) stays, because it cannot be removed"
    return copy
  }

  /// The same failure of a run that can be continued.
  package func keeping(_ work: WorkFolder) -> Failure {
    var copy = self
    copy.message += "; what is done stays in \(work.path)"
    copy.remedy = remedy ?? "Give \(setting: "resume") with the same options to continue."
    return copy
  }
}
