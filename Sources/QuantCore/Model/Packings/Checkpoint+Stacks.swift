/// Stacks of matrices whose codes are transposed relative to floats of the same model.
extension Checkpoint {
  /// Names of the stacks that are stored as codes in one of these packings.
  package func stacksOfCodes(_ packings: [any Packing]) -> [String] {
    tensors.lazy.filter { $0.storage.codes != nil && isStack($0, in: packings) }.map(\.name)
  }

  /// The same checkpoint with every stack in the orientation of the model's floats.
  package func withStacksAsFloats(_ packings: [any Packing]) -> Checkpoint {
    var copy = self
    for tensor in tensors where tensor.storage.codes != nil && isStack(tensor, in: packings) {
      if let turned = TransposedStack.tensor(tensor) { copy.replace(turned) }
    }
    return copy
  }

  private func isStack(_ tensor: CheckpointTensor, in packings: [any Packing]) -> Bool {
    tensor.shape.count == 3
      && packings.contains { ($0 as? any StackPacking)?.holdsStack(tensor.name, configuration: configuration) == true }
  }
}
