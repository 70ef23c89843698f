/// A quantized linear layer, as a packing describes it to the clients of a checkpoint.
public struct QuantizedModule: Sendable {
  /// Name of the layer: that of its weight, without `.weight`.
  public var name: String
  public var scheme: any Scheme
  /// Nil if inputs are not rounded.
  public var activations: ActivationScheme?
  /// Id of the packing that holds it; nil: the packing whose `configuration` is called.
  public var packing: String?

  public init(name: String, scheme: any Scheme, activations: ActivationScheme? = nil, packing: String? = nil) {
    self.name = name
    self.scheme = scheme
    self.activations = activations
    self.packing = packing
  }

  /// The name of a layer from that of its weight.
  public static func name(ofWeight name: String) -> String {
    name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : name
  }

  /// Whether clients make a linear layer of a folder's tensor: by its role in the model, or by its name if no family knows the model.
  public static func isLinear(_ name: String, shape: [Int], id: TensorID?, model: ModelDescription?) -> Bool {
    guard shape.count == 2, name.hasSuffix(".weight") else { return false }
    if let id, let model {
      let kind = model.kind(of: id)
      return id.role == .output || (id.block == nil ? kind == .projection : kind?.isWeight == true)
    }
    // Clients need a list of every layer that is not quantized: an extra table in it is harmless, but they look for the codes of a layer
    // that is missing from it.
    let module = name.dropLast(".weight".count).split(separator: ".").last ?? ""
    return !module.contains("norm") && (!module.contains("embed") || module.contains("proj") || module == "embed_out")
  }
}
