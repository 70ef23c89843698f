import QuantCore
import QuantPlatform

/// The keys below `general.` that describe a model and its origin: from its model card, its configuration, and its name.
enum GeneralMetadata {
  /// Prefix of a folder's model card in the metadata of a checkpoint.
  private static let card = "card."

  static func add(to values: inout KeyValues, _ request: OutputRequest) {
    GGUFSampling.add(to: &values, folder: request.source.companionFolder)
    let source = request.source.metadata
    func text(_ keys: String...) -> String? { keys.lazy.compactMap { source[card + $0]?.stringValue }.first }

    let count = request.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let names = self.names(request).map { ModelName($0, weightCount: count) }
    values["general.name"] = .string(
      text("name", "model_name") ?? names.lazy.compactMap { $0.name }.first.map(ModelName.title) ?? request.targetName)
    set("author", text("author", "model_author", "model_creator"), &values)
    set("version", text("version", "model_version") ?? names.lazy.compactMap { $0.version }.first, &values)
    set(
      "organization",
      text("organization", "model_organization") ?? names.lazy.compactMap { $0.organization }.first.map(ModelName.title), &values)
    set("finetune", text("finetune", "model_finetune") ?? names.lazy.compactMap { $0.finetune }.first, &values)
    set("basename", text("basename", "model_basename", "model_type") ?? names.lazy.compactMap { $0.basename }.first, &values)
    set("description", text("description", "model_description"), &values)
    set(
      "size_label",
      text("size_label", "model_size_label") ?? names.lazy.compactMap { $0.sizeLabel }.first ?? sizeLabel(request, count), &values)
    set("license", list(source[card + "license"]).map { $0.joined(separator: ",") }, &values)
    set("license.name", text("license_name"), &values)
    set("license.link", text("license_link"), &values)
    for (key, names) in [("source.url", "url"), ("source.doi", "doi"), ("source.uuid", "uuid"), ("source.repo_url", "repo_url")] {
      set(key, text(names, "model_" + names), &values)
    }
    relatives("base_model", list(source, "base_model", "base_models", "base_model_sources"), &values)
    relatives("dataset", list(source, "datasets", "dataset", "dataset_sources"), &values)
    strings("tags", ["tags", "pipeline_tag"], source, &values)
    strings("languages", ["languages", "language"], source, &values)
  }

  private static func set(_ key: String, _ value: String?, _ values: inout KeyValues) {
    if let value { values["general." + key] = .string(value) }
  }

  /// Possible names of the model: from its configuration (unless it is a path), then its folder.
  private static func names(_ request: OutputRequest) -> [String] {
    var result: [String] = []
    if let name = request.source.configuration?.json?["_name_or_path"]?.stringValue,
      !name.isEmpty, name.count(where: { $0 == "/" }) <= 1
    {
      result.append(name)
    }
    let folder = request.source.companionFolder ?? request.source.path
    let name = cachedName(folder) ?? Files.lastComponent(folder)
    if name != "." && name != ".." { result.append(name) }
    return result
  }

  /// The name of a model in the Hub's cache, whose folder is `models--ORGANIZATION--NAME/snapshots/VERSION`; nil for another folder.
  private static func cachedName(_ folder: String) -> String? {
    let parts = folder.split(separator: "/").suffix(3).map(String.init), prefix = "models--"
    guard parts.count == 3, parts[1] == "snapshots", parts[0].hasPrefix(prefix) else { return nil }
    return String(parts[0].dropFirst(prefix.count)).replacing("--", with: "/")
  }

  // MARK: Parts of the model card

  private static func list(_ value: MetadataValue?) -> [String]? {
    switch value {
    case .string(let text): [text]
    case .strings(let texts): texts
    default: nil
    }
  }

  /// The value of the first of these keys that the card has.
  private static func list(_ source: KeyValues, _ keys: String...) -> [String]? {
    keys.lazy.compactMap { list(source[card + $0]) }.first
  }

  private static func strings(_ key: String, _ keys: [String], _ source: KeyValues, _ values: inout KeyValues) {
    let all = keys.compactMap { list(source[card + $0]) }.flatMap { $0 }
    if !all.isEmpty { values["general." + key] = .strings(all) }
  }

  /// Models that this one comes from, or data that it was trained on: name, version, organization and address of each.
  private static func relatives(_ kind: String, _ ids: [String]?, _ values: inout KeyValues) {
    guard let ids else { return }
    values["general.\(kind).count"] = .u32(UInt32(clamping: ids.count))
    for (index, id) in ids.enumerated() {
      let isAddress = ["http://", "https://", "ssh://"].contains { id.hasPrefix($0) }
      let path = isAddress ? hubPath(id) : id
      let name = path.map { ModelName($0, weightCount: 0) }
      let prefix = "\(kind).\(index)."
      set(prefix + "name", name?.name.map(ModelName.title), &values)
      set(prefix + "version", name?.version, &values)
      set(prefix + "organization", name?.organization.map(ModelName.title), &values)
      if isAddress {
        set(prefix + "repo_url", id, &values)
      } else if let organization = name?.organization, let model = name?.name {
        set(prefix + "repo_url", "https://huggingface.co/\(organization)/\(model)", &values)
      }
    }
  }

  /// The `organization/model` of an address on the hub, or nil.
  private static func hubPath(_ address: String) -> String? {
    let words = address.split(separator: "/", omittingEmptySubsequences: false)
    guard words.count == 5, words[2] == "huggingface.co", !words[3].isEmpty, !words[4].isEmpty else { return nil }
    return words[3] + "/" + words[4]
  }

  // MARK: Numbers

  /// For a mixture, the number of experts and the size of one of them together with the rest: `8x7B`.
  private static func sizeLabel(_ request: OutputRequest, _ count: Int) -> String? {
    guard let last = request.model?.tensors.lazy.compactMap(\.id.expert).max() else { return sizeLabel(count) }
    let experts = last + 1
    let stacked = request.tensors.filter { $0.id?.expert != nil }.reduce(0) { $0 + $1.shape.reduce(1, *) }
    return sizeLabel(count - stacked + stacked / experts).map { "\(experts)x\($0)" }
  }

  /// `1.1B`: at least two digits, in thousands, millions, billions or trillions.
  static func sizeLabel(_ count: Int) -> String? {
    guard count > 0 else { return nil }
    let scales: [(Double, String)] = [(1e12, "T"), (1e9, "B"), (1e6, "M")]
    let (unit, suffix) = scales.first { Double(count) > $0.0 } ?? (1e3, "K")
    let scaled = Double(count) * (1 / unit)
    let rounded = scaled.rounded(.toNearestOrEven)
    let digits = rounded == 0 ? 0 : String(Int(rounded)).count
    var text = [CChar](repeating: 0, count: 64)
    _ = withVaList([Int32(max(0, 2 - digits)), scaled]) { vsnprintf(&text, text.count, "%.*f", $0) }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + suffix
  }
}
