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

  /// A chain with the methods that belong in front of its methods.
  /// - Throws: `Failure` of kind usage for an unknown method or option.
  public func completed(_ chain: [(id: String, options: [String: String])]) throws -> [(id: String, options: [String: String])] {
    var result: [(id: String, options: [String: String])] = []
    var changesWeights = false
    for given in chain {
      let method = try method(given)
      let front = method.companions.filter { companion in methods.contains { $0.id == companion.id } }
      if !changesWeights, !front.isEmpty {
        result += front
        changesWeights = true
      }
      if method.stages.contains(.transform) { changesWeights = true }
      result.append(given)
    }
    return result
  }

  /// - Throws: `Failure` of kind usage for an unknown method or option.
  package func method(_ given: (id: String, options: [String: String])) throws -> any QuantizationMethod {
    let type = try method(given.id)
    return try type.init(OptionValues(given.options, declarations: type.options, plugin: given.id))
  }
}
