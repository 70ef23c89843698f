import FolderKit
import QuantCore

@testable import GGUF
@testable import HuggingFace
@testable import PyTorch
@testable import QuantModel

/// Files of tensors.
extension Parsers {
  static let safetensors: Parser = { bytes in
    let file = ByteView(bytes)
    guard let header = try? SafetensorsHeader(file) else { return }
    for entry in header.entries {
      guard let view = file.slice(entry.range) else { fatalError("\(entry.name) lies outside the file") }
      use(CheckpointTensor(name: entry.name, shape: entry.shape, storage: PlainStorage(entry.type, view)))
    }
  }

  static let gguf: Parser = { bytes in
    InputFile.use(bytes, name: "model.gguf") { path in
      guard let shard = try? GGUFShard(path) else { return }
      for tensor in shard.tensors { use(tensor) }
      if let data = try? TokenizerData(ggufMetadata: shard.metadata) { Texts.encode(try? Tokenizers.make(data)) }
    }
  }

  static let importance: Parser = { bytes in
    InputFile.use(bytes, name: "imatrix.gguf") { path in
      if let importance = try? ImportanceMatrix.read(path) { _ = try? ImportanceMatrix.bytes(importance) }
    }
  }

  static let legacyImportance: Parser = { bytes in
    InputFile.use(bytes, name: "imatrix.dat") { path in
      if let importance = try? LegacyImportanceMatrix.read(path) { _ = try? LegacyImportanceMatrix.bytes(importance) }
    }
  }

  static let statistics: Parser = { bytes in
    InputFile.use(bytes, name: "model.safetensors") { path in
      guard let checkpoint = try? SafetensorsFormat.open(path, options: OpenOptions()),
        let stored = try? StoredStatistics(checkpoint)
      else { return }
      _ = try? stored.statistics(block: 0, sites: [(.attentionInput, 4)], wanted: Set(Statistic.allCases))
    }
  }

  static let zip: Parser = { bytes in
    InputFile.use(bytes, name: "model.bin") { path in
      guard let file = try? PyTorchFormat.weights(path) else { return }
      for tensor in file.tensors { use(tensor) }
    }
  }

  static let pickle: Parser = { bytes in
    guard var machine = try? PickleMachine(ByteView(bytes)), let value = try? machine.run() else { return }
    _ = try? StateDictionary(value, of: machine)
  }

  /// Decodes small tensors.
  private static func use(_ tensor: CheckpointTensor) {
    guard tensor.storage.isNumeric, tensor.elementCount <= 1 << 16 else { return }
    guard tensor.matrix().values.count == tensor.elementCount else { fatalError("\(tensor.name) has another number of values") }
  }
}
