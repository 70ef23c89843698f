/// A part that is converted, but not computed: it has tensors and no forward pass. The description of its model says so
/// (`ModelDescription.uncomputed`).
public struct UncomputedPart: Part {
  public var tensors: [PartTensor]

  public init(_ tensors: [PartTensor]) { self.tensors = tensors }

  public var linears: [(layer: Layer, input: Site)] { [] }
  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? { nil }
}
