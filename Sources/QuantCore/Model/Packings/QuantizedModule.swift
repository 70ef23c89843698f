/// A quantized linear layer, as a packing describes it to the readers of a checkpoint.
public struct QuantizedModule: Sendable {
  /// Name of the layer: its tensor's without `.weight`.
  public var name: String
  public var scheme: any Scheme
  /// Nil where inputs are not rounded.
  public var activations: ActivationScheme?
  /// Id of the packing that holds it; nil: the one that is asked.
  public var packing: String?

  public init(name: String, scheme: any Scheme, activations: ActivationScheme? = nil, packing: String? = nil) {
    self.name = name
    self.scheme = scheme
    self.activations = activations
    self.packing = packing
  }

  /// The name of a layer by that of its weight.
  public static func name(ofWeight name: String) -> String {
    name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : name
  }

  /// Whether readers make a linear layer of a folder's tensor, by its place in the model, or by its name where no family is known.
  public static func isLinear(_ name: String, shape: [Int], id: TensorID?, model: ModelDescription?) -> Bool {
    guard shape.count == 2, name.hasSuffix(".weight") else { return false }
    if let id, let model { return id.role == .output || id.block != nil && model.kind(of: id)?.isWeight == true }
    // Readers are told of every layer that is not quantized: a table too many does no harm, and a layer too few is looked for in codes.
    let module = name.dropLast(".weight".count).split(separator: ".").last ?? ""
    return !module.contains("norm") && (!module.contains("embed") || module.contains("proj") || module == "embed_out")
  }
}
