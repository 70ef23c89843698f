public import QuantCore

/// What a folder states about one of its towers, with the defaults of its class.
public struct TowerKeys: Sendable {
  /// The object of the tower in the configuration.
  public let own: ConfigurationKeys
  /// The configuration around it.
  public let whole: ConfigurationKeys
  /// What the folder says about images or sound before the tower sees them.
  public let processor: JSON
  private let tensors: Checkpoint
  /// Larger sizes are refused, so that the product of three cannot overflow.
  private static let largest = 1 << 20

  /// - Parameter object: the key of the tower's object.
  /// - Throws: `Failure` `tower.missing` if the configuration has no such object.
  public init(_ configuration: Configuration, _ object: String, _ tensors: Checkpoint) throws {
    whole = ConfigurationKeys(configuration, path: tensors.path)
    guard let json = whole.json(object), json.objectValue != nil else {
      throw Failure(
        .unsupported, "tower.missing", "the configuration has no '\(object)', so the model has no such tower", file: tensors.path,
        remedy: "Leave \(setting: "mmproj") out.")
    }
    own = ConfigurationKeys(.huggingFace(json), path: tensors.path)
    self.tensors = tensors
    // Another tokenizer is no reason to look for images elsewhere.
    let folder = Files.isFolder(tensors.path) ? tensors.path : tensors.companionFolder ?? Files.folder(of: tensors.path)
    processor = try TowerKeys.processor(folder)
  }

  /// The members of `preprocessor_config.json` and `processor_config.json`, those of the object for images at the top; later ones replace
  /// earlier ones of the same name.
  private static func processor(_ folder: String) throws -> JSON {
    var members: [JSON.Member] = []
    for (file, inner) in [("preprocessor_config.json", "media_proc_cfg"), ("processor_config.json", "image_processor")] {
      let path = Files.join(folder, file)
      guard Files.exists(path) else { continue }
      let json = try JSON.load(path)
      members = (json[inner]?.objectValue ?? []) + (json.objectValue ?? []) + members
    }
    return .object(members)
  }

  /// A positive size that the tower states under the first of these keys that it has.
  /// - Parameter assumed: what the class assumes without it; nil: it must be stated.
  public func size(_ keys: String..., or assumed: Int? = nil) throws(Failure) -> Int {
    let key = keys.first { own.json($0) != nil } ?? keys[0]
    // A list has the sizes of two directions, which are equal in every published model.
    var value = own.json(key)
    if let list = value?.arrayValue {
      guard list.count == 2, list[0].intValue == list[1].intValue else { throw own.bad(key, "has different sizes for two directions") }
      value = list[0]
    }
    if value == nil, let assumed { return assumed }
    guard value != nil else { throw own.missing(key, key) }
    guard let size = value?.doubleValue.flatMap(Int.init(exactly:)), size > 0, size <= TowerKeys.largest else {
      throw own.bad(key, "is not a whole number from 1 to \(TowerKeys.largest)")
    }
    return size
  }

  /// Two positive sizes that the tower states as a list.
  public func sizes(_ key: String, or assumed: [Int]) throws(Failure) -> [Int] {
    guard let value = own.json(key) else { return assumed }
    let list = (value.arrayValue ?? []).compactMap(\.intValue)
    guard list.count == 2, value.arrayValue?.count == 2, list.allSatisfy({ (1...TowerKeys.largest).contains($0) }) else {
      throw own.bad(key, "is not a list of 2 whole numbers from 1 to \(TowerKeys.largest)")
    }
    return list
  }

  /// The number of blocks, of which there cannot be more than tensors.
  public func blocks(_ keys: String..., or assumed: Int? = nil) throws(Failure) -> Int {
    let count = try size(keys.first { own.json($0) != nil } ?? keys[0], or: assumed)
    try own.check(blockCount: count, in: tensors)
    return count
  }

  /// A positive number of the tower.
  public func number(_ key: String, or assumed: Double) throws(Failure) -> Double { try own.number(key, key) ?? assumed }

  /// The width of the language model, to which a projector leads.
  /// - Parameter assumed: what the class of the language model assumes; nil: it must be stated.
  public func languageWidth(or assumed: Int? = nil) throws(Failure) -> Int {
    let text = whole.nested("text_config")
    if text.json("hidden_size") == nil, let assumed { return assumed }
    return try text.positiveSize("hidden_size", "hidden_size")
  }

