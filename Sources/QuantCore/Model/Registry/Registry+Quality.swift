extension Registry {
  /// The methods of a level, each with its options. Those that change weights come before those that only round.
  /// - Throws: `Failure` if a method does not know the options that it gives a level.
  public func methods(for quality: Quality) throws -> [(id: String, options: [String: String])] {
    var chain: [(id: String, options: [String: String])] = []
    var rounders = chain
    for method in methods {
      guard let options = method.qualities[quality] else { continue }
      let values = try OptionValues(options, declarations: method.options, plugin: method.id)
      if try method.init(values).stages.contains(.transform) {
        chain.append((method.id, options))
      } else {
        rounders.append((method.id, options))
      }
    }
    return chain + rounders
  }
}
