import QuantCore

/// A tensor whose values are multiplied by a factor that the file holds as a separate tensor.
///
/// NVFP4 needs a 32-bit scale above those of its blocks, but llama.cpp reads one for any weight: `blk.0.attn_q.scale`
/// beside `blk.0.attn_q.weight`, one value, or one for each of the stacked experts.
struct ScaledStorage: TensorStorage {
  private let base: any TensorStorage
  private let scale: CheckpointTensor
  private let scales: [Float]
  private let rowsPerScale: Int

  var schemeName: String { codes?.schemeName ?? base.schemeName }
  var byteCount: Int { base.byteCount + 4 * scales.count }
  /// Nil: the file holds two tensors.
  var verbatim: ByteView? { nil }
  var isNumeric: Bool { base.isNumeric }
  /// Only if one scale holds for the whole tensor.
  var codes: (any QuantizedStorage)? {
    guard let blocks = base as? BlockStorage, let scale = scales.first, scale > 0, scales.allSatisfy({ $0 == scale }) else { return nil }
    return FloatBlockCodes(blocks.type, blocks.bytes, globalScale: scale)
  }
  var inputRounding: (any ValueRounding)? { base.inputRounding }

  init(_ tensor: CheckpointTensor, scale: CheckpointTensor) {
    base = tensor.storage
    self.scale = scale
    scales = scale.matrix().values
    rowsPerScale = tensor.rowCount / max(1, scale.elementCount)
  }

  func components(name: String, shape: [Int]) -> [CheckpointTensor] { [CheckpointTensor(name: name, shape: shape, storage: base), scale] }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    base.decode(rows: rows, rowLength: rowLength, into: destination)
    for row in rows {
      let scale = scales[row / rowsPerScale], first = (row - rows.lowerBound) * rowLength
      for index in first..<first + rowLength { destination[index] *= scale }
    }
  }

  /// Name of the tensor that holds the scale of a weight: `blk.0.attn_q.scale` for `blk.0.attn_q.weight`.
  static func scaleName(ofWeight name: String) -> String {
    (name.hasSuffix("weight") ? String(name.dropLast("weight".count)) : name + ".") + "scale"
  }

  /// What ends the names of tensors that are called scales, but are weights of the model: Gemma 4 has a factor for each expert.
  private static let ownScales: [String: [String]] = ["gemma4": [".ffn_down_exps.scale", ".ffn_gate_inp.scale"]]

  /// The tensors of a file, each combined with the scale beside it: scales of weights are not tensors of their own.
  /// - Parameter architecture: of the model in the file.
  static func folding(_ tensors: [CheckpointTensor], architecture: String? = nil) -> [CheckpointTensor] {
    let own = architecture.flatMap { ownScales[$0] } ?? []
    var scales: [String: CheckpointTensor] = [:]
    for tensor in tensors where tensor.name.hasSuffix(".scale") && tensor.storage.elementType == .f32 {
      if !own.contains(where: { tensor.name.hasSuffix($0) }) { scales[tensor.name] = tensor }
    }
    guard !scales.isEmpty else { return tensors }
    var used: Set<String> = []
    let folded = tensors.map { tensor in
      guard tensor.name.hasSuffix(".weight"), tensor.storage.isNumeric, tensor.shape.count >= 2,
        let scale = scales[scaleName(ofWeight: tensor.name)],
        scale.elementCount == 1 || (tensor.shape.count == 3 && scale.elementCount == tensor.shape[0])
      else { return tensor }
      used.insert(scale.name)
      return CheckpointTensor(name: tensor.name, shape: tensor.shape, storage: ScaledStorage(tensor, scale: scale))
    }
    return folded.filter { !used.contains($0.name) }
  }
}
