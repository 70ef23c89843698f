import QuantCore

/// What clients silently misread in a GPTQ folder that qconvert can read.
struct GPTQFindings {
  private let configuration: GPTQConfiguration
  /// The version that the configuration states.
  private let stated: String
  private let isActivationOrder: Bool
  private let needsOrder: Bool

  private var mislabelled: [String] = []
  private var doubtful: [String] = []
  private var asymmetric: [String] = []
  private var wrapped: [String] = []
  private var unordered: [String] = []
  private var reordered: [String] = []

  /// - Parameters:
  ///   - isActivationOrder: `desc_act`.
  ///   - needsOrder: whether clients need `g_idx` even if groups are neighbouring columns.
  init(_ configuration: GPTQConfiguration, stated: String, isActivationOrder: Bool, needsOrder: Bool) {
    self.needsOrder = needsOrder
    self.configuration = configuration
    self.stated = stated
    self.isActivationOrder = isActivationOrder
  }

  func all(_ stored: [CheckpointTensor]) -> [Finding] {
    var result = self
    var parts: [String: [String: CheckpointTensor]] = [:]
    var modules: [String] = []
    for tensor in stored {
      guard let dot = tensor.name.lastIndex(of: ".") else { continue }
      let module = String(tensor.name[..<dot]), part = String(tensor.name[tensor.name.index(after: dot)...])
      if part == "qweight" { modules.append(module) }
      if ["qweight", "qzeros", "scales", "g_idx"].contains(part) { parts[module, default: [:]][part] = tensor }
    }
    for module in modules { result.look(at: module, parts[module] ?? [:]) }
    return result.findings(modules: modules.count)
  }

  private mutating func look(at module: String, _ parts: [String: CheckpointTensor]) {
    guard let settings = try? configuration.settings(of: module), let qzeros = parts["qzeros"], let words = GPTQWeight.words(qzeros),
      let outputs = parts["scales"]?.shape.last, let groups = parts["scales"]?.shape.first
    else { return }
    let middle: Int32 = 1 << Int32(settings.bits - 1)
    func points(_ zeros: GPTQZeros) -> PackedIntegers? {
      zeros.points(words, bits: settings.bits, outputs: outputs, groups: groups)
    }
    if points(configuration.zeros)?.areAll(middle) == false {
      if points(configuration.zeros.other)?.areAll(middle) == true {
        // Symmetric groups have their zero point in the middle; of others, it may be a coincidence.
        if settings.isSymmetric { mislabelled.append(qzeros.name) } else { doubtful.append(qzeros.name) }
      } else if settings.isSymmetric {
        asymmetric.append(qzeros.name)
      } else if configuration.zeros == .minusOne, points(.minusOne)?.contains(0) == true {
        wrapped.append(qzeros.name)
      }
    }
    guard let order = parts["g_idx"] else {
      if needsOrder { unordered.append(module + ".g_idx") }
      return
    }
    let length = max(1, settings.groupLength ?? order.shape.first ?? 1)
    let isPlain = order.storage.verbatim?.withUnsafeBytes { raw in
      (0..<raw.count / 4).allSatisfy { Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self))) == $0 / length }
    }
    if isPlain == false { reordered.append(order.name) }
  }

  private func findings(modules: Int) -> [Finding] {
    let other = configuration.zeros == .minusOne ? GPTQVersion2.id : GPTQVersion1.id
    let label = "holds zero points as '\(other)' stores them, but the configuration says '\(stated)'"
    var findings = Finding.grouped(
      .error, "gptq.zeros-label", label, in: mislabelled,
      remedy: "Set 'checkpoint_format' in its quantization to '\(other)', and give the corrected file with \(setting: "config").")
    findings += Finding.grouped(.error, "gptq.zeros-label", label, in: doubtful)
    findings += Finding.grouped(
      .error, "gptq.zeros-symmetric", "holds zero points, but the configuration says that groups are symmetric: vLLM ignores them",
      in: asymmetric)
    findings += Finding.grouped(
      .warning, "gptq.zeros-wrapped", "holds zero points of 0, which wrap around in this version: only GPTQModel undoes that", in: wrapped)
    findings += Finding.grouped(
      .error, "gptq.group-index", "is missing: transformers and GPTQModel then use uninitialized memory", in: unordered)
    if !isActivationOrder {
      findings += Finding.grouped(
        .error, "gptq.group-order",
        "assigns columns to groups out of order, but 'desc_act' is false: vLLM ignores it",
        in: reordered)
    } else if reordered.isEmpty, unordered.isEmpty, needsOrder, modules > 0 {
      findings.append(
        Finding(.warning, "gptq.desc-act", "'desc_act' is true, but groups are neighbouring columns: vLLM refuses the folder needlessly"))
    }
    return findings
  }
}
