/// Strictly validates a checkpoint that could be opened: its structure, and every stored value.
///
/// Opening has checked what readers rely on: headers, offsets, and shapes against packings. Validation finds tensors that are missing
/// or unknown to the architecture, layers that contradict the configuration, and values that would make a client compute nonsense.
/// Docs/validation.md lists every check.
public struct Validation: Sendable {
  /// Findings about the whole checkpoint, then those about its tensors, in order.
  public private(set) var findings: [Finding]

  let parallel: Parallel

  public init(_ checkpoint: Checkpoint, opening: Opening, threads: Int) {
    parallel = Parallel(threads: threads)
    findings = checkpoint.warnings.map { Finding(.warning, "open", $0) } + Validation.structure(of: checkpoint, opening)
    for tensor in checkpoint.tensors where tensor.storage.isNumeric && tensor.elementCount > 0 {
      findings += tensor.storage.codes.map { codes($0, of: tensor) } ?? []
      findings += values(of: tensor)
    }
  }

  /// Whether there is no error.
  public var holds: Bool { !findings.contains { $0.severity == .error } }

  /// What can be found without decoding weights: what opening found, and tensors and layers that contradict the configuration.
  static func structure(of checkpoint: Checkpoint, _ opening: Opening) -> [Finding] {
    checkpoint.findings + contradictions(checkpoint, opening)
  }

  private static func contradictions(_ checkpoint: Checkpoint, _ opening: Opening) -> [Finding] {
    let reader = opening.registry.reader(of: checkpoint)
    let lost = checkpoint.findings.contains { $0.remedy != nil } ? [] : lostConfiguration(checkpoint, reader)
    guard opening.family(of: checkpoint) != nil else {
      let name = checkpoint.configuration?.architecture.map { "'\($0)'" } ?? "none"
      return lost + [Finding(.warning, "model.unknown", "the architecture (\(name)) is unknown, so tensors are not checked against it")]
    }
    let model: ModelDescription
    do {
      model = try opening.describe(checkpoint)
    } catch {
      let failure = error as? Failure
      // What finds open, it has reported; what qconvert lacks, the checkpoint is not to blame for.
      if let failure, checkpoint.findings.contains(where: { $0.id == failure.id }) { return [] }
      let severity: Finding.Severity = failure?.kind == .unsupported ? .warning : .error
      return lost + [Finding(severity, failure?.id ?? "model.configuration", failure?.message ?? "\(error)", tensor: failure?.tensor)]
    }
    let unpacker = opening.registry.unpackers.first { type(of: $0).id == checkpoint.packing }
    return lost + tensors(checkpoint, model, reader) + layers(checkpoint, model, unpacker) + caches(checkpoint, model)
  }

  /// Compares the tensors that the model asks for with those that are there.
  private static func tensors(
    _ checkpoint: Checkpoint, _ model: ModelDescription, _ reader: (any CheckpointReader.Type)?
  ) -> [Finding] {
    var findings: [Finding] = []
    // The description was refused for those that are not zero.
    let biases = Set(UnannouncedBiases.names(in: checkpoint, model))
    var known: Set<String> = []
    for tensor in model.tensors {
      guard let place = tensor.place(checkpoint.naming), known.insert(place.name).inserted else { continue }
      if let stored = checkpoint[place.name] {
        if stored.shape.contains(0), !place.shape.contains(0) {
          findings.append(
            Finding(.error, "model.tensor-empty", "holds nothing: sharded training left a placeholder of it", tensor: place.name))
        } else if !place.accepts(stored.shape) {
          findings.append(
            Finding(
              .error, "model.tensor-shape", "has shape \(stored.shape), but the configuration asks for \(place.shape)", tensor: place.name))
        }
      } else if !tensor.isOptional {
        findings.append(Finding(.error, "model.tensor-missing", "is missing, but the configuration asks for it", tensor: place.name))
      }
    }
    for tensor in checkpoint.tensors
    where !known.contains(tensor.name) && !biases.contains(tensor.name) && reader?.isRedundant(tensor.name) != true
      && !model.isOfOtherPart(tensor.name, checkpoint.naming)
    {
      findings.append(
        Finding(.warning, "model.tensor-unused", "belongs to no part of the model that the configuration describes", tensor: tensor.name))
    }
    return findings
  }
}
