/// Receives the inputs of the linear layers of a block.
public protocol SiteObserver: AnyObject {
  /// Called for every site in a fixed order, with inputs `[tokens, channels]` that are valid only during the call. A long batch
  /// arrives in several panels, split independently of the number of threads.
  func observe(_ site: Site, _ panel: Panel)
  /// Whether it wants `Site.attendedInput`, too, which takes time.
  var observesAttendedInputs: Bool { get }
}

extension SiteObserver {
  public var observesAttendedInputs: Bool { false }
}
