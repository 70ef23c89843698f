public import QuantCore

/// Variants of a model: what is read of them, and what is refused.
extension ConfigurationKeys {
  /// The activation that a `config.json` names.
  public func activation(_ key: String, default name: String) throws(Failure) -> Activation {
    let name = json(key)?.stringValue ?? name
    switch name {
    case "relu": return .relu
    case "gelu": return .gelu
    case "gelu_new", "gelu_fast", "gelu_pytorch_tanh": return .geluTanh
    default: throw unsupported("model.activation", "the activation '\(name)' is not supported")
    }
  }

  /// Refuses a model whose feed-forward networks use another function than the one that the family computes.
  public func refuseActivations(otherThan name: String, key: String = "hidden_act") throws(Failure) {
    if let stated = json(key)?.stringValue, stated != name {
      throw unsupported("model.activation", "the activation '\(stated)' is not supported")
    }
  }

  /// Refuses a model whose `config.json` switches on a feature that the engine does not have.
  public func refuse(_ key: String, when value: Bool, _ what: String) throws(Failure) {
    if json(key)?.boolValue == value { throw unsupported("model.variant", "\(what) ('\(key)' is \(value))") }
  }
}
