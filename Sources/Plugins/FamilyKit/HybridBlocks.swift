public import QuantCore

// Models in which some blocks mix tokens by other means than an attention.

extension ConfigurationKeys {
  /// Which blocks have an attention: as a `config.json` names their kinds; in a GGUF, those with key-value heads.
  /// - Parameters:
  ///   - key: the key of the list of kinds.
  ///   - others: the names of the other kinds.
  ///   - value: what is assumed if a `config.json` has no such list.
  /// - Throws: `Failure` `model.key-value` for a list that does not have one entry per block, or an unknown kind of block.
  public func attentionBlocks(
    _ blocks: Int, key: String = "layer_types", others: Set<String>, default value: (Int) -> Bool
  ) throws(Failure) -> [Bool] {
    if isStored {
      let heads = try sizes(stored: "attention.head_count_kv", blocks: blocks) ?? [Int](repeating: 1, count: blocks)
      return heads.map { $0 > 0 }
    }
    guard let kinds = json(key)?.arrayValue else { return (0..<blocks).map(value) }
    guard kinds.count == blocks else { throw bad(key, "has \(kinds.count) values for \(blocks) blocks") }
    return try kinds.map { (kind) throws(Failure) in
      switch kind.stringValue {
      case "attention", "full_attention": return true
      case let name? where others.contains(name): return false
      default: throw bad(key, "names an unknown kind of block")
      }
    }
  }
}

extension GGUFKeys {
  /// States the key-value heads of every block: 0 for blocks without an attention.
  public mutating func setKeyValueHeads(_ count: Int, in attentionBlocks: [Bool]) {
    set("attention.head_count_kv", .i32s(attentionBlocks.map { $0 ? Int32(clamping: count) : 0 }))
  }

  /// What the converter writes about a Mamba-2 mixer.
  public mutating func setMamba2(_ part: Mamba2) {
    set("ssm.conv_kernel", part.kernelSize)
    set("ssm.state_size", part.stateSize)
    set("ssm.group_count", part.groupCount)
    set("ssm.inner_size", part.innerSize)
    set("ssm.time_step_rank", part.headCount)
  }
}

extension TensorNames {
  /// Adds the names of a Mamba-2 mixer.
  /// - Parameters:
  ///   - module: its name in a folder, without a dot at its end.
  ///   - role: the row that they come after.
  ///   - factors: what the products z, x, B, C and dt of a folder's weights are multiplied by, and its output.
  public mutating func insertMamba2(
    _ part: Mamba2, module: String, after role: TensorRole, factors: [[Double]] = [[], [], [], [], []], outputFactor: Double = 1
  ) {
    func named(_ name: String) -> NamedPlace { NamedPlace(name).named(suffix: "") }
    let products: [TensorRole] = [.stateGate, .stateValue, .stateInput, .stateOutput, .stateStep]
    var rows = zip(products, factors).map { role, factor in
      TensorName(role, NamedPlace("\(module).in_proj").storing(.product(factor)), "ssm_in")
    }
    let (channels, heads, groups) = (part.convolvedSize, part.headCount, part.groupCount)
    rows += [
      TensorName(
        .convolution, NamedPlace("\(module).conv1d").shaped([channels, 1, part.kernelSize]),
        NamedPlace("ssm_conv1d").shaped([channels, part.kernelSize])),
      TensorName(.convolutionBias, named("\(module).conv1d.bias"), named("ssm_conv1d.bias")),
      TensorName(.stepBias, named("\(module).dt_bias"), named("ssm_dt.bias")),
      TensorName(.decayRate, named("\(module).A_log").storing(.negatedExponential), named("ssm_a").shaped([heads, 1])),
      TensorName(.skip, named("\(module).D"), named("ssm_d").shaped([heads, 1])),
      TensorName(
        .mixerNorm, NamedPlace("\(module).norm"), NamedPlace("ssm_norm").shaped([groups, part.innerSize / max(1, groups)])),
      TensorName(
        .mixerOutput, NamedPlace("\(module).out_proj").storing(.product([outputFactor])), "ssm_out"),
    ]
    insert(rows, after: role)
  }
}
