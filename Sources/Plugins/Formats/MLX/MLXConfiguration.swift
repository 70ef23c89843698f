import FolderKit
import QuantCore

/// How one layer of an MLX folder is quantized.
struct MLXSettings: Equatable {
  /// MLX's names of its grids.
  enum Mode: String {
    case affine, mxfp4, nvfp4, mxfp8
  }

  var mode: Mode
  var bits: Int
  var groupLength: Int

  /// The only bits and group size of a mode; those of `affine` are its default.
  static func usual(_ mode: Mode) -> MLXSettings {
    switch mode {
    case .affine: MLXSettings(mode: mode, bits: 4, groupLength: 64)
    case .mxfp4: MLXSettings(mode: mode, bits: 4, groupLength: 32)
    case .nvfp4: MLXSettings(mode: mode, bits: 4, groupLength: 16)
    case .mxfp8: MLXSettings(mode: mode, bits: 8, groupLength: 32)
    }
  }

  static let bits = [2, 3, 4, 5, 6, 8]
  static let groupLengths = [32, 64, 128]
  var isKnown: Bool {
    mode == .affine ? MLXSettings.bits.contains(bits) && MLXSettings.groupLengths.contains(groupLength) : self == .usual(mode)
  }

  /// The settings that describe a grid; nil if none do.
  init?(_ grid: Grid) {
    let modes: [Mode] = [.affine, .mxfp4, .nvfp4, .mxfp8]
    guard let length = grid.groupLength,
      let found = modes.lazy.map({ MLXSettings(mode: $0, bits: Int(grid.codeBits), groupLength: length) }).first(where: {
        $0.isKnown && $0.scheme(scaleType: grid.scaleType)?.grid == grid
      })
    else { return nil }
    self = found
  }

  init(mode: Mode, bits: Int, groupLength: Int) {
    self.mode = mode
    self.bits = bits
    self.groupLength = groupLength
  }

  /// - Parameter scaleType: of affine groups; other modes have one of their own.
  func scheme(scaleType: ElementType) -> (any Scheme)? {
    mode == .affine ? AffineScheme(bits: bits, groupLength: groupLength, scaleType: scaleType) : floats
  }

  /// The scheme of a mode whose codes are short floats.
  var floats: (any ScaledFloatScheme)? {
    switch mode {
    case .affine: nil
    case .mxfp4: MicroscalingScheme(.e2m1, modelType: .bf16)
    case .nvfp4: NVFP4Scheme(nil, modelType: .bf16)
    case .mxfp8: MicroscalingScheme(.e4m3, modelType: .bf16)
    }
  }

  var json: JSON {
    .object([.init("group_size", .int(groupLength)), .init("bits", .int(bits)), .init("mode", .string(mode.rawValue))])
  }
}

/// `quantization` in the `config.json` of an MLX folder: settings for all layers, and entries for those that differ, by the names that
/// mlx-lm gives them.
struct MLXConfiguration {
  private let base: MLXSettings
  private let json: JSON

  /// - Returns: nil if the configuration is that of another method.
  /// - Throws: `Failure` `mlx.mode` for settings that are not supported.
  init?(_ json: JSON) throws(Failure) {
    guard json["quant_method"] == nil, json["bits"] != nil, json["group_size"] != nil, json["w_bit"] == nil else { return nil }
    self.json = json
    base = try MLXConfiguration.settings(json, of: nil)
  }

  private static func settings(_ json: JSON, of module: String?) throws(Failure) -> MLXSettings {
    let name = json["mode"]?.stringValue ?? "affine"
    guard let mode = MLXSettings.Mode(rawValue: name) else {
      throw refused("mode \(JSON.string(name).text())", module)
    }
    let usual = MLXSettings.usual(mode)
    let settings = MLXSettings(
      mode: mode, bits: json["bits"]?.intValue ?? usual.bits, groupLength: json["group_size"]?.intValue ?? usual.groupLength)
    guard settings.isKnown else { throw refused("\(settings.bits) bits in groups of \(settings.groupLength) in mode '\(name)'", module) }
    return settings
  }

  private static func refused(_ what: String, _ module: String?) -> Failure {
    Failure(
      .unsupported, "mlx.mode",
      "the configuration says that \(module.map { "'\($0)' is" } ?? "weights are") quantized by MLX with \(what), "
        + "which is not supported", remedy: "Give the unquantized model.")
  }

  /// How a layer is quantized: as its entry says, or else as the shapes of its parts say.
  /// - Parameters:
  ///   - words: 32-bit words in a row of codes.
  ///   - groups: scales in a row.
  ///   - hasFloatScales: whether scales are floats of 16 bits or more, which only `affine` has.
  /// - Throws: `Failure` `mlx.layer` if the entry says that it is not quantized, or if nothing says how it is.
  func settings(of module: String, words: Int, groups: Int, hasFloatScales: Bool) throws(Failure) -> MLXSettings {
    if let entry = json[module], entry.boolValue != true {
      guard entry.objectValue != nil else {
        throw Failure(.data, "mlx.layer", "has scales, but the configuration says that it is not quantized", tensor: module + ".weight")
      }
      return try MLXConfiguration.settings(entry, of: module)
    }
    func fits(_ settings: MLXSettings) -> Bool {
      (settings.mode == .affine) == hasFloatScales
        && Checked.product(groups, settings.bits * settings.groupLength) == Checked.product(words, 32)
    }
    if fits(base) { return base }
    let others: [MLXSettings] =
      hasFloatScales
      ? MLXSettings.bits.flatMap { bits in MLXSettings.groupLengths.map { MLXSettings(mode: .affine, bits: bits, groupLength: $0) } }
      : [.usual(.mxfp4), .usual(.nvfp4), .usual(.mxfp8)]
    let able = others.filter(fits)
    guard able.count == 1 else {
      throw Failure(
        .data, "mlx.layer",
        "has \(words) words of codes and \(groups) scales in a row, and the configuration does not say how many bits "
          + "and columns these are", tensor: module + ".weight", remedy: "Add an entry for '\(module)' to 'quantization' in config.json.")
    }
    return able[0]
  }

  /// - Parameter modules: their names are mlx-lm's.
  /// - Returns: the settings that most layers have, then an entry for each that differs.
  static func json(_ modules: [(name: String, settings: MLXSettings)]) -> JSON? {
    var counts: [(settings: MLXSettings, count: Int)] = []
    for (_, settings) in modules {
      if let index = counts.firstIndex(where: { $0.settings == settings }) {
        counts[index].count += 1
      } else {
        counts.append((settings, 1))
      }
    }
    guard let most = counts.map({ $0.count }).max(), let base = counts.first(where: { $0.count == most })?.settings,
      let members = base.json.objectValue
    else { return nil }
    var names: Set<String> = []
    let others = modules.filter { $0.settings != base && names.insert($0.name).inserted }
    return .object(members + others.map { .init($0.name, $0.settings.json) })
  }
}
