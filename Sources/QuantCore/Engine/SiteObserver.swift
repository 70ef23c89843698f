/// Sees what flows into the linear layers of a block.
public protocol SiteObserver: AnyObject {
  /// Called for every site in a fixed order, with inputs `[tokens, channels]` that are valid only during the call. A long
  /// batch arrives in several panels, cut by the data alone.
  func observe(_ site: Site, _ panel: Panel)
}

/// Changes what flows through the sites of a block, as a program does that computes with rounded activations.
public protocol SiteRounding: Sendable {
  /// Rounds values `[rows, columns]`, each row those of one token, in place. Called after the observer, for the inputs of
  /// linear layers and for keys and values before they are used. The result for a token must not depend on what else is in
  /// the batch.
  func round(_ site: Site, block: Int, _ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel)
}
