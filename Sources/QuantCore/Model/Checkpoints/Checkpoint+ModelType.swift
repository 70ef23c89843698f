extension Checkpoint {
  /// The floating-point type that most of the weights are stored in.
  package var modelType: ElementType {
    var weights: [ElementType: Int] = [:]
    for tensor in tensors where tensor.shape.count >= 2 {
      guard let type = tensor.storage.elementType, type.isFloat else { continue }
      weights[type, default: 0] += tensor.elementCount
    }
    let order: [ElementType] = [.bf16, .f16, .f32, .f64]
    return order.max { (weights[$0] ?? 0, order.firstIndex(of: $1) ?? 0) < (weights[$1] ?? 0, order.firstIndex(of: $0) ?? 0) } ?? .f32
  }
}
