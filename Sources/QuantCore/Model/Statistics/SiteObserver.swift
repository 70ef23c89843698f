/// Sees what flows into the linear layers of a block.
public protocol SiteObserver: AnyObject {
  /// Called for every site in a fixed order, with inputs `[tokens, channels]` that are valid only during the call. A long
  /// batch arrives in several panels, cut by the data alone.
  func observe(_ site: Site, _ panel: Panel)
}
