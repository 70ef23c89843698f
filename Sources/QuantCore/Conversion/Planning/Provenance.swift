/// What an output records about how it was made.
enum Provenance {
  /// How the output was made: what a person needs to make it again. No times, hosts or paths.
  /// - Parameter values: values that calibration finds and the output stores.
  static func facts(
    _ request: ConversionRequest, _ chain: MethodChain, _ calibration: CalibrationWindows?, _ importance: Importance?,
    values: [CalibratedValue], adapters: [String]
  ) -> [(key: String, value: String)] {
    var facts: [(key: String, value: String)] = [("qconvert.version", QuantCoreInfo.version)]
    let described = zip(request.methods, chain.methods).map { given, method in
      let options = given.options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
      return type(of: method).id + (options.isEmpty ? "" : ":" + options)
    }
    if !adapters.isEmpty { facts.append(("qconvert.adapters", adapters.joined(separator: ", "))) }
    facts.append(("qconvert.methods", described.isEmpty ? "rtn" : described.joined(separator: " ")))
    if let scheme = request.scheme { facts.append(("qconvert.scheme", scheme)) }
    if let activations = request.activations { facts.append(("qconvert.activations", activations)) }
    if let cache = request.keyValueCache { facts.append(("qconvert.kv_cache", cache)) }
    if !values.isEmpty { facts.append(("qconvert.calibrator", Set(values.map(\.calibrator.name)).sorted().joined(separator: " "))) }
    if !request.tensorRules.isEmpty { facts.append(("qconvert.tensor_rules", request.tensorRules.joined(separator: " "))) }
    if let importance { facts.append(("qconvert.importance", "xxh3-128 \(importance.fingerprint)")) }
    if let calibration {
      facts.append(
        (
          "qconvert.calibration",
          "\(calibration.origin) text, xxh3-128 \(calibration.textHash), "
            + "\(calibration.windowCount) windows of \(calibration.context) tokens, xxh3-128 \(calibration.fingerprint)"
        ))
      let propagation = chain.propagation.rawValue
      facts.append(("qconvert.propagation", request.isTrueSequential ? propagation + ", true sequential" : propagation))
    }
    if let recipe = request.recipe {
      facts += [("qconvert.recipe", recipe), ("qconvert.recipe_xxh3_128", Fingerprint.of(recipe))]
    }
    return facts
  }
}
