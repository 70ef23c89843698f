/// How codes and parameters on one grid become those of another without rounding any weight.
public struct Repacking: Sendable {
  /// What is kept.
  public enum Fidelity: Sendable, Hashable {
    /// Every value, bit for bit.
    case exact
    /// Every code; parameters are rounded to the type in which the output stores them.
    case parametersRounded
  }

  public var fidelity: Fidelity
  /// The parameter that is rounded, as text: `scale`, `minimum`.
  public var parameter: String
  /// Turns a panel on the source's grid into one on the output's. Called with whole tiles of both.
  public var translate: @Sendable (QuantizedPanel) -> QuantizedPanel

  public init(
    _ fidelity: Fidelity, parameter: String = "scale", translate: @escaping @Sendable (QuantizedPanel) -> QuantizedPanel
  ) {
    self.fidelity = fidelity
    self.parameter = parameter
    self.translate = translate
  }

  /// Both, one after the other.
  func followed(by next: Repacking) -> Repacking {
    let first = self
    let rounding = first.fidelity == .exact ? next : first
    return Repacking(rounding.fidelity, parameter: rounding.parameter) { next.translate(first.translate($0)) }
  }

  /// What a plan says about the tensor.
  package var note: String { fidelity == .exact ? "re-packed" : "re-packed, \(parameter) rounded" }

  /// For equal grids.
  public static let identity = Repacking(.exact) { $0 }
}