  /// Whether the tower uses GELU or SiLU, as a key says.
  /// - Throws: `Failure` `tower.activation` for another function.
  public func activation(in keys: inout GGUFKeys, assumed: String) throws(Failure) {
    let name = own.json("hidden_act")?.stringValue ?? assumed
    guard ["gelu", "silu"].contains(name) else {
      throw Failure(
        .unsupported, "tower.activation", "llama.cpp computes this tower with gelu or silu, not with '\(name)'", file: own.path)
    }
    keys.set("use_\(name)", .bool(true))
  }

  /// How many patches along one side become one, from the ratio by which a projector shortens a side.
  /// - Parameter key: what states the ratio, for messages.
  public func factor(_ ratio: Double, _ key: String) throws(Failure) -> Int {
    guard ratio > 1.0 / 65, ratio <= 1 else { throw own.bad(key, "is not a ratio from 1/64 to 1") }
    return Int(1 / ratio)
  }
}

extension TowerKeys {
  /// The keys that every tower for images states.
  /// - Parameter normalization: mean and deviation of each colour; nil: the folder states them.
  /// - Throws: `Failure` `tower.processor` if the folder does not say how images are normalized.
  public func imageKeys(_ sizes: TowerSizes, normalization: (mean: [Float], deviation: [Float])? = nil) throws(Failure) -> GGUFKeys {
    var keys = GGUFKeys("clip")
    keys.setFileType()
    keys.set("has_vision_encoder", .bool(true))
    keys.set("vision.projection_dim", sizes.projection)
    keys.set("vision.image_size", sizes.image)
    keys.set("vision.patch_size", sizes.patch)
    keys.setBlocks("vision", sizes)
    if let normalization {
      keys.set("vision.image_mean", .f32s(normalization.mean))
      keys.set("vision.image_std", .f32s(normalization.deviation))
      return keys
    }
    for (key, name) in [("vision.image_mean", "image_mean"), ("vision.image_std", "image_std")] {
      guard let values = processor[name]?.arrayValue?.compactMap(\.doubleValue), values.count == 3 else {
        throw Failure(
          .data, "tower.processor", "nothing says how images are normalized: there is no list '\(name)' of 3 numbers", file: own.path,
          remedy: "Add the preprocessor_config.json that was published with the model to the folder.")
      }
      keys.set(key, .f32s(values.map { Float($0) }))
    }
    return keys
  }

  /// The keys that every tower for sound states.
  public func soundKeys(_ sizes: TowerSizes) -> GGUFKeys {
    var keys = GGUFKeys("clip")
    keys.setFileType()
    keys.setSound(sizes)
    return keys
  }
}

extension GGUFKeys {
  /// The keys that every tower for sound states, beside those of a tower for images.
  public mutating func setSound(_ sizes: TowerSizes) {
    set("has_audio_encoder", .bool(true))
    set("audio.projection_dim", sizes.projection)
    setBlocks("audio", sizes)
  }

  /// The sizes of a tower's blocks.
  fileprivate mutating func setBlocks(_ tower: String, _ sizes: TowerSizes) {
    set("\(tower).embedding_length", sizes.width)
    set("\(tower).feed_forward_length", sizes.inner)
    set("\(tower).block_count", sizes.blocks)
    set("\(tower).attention.head_count", sizes.heads)
  }
}

/// The sizes that every tower has.
public struct TowerSizes: Sendable {
  /// Width of the language model.
  public var projection = 0
  /// Width of an image, and of a patch of it, in points.
  public var image = 0
  public var patch = 0
  /// Channels between blocks, and inside the feed-forward network.
  public var width = 0
  public var inner = 0
  public var blocks = 0
  public var heads = 0

  public init() {}

  /// Patches along one side of an image.
  public var patchesPerSide: Int { image / max(1, patch) }
}

extension TowerKeys {
  /// The number of a token that was added to the tokenizer, or nil.
  public func token(_ text: String) throws -> Int? {
    let folder = tensors.companionFolder ?? tensors.path
    let stated = Files.join(folder, "tokenizer_config.json"), tokenizer = Files.join(folder, "tokenizer.json")
    if Files.exists(stated) {
      let added = try JSON.load(stated)["added_tokens_decoder"]?.objectValue ?? []
      if let found = added.first(where: { $0.value["content"]?.stringValue == text }), let id = Int(found.key), id >= 0 { return id }
    }
    guard Files.exists(tokenizer) else { return nil }
    let added = try JSON.load(tokenizer)["added_tokens"]?.arrayValue ?? []
    return added.first { $0["content"]?.stringValue == text }?["id"]?.intValue.flatMap { $0 >= 0 ? $0 : nil }
  }
}
