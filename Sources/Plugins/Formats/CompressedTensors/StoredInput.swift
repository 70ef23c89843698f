import QuantCore

/// The tensors of a compressed-tensors checkpoint that say how activations are rounded.
enum StoredInput {
  static let scaleSuffix = "input_scale"
  static let globalScaleSuffix = "input_global_scale"
  static let zeroPointSuffix = "input_zero_point"
  static let keySuffix = "k_scale"
  static let valueSuffix = "v_scale"

  /// The stored parameters of a layer's input.
  /// - Parameter name: the name of the layer's weight.
  static func parts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    let module = name.dropLast("weight".count)
    if activations == .nvfp4 { return [(number(module + globalScaleSuffix, .f32), .scale)] }
    guard activations.isStatic, activations.granularity == .tensor else { return [] }
    var parts: [(part: StoredPart, value: CalibratedValue.Part)] = [(number(module + scaleSuffix, modelType), .scale)]
    if !activations.isSymmetric { parts.append((number(module + zeroPointSuffix, .i8), .zeroPoint)) }
    return parts
  }

  /// Whether a cache that is rounded like this has one stored scale for the keys of a block and one for its values.
  static func holds(cache scheme: ActivationScheme) -> Bool {
    scheme.isStatic && scheme.granularity == .tensor && scheme.isSymmetric
  }

  static func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    guard holds(cache: scheme) else { return nil }
    return (number("\(attention).\(keySuffix)", modelType), number("\(attention).\(valueSuffix)", modelType))
  }

  private static func number(_ name: String, _ type: ElementType) -> StoredPart {
    StoredPart(name: name, shape: [1], type: .element(type), byteCount: type.bitCount / 8)
  }

  // MARK: Reading

  /// Whether the shape is that of one value. Lengths are not multiplied, since a file may claim any.
  static func isNumber(_ tensor: CheckpointTensor) -> Bool { tensor.shape.isEmpty || tensor.shape == [1] }

  /// A stored scale.
  /// - Throws: `Failure` if the tensor is missing or not one positive value.
  static func scale(_ name: String, _ stored: [String: CheckpointTensor]) throws(Failure) -> Float {
    guard let tensor = stored[name] else {
      throw Failure(.data, "ct.input-scale", "the configuration requires this stored scale, but it is missing", tensor: name)
    }
    guard isNumber(tensor), tensor.storage.isNumeric, let value = tensor.matrix().values.first, value.isFinite, value > 0 else {
      throw Failure(.data, "ct.input-scale", "is a stored scale and must be one positive value", tensor: name)
    }
    return value
  }

  /// A stored zero point; 0 if there is none.
  /// - Throws: `Failure` if it is not one signed byte.
  static func zeroPoint(_ name: String, _ stored: [String: CheckpointTensor]) throws(Failure) -> Int {
    guard let tensor = stored[name] else { return 0 }
    guard tensor.storage.elementType == .i8, let bytes = tensor.storage.verbatim, bytes.count == 1 else {
      throw Failure(.data, "ct.input-zero-point", "is a stored zero point and must be one signed byte", tensor: name)
    }
    return bytes.withUnsafeBytes { Int(Int8(bitPattern: $0[0])) }
  }
}
