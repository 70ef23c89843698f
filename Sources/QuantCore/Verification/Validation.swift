import Synchronization

/// A strict check of a checkpoint that could be opened: of its structure, and of every stored number.
///
/// Opening has checked what readers cannot do without: headers, offsets, shapes against packings. What is found here are tensors
/// that the architecture lacks or does not know, and numbers that would make a runtime compute nonsense.
public struct Validation: Sendable {
  /// Those of the whole, then those of the tensors in their order.
  public private(set) var findings: [Finding]

  private let parallel: Parallel

  public init(_ checkpoint: Checkpoint, opening: Opening, threads: Int) {
    parallel = Parallel(threads: threads)
    findings = checkpoint.warnings.map { Finding(.warning, "open", $0) } + checkpoint.findings
    findings += Validation.structure(checkpoint, opening)
    for tensor in checkpoint.tensors where tensor.storage.isNumeric && tensor.elementCount > 0 {
      findings += tensor.storage.codes.map { codes($0, of: tensor) } ?? []
      findings += values(of: tensor)
    }
  }

  /// Whether there is no error.
  public var holds: Bool { !findings.contains { $0.severity == .error } }

  // MARK: Structure

  private static func structure(_ checkpoint: Checkpoint, _ opening: Opening) -> [Finding] {
    guard opening.family(of: checkpoint) != nil else {
      let name = checkpoint.configuration?.architecture.map { "'\($0)'" } ?? "none"
      return [Finding(.warning, "model.unknown", "the architecture (\(name)) is not known, so tensors are not held against it")]
    }
    let model: ModelDescription
    do {
      model = try opening.describe(checkpoint)
    } catch {
      let failure = error as? Failure
      return [Finding(.error, failure?.id ?? "model.configuration", failure?.message ?? "\(error)", tensor: failure?.tensor)]
    }
    var findings: [Finding] = []
    var known: Set<String> = []
    for tensor in model.tensors {
      guard let place = tensor.place(checkpoint.naming), known.insert(place.name).inserted else { continue }
      if let stored = checkpoint[place.name] {
        if stored.shape != place.shape {
          findings.append(
            Finding(
              .error, "model.tensor-shape", "has shape \(stored.shape), and the configuration asks for \(place.shape)", tensor: place.name))
        }
      } else if !tensor.isOptional {
        findings.append(Finding(.error, "model.tensor-missing", "is not there, and the configuration asks for it", tensor: place.name))
      }
    }
    for tensor in checkpoint.tensors where !known.contains(tensor.name) && !TensorMapping.isDropped(tensor.name) {
      findings.append(
        Finding(.warning, "model.tensor-unused", "belongs to no part of the model that the configuration describes", tensor: tensor.name))
    }
    return findings
  }

  // MARK: Numbers

  /// Rows of one piece of work.
  private static func piece(_ tensor: CheckpointTensor, multiple: Int = 1) -> Int {
    let rows = max(1, (1 << 18) / max(1, tensor.rowLength))
    return max(multiple, rows / multiple * multiple)
  }

  /// Parameters: a scale is a positive finite number.
  private func codes(_ codes: any QuantizedStorage, of tensor: CheckpointTensor) -> [Finding] {
    let kind = codes.scheme.grid.kind
    guard kind == .symmetricInteger || kind == .asymmetricInteger || kind == .scaledFloat else { return [] }
    let counts = Mutex((bad: 0, negative: 0, all: 0))
    // The parameter of a whole tensor is seen in any row.
    let rowCount = codes.scheme.grid.tileRows == nil ? 1 : tensor.rowCount
    parallel.forEachRange(rowCount, piece: Validation.piece(tensor, multiple: codes.scheme.grid.tileRows ?? 1)) { rows in
      let panel = codes.panel(rows: rows, rowLength: tensor.rowLength)
      var bad = 0, negative = 0, all = 0
      for index in stride(from: 0, to: panel.parameters.count, by: max(1, panel.parameterCount)) {
        let scale = panel.parameters[index]
        all += 1
        if !scale.isFinite || scale == 0 { bad += 1 } else if scale < 0 { negative += 1 }
      }
      counts.withLock { counts in
        counts.bad += bad
        counts.negative += negative
        counts.all += all
      }
    }
    let found = counts.withLock { $0 }
    var findings: [Finding] = []
    if found.bad > 0 {
      findings.append(
        Finding(.error, "scale.not-a-number", "\(found.bad) of \(found.all) scales are zero, infinite or no number", tensor: tensor.name))
    }
    if found.negative > 0 {
      findings.append(Finding(.warning, "scale.negative", "\(found.negative) of \(found.all) scales are negative", tensor: tensor.name))
    }
    return findings
  }

  private func values(of tensor: CheckpointTensor) -> [Finding] {
    let counts = Mutex((bad: 0, zero: 0))
    parallel.forEachRange(tensor.rowCount, piece: Validation.piece(tensor)) { rows in
      let count = rows.count * tensor.rowLength
      let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        if let base = buffer.baseAddress { tensor.decode(rows: rows, into: base) }
        initialized = count
      }
      let bad = VectorKernels.areFinite(values, count: count) ? 0 : values.count { !$0.isFinite }
      let zero = values.count { $0 == 0 }
      counts.withLock { counts in
        counts.bad += bad
        counts.zero += zero
      }
    }
    let found = counts.withLock { $0 }
    if found.bad > 0 {
      return [
        Finding(.error, "data.nonfinite", "\(found.bad) of \(tensor.elementCount) values are infinite or no number", tensor: tensor.name)
      ]
    }
    if found.zero == tensor.elementCount, tensor.shape.count > 1 {
      return [Finding(.warning, "data.all-zero", "all values are zero", tensor: tensor.name)]
    }
    return []
  }
}
