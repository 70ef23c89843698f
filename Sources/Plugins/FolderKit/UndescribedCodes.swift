import QuantCore

/// Codes in a folder that does not say how its weights are quantized. Clients take them for weights, or use random ones instead.
enum UndescribedCodes {
  /// Ends of the names that packed codes have.
  private static let packed = [".qweight", ".weight_packed"]

  static func findings(_ stored: [CheckpointTensor], unpackers: [any Unpacker]) -> [Finding] {
    let codes = stored.map(\.name).filter { name in packed.contains { name.hasSuffix($0) } } + stored.filter(isCode).map(\.name)
    guard !codes.isEmpty else { return [] }
    let traces = unpackers.first { unpacker in
      type(of: unpacker).traces.contains { trace in stored.contains { $0.name.contains(trace) } }
    }
    let method = traces.map { " (they look like those of \(type(of: $0).id))" } ?? ""
    return Finding.grouped(
      .error, "quantization.missing", "holds codes\(method), but no configuration says how weights are quantized", in: codes,
      remedy: "Give the config.json with its quantization_config with \(setting: "config"), or the unquantized model.")
  }

  /// Whether a weight has a type in which only codes are stored.
  private static func isCode(_ tensor: CheckpointTensor) -> Bool {
    guard tensor.name.hasSuffix(".weight"), tensor.shape.count >= 2, let type = tensor.storage.elementType else { return false }
    return !type.isFloat || type.needsScale
  }
}
