/// Reads which tokens are special, and which are added before and after a text, from the files beside a tokenizer, by the
/// rules of llama.cpp's converter (`SpecialVocab`), so that a GGUF file says the same.
struct SpecialTokens {
  /// Names in configuration files, and in `TokenizerData.special`.
  static let names = [
    ("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("sep", "seperator"), ("pad", "padding"), ("cls", "cls"),
    ("mask", "mask"),
  ]

  /// `tokenizer_config.json`, over `special_tokens_map.json`.
  var config: JSON?
  /// `config.json`.
  var model: JSON?
  /// `generation_config.json`.
  var generation: JSON?
  var postProcessors: [JSON] = []
  private var texts: [String: String] = [:]
  /// `special_tokens_map.json`; transformers does not look at it if tokenizer_config.json lists the added tokens.
  private let map: JSON?

  init(config: JSON?, map: JSON?, model: JSON?, generation: JSON?, postProcessors: [JSON]) {
    self.config = config
    self.model = model
    self.generation = generation
    self.postProcessors = postProcessors
    self.map = config?["added_tokens_decoder"] == nil ? map : nil
    for (name, _) in SpecialTokens.names {
      texts[name] = SpecialTokens.text(config?[name + "_token"]) ?? SpecialTokens.text(map?[name + "_token"])
    }
  }

  /// The text of a token, which is given as a string or as an object with its content.
  private static func text(_ value: JSON?) -> String? { value?.stringValue ?? value?["content"]?.stringValue }

  /// The texts that the configuration names.
  var allTexts: [String] { SpecialTokens.names.compactMap { texts[$0.0] } }

  /// Texts that the configuration calls special without saying what they are for.
  var furtherTexts: [String] {
    ["additional_special_tokens", "extra_special_tokens"].flatMap { key in
      let value = config?[key] ?? map?[key]
      return (value?.arrayValue ?? value?.objectValue?.map(\.value) ?? []).compactMap { SpecialTokens.text($0) }
    }
  }

  /// Sets ids and rules.
  mutating func apply(to data: inout TokenizerData) {
    data.namedSpecial = Set((allTexts + furtherTexts).compactMap { data.id(of: $0) })
    texts["bos"] = texts["bos"] ?? texts["cls"]
    texts["eos"] = texts["eos"] ?? texts["sep"]
    for processor in postProcessors { apply(processor, to: &data) }
    data.addsBOS = data.addsBOS ?? config?["add_bos_token"]?.boolValue
    // What a class that stands for any tokenizer adds is only what its file says; clients assume more of a GGUF that says nothing.
    if ["PreTrainedTokenizerFast", "TokenizersBackend"].contains(config?["tokenizer_class"]?.stringValue) {
      data.addsBOS = data.addsBOS ?? false
    }
    data.addsEOS = data.addsEOS ?? config?["add_eos_token"]?.boolValue
    data.addsSeparator = data.addsSeparator ?? config?["add_sep_token"]?.boolValue
    for (name, key) in SpecialTokens.names + [("eot", "eot")] {
      if let text = texts[name], let id = data.id(of: text) { data.special[key] = id }
    }
    for source in [model, model?["text_config"]] {
      for (name, key) in SpecialTokens.names where data.special[key] == nil {
        set(key, source?[name + "_token_id"]?.intValue, in: &data)
      }
    }
    // If there is still no EOS token, take the one that generation stops at.
    for source in [generation, model] where data.special["eos"] == nil {
      let value = source?["eos_token_id"]
      set("eos", value?.intValue ?? value?.arrayValue?.first?.intValue, in: &data)
    }
    for source in [generation, model, model?["text_config"]] {
      let value = source?["eos_token_id"]
      for id in (value?.arrayValue ?? [value].compactMap { $0 }).compactMap({ $0.intValue }) where data.tokens.indices.contains(id) {
        if !data.ends.contains(id) { data.ends.append(id) }
      }
    }
    if data.special["bos"] == nil { set("bos", generation?["bos_token_id"]?.intValue, in: &data) }
  }

  private func set(_ key: String, _ id: Int?, in data: inout TokenizerData) {
    if let id, data.tokens.indices.contains(id) { data.special[key] = id }
  }

  private mutating func apply(_ processor: JSON, to data: inout TokenizerData) {
    switch processor["type"]?.stringValue {
    case "ByteLevel":
      data.addsBOS = data.addsBOS ?? false
      data.addsEOS = data.addsEOS ?? false
    case "RobertaProcessing":
      (data.addsBOS, data.addsEOS, data.addsSeparator) = (true, true, true)
    case "TemplateProcessing": applyTemplate(processor, to: &data)
    default: break
    }
  }

  private mutating func applyTemplate(_ processor: JSON, to data: inout TokenizerData) {
    func special(_ part: JSON?) -> String? { part?["SpecialToken"]?["id"]?.stringValue }
    let single = processor["single"]?.arrayValue ?? []
    var first: String?
    var last: String?
    if single.count > 1 {
      first = special(single.first)
      last = special(single.last)
      if let first {
        if first != texts["bos"], first != texts["cls"] {
          texts["bos"] = texts["bos"] ?? first
          if config != nil { texts["cls"] = texts["cls"] ?? first }
        }
        data.addsBOS = first == texts["bos"] || first == texts["cls"]
      }
      if let last {
        if last != texts["eos"] {
          // What was EOS so far is the token that ends a turn.
          texts["eot"] = texts["eos"]
          texts["eos"] = last
        }
        data.addsEOS = true
      }
    }
    var pair = (processor["pair"]?.arrayValue ?? [])[...]
    if first != nil, special(pair.first) == first { pair = pair.dropFirst() }
    if last != nil, special(pair.last) == last { pair = pair.dropLast() }
    guard pair.first?["Sequence"]?["id"]?.stringValue == "A", pair.last?["Sequence"]?["id"]?.stringValue == "B" else { return }
    let middle = pair.dropFirst().dropLast().map { special($0) }
    guard !middle.isEmpty else { return }
    let separators = [texts["sep"], texts["eos"]].compactMap { $0 }
    func separates(_ text: String?) -> Bool { text.map { separators.contains($0) } ?? false }
    let adds = (separates(middle[0]) && last == nil) || (middle.count == 2 && separates(middle[1]))
    data.addsSeparator = adds
    if adds, config != nil { texts["sep"] = texts["sep"] ?? texts["eos"] }
  }
}
