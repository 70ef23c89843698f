/// Tells the person who watches a conversion what happens.
public protocol ProgressReporter: Sendable {
  /// A stage begins; `total` is its amount of work in bytes or tokens.
  func begin(_ stage: String, total: Int)
  /// A stage comes to a block; `done` of `count` are finished, those of an earlier run included.
  func reach(_ stage: String, block done: Int, of count: Int)
  /// Part of a stage is done.
  func advance(_ stage: String, by amount: Int)
  /// Something worth knowing.
  func note(_ text: String)
  /// Something that may be wrong.
  func warn(_ text: String)
}

extension ProgressReporter {
  public func reach(_ stage: String, block done: Int, of count: Int) {}
}

/// Reports nothing.
public struct SilentProgress: ProgressReporter {
  public init() {}
  public func begin(_ stage: String, total: Int) {}
  public func advance(_ stage: String, by amount: Int) {}
  public func note(_ text: String) {}
  public func warn(_ text: String) {}
}
