import FolderKit
import QuantCore

/// Companion files of a model or an adapter, which are copied unchanged: those that are known by name, and whatever else is small and
/// holds no weights of the model.
enum CopiedFiles {
  /// Used by transformers for generation (the first), tokenizers, and processors of other inputs; and the licence.
  static let names = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json",
    "preprocessor_config.json", "processor_config.json", "LICENSE",
  ]
  /// Today's tokenizers have about 30 MB; the limit keeps a wrong file from filling the memory.
  private static let maximumBytes = 256 << 20

  static func copies(from folder: String) throws -> [OutputLayout.File] {
    try CompanionFiles.checkReadable(names, in: folder)
    return try names.compactMap { name in
      let path = Files.join(folder, name)
      guard Files.exists(path), !CompanionFiles.leadsOutside(path) else { return nil }
      guard Files.isFile(path) else {
        throw Failure(.noInput, "input.wrong-kind", "is not a file", file: path, remedy: "Replace it by the model's file, or remove it.")
      }
      return OutputLayout.File(name: name, bytes: try Files.read(path, maximumBytes: maximumBytes))
    }
  }

  // MARK: Other files

  /// Whatever is not known by name: code that `auto_map` names, further chat templates, processors, licences, and the folders of modules
  /// that sentence-transformers adds to a model.
  static func others(of source: Checkpoint) throws -> [OutputLayout.File] {
    try sorted(source).carried.map { name in
      OutputLayout.File(name: name, bytes: try Files.read(Files.join(source.path, name), maximumBytes: maximumFolderBytes))
    }
  }

  /// What a user must know of the files that stay behind; nil: nothing.
  static func caution(of source: Checkpoint) -> String? {
    let left = sorted(source).left
    guard let first = left.first else { return nil }
    return left.count == 1 ? "'\(first)' is not carried along" : "\(left.count) files and folders are not carried along, such as '\(first)'"
  }

  /// Code, templates and pictures are far smaller.
  private static let maximumOtherBytes = 16 << 20
  /// A module of sentence-transformers has a matrix that is as wide as the model.
  private static let maximumFolderBytes = 128 << 20
  /// Of one folder with the folders in it.
  private static let maximumFolderFiles = 1000
  /// Of folders in folders.
  private static let maximumDepth = 2

  /// The files that are not known by name, by their paths in the folder, and the entries that stay behind. A lone file of weights has no
  /// folder of its own.
  private static func sorted(_ source: Checkpoint) -> (carried: [String], left: [String]) {
    let isAdapter = source.format == PEFTFormat.id
    guard isAdapter || source.format == HuggingFaceFormat.id, let entries = try? Files.list(source.path) else { return ([], []) }
    var own = ["README.md", PEFTFormat.configurationName] + names
    if !isAdapter { own += ["config.json"] + CompanionFiles.quantizationFiles }
    let modules = modules(in: source.path, entries)
    var (carried, left): ([String], [String]) = ([], [])
    for name in entries where !own.contains(name) && !name.hasPrefix(".") && name != moduleList {
      let path = Files.join(source.path, name)
      if !Files.isFolder(path) {
        if isWeights(name) {
          if !source.files.contains(path), !name.hasSuffix(".qconvert.json") { left.append(name) }
          continue
        }
        if isCarried(path, in: source.path, maximumOtherBytes) { carried.append(name) } else { left.append(name) }
      } else if let files = files(of: name, in: source.path, holdsWeights: modules.contains(name)) {
        carried += files
      } else {
        left.append(name)
      }
    }
    // A list of modules means nothing without their folders.
    if entries.contains(moduleList) {
      let isComplete = modules.allSatisfy { module in carried.contains { $0.hasPrefix(module + "/") } }
      if isComplete { carried.append(moduleList) } else { left.append(moduleList) }
    }
    return (carried, left)
  }

  private static func isCarried(_ path: String, in folder: String, _ maximumBytes: Int) -> Bool {
    Files.isFile(path) && !CompanionFiles.leadsOutside(path, of: folder) && !isOfTraining(Files.lastComponent(path))
      && (try? MappedFile(path).count).map { $0 <= maximumBytes } ?? false
  }

  /// The files of a folder in the model's folder, with their paths; nil if it is not carried whole.
  /// - Parameter holdsWeights: whether its weights belong to the model; if not, they are those of the model in another form.
  private static func files(of name: String, in folder: String, holdsWeights: Bool, depth: Int = maximumDepth) -> [String]? {
    let path = Files.join(folder, name)
    guard depth > 0, !CompanionFiles.leadsOutside(path, of: folder), let entries = try? Files.list(path) else { return nil }
    var found: [String] = []
    var bytes = 0
    for entry in entries where !entry.hasPrefix(".") {
      let file = name + "/" + entry
      let full = Files.join(folder, file)
      if Files.isFolder(full) {
        guard let inner = files(of: file, in: folder, holdsWeights: holdsWeights, depth: depth - 1) else { return nil }
        found += inner
        continue
      }
      guard holdsWeights || !isWeights(entry), isCarried(full, in: folder, maximumFolderBytes), let count = try? MappedFile(full).count,
        bytes + count <= maximumFolderBytes
      else { return nil }
      bytes += count
      found.append(file)
    }
    return found.count <= maximumFolderFiles && !found.isEmpty ? found : nil
  }

  /// The list of modules of sentence-transformers. The first is the model.
  private static let moduleList = "modules.json"

  /// Names of the folders that it names.
  private static func modules(in folder: String, _ entries: [String]) -> [String] {
    guard entries.contains(moduleList), let list = try? JSON.load(Files.join(folder, moduleList)) else { return [] }
    return (list.arrayValue ?? []).compactMap { $0["path"]?.stringValue }.filter { Files.isPlainName($0) }
  }

  /// Weights in any format, and what belongs to them.
  private static func isWeights(_ name: String) -> Bool {
    let endings = ["safetensors", "bin", "pt", "pth", "ckpt", "gguf", "ggml", "onnx", "h5", "msgpack", "npz", "tflite", "ot", "index.json"]
    return endings.contains { name.hasSuffix("." + $0) } || name.hasSuffix(".qconvert.json") || name == "params.json"
  }

  /// The state of a program for training.
  private static func isOfTraining(_ name: String) -> Bool {
    ["trainer_state.json", "training_args", "optimizer", "scheduler", "rng_state", "latest", "zero_to_fp32.py"].contains {
      name.hasPrefix($0)
    }
  }
}
