import QuantCore

/// The tensors of a saved model: a dictionary by name, or one inside the dictionary of a training run.
struct StateDictionary {
  /// In the order of the file.
  let tensors: [(name: String, tensor: PickledTensor)]

  /// The keys under which training programs store the model beside the state of the optimizer.
  private static let modelKeys = ["state_dict", "model_state_dict", "model", "module"]
  private static let maximumNameBytes = 65_535

  /// - Throws: `Failure` `pt.…` or `limit.…`.
  init(_ root: PickleValue, of machine: PickleMachine) throws(Failure) {
    guard case .dictionary(let top) = root else { throw StateDictionary.none("something else") }
    var entries = machine.dictionaries[top]
    if !entries.contains(where: { StateDictionary.isTensor($0.value) }) {
      let inner = StateDictionary.modelKeys.lazy.compactMap { key in
        entries.lazy.compactMap { entry in
          if case .string(key) = entry.key, case .dictionary(let index) = entry.value { index } else { nil }
        }.first
      }.first
      guard let inner else { throw StateDictionary.none("a dictionary without tensors") }
      entries = machine.dictionaries[inner]
    }
    tensors = try StateDictionary.tensors(entries, of: machine)
  }

  private static func tensors(
    _ entries: [(key: PickleValue, value: PickleValue)], of machine: PickleMachine
  ) throws(Failure) -> [(name: String, tensor: PickledTensor)] {
    guard entries.count <= CheckpointLimits.tensorsOfFile else {
      throw Failure(
        .data, "limit.tensor-count",
        "holds \(entries.count) tensors; at most \(CheckpointLimits.tensorsOfFile) are supported")
    }
    var tensors: [(name: String, tensor: PickledTensor)] = []
    var names: Set<String> = []
    for (key, value) in entries {
      guard case .string(let name) = key else { throw Failure(.data, "pt.name", "the name of a tensor is not a string") }
      guard !name.isEmpty, name.utf8.count <= maximumNameBytes,
        !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
      else { throw Failure(.data, "pt.name", "the name of a tensor is empty, too long, or not printable") }
      guard names.insert(name).inserted else { throw Failure(.data, "pt.tensor.duplicate", "appears twice", tensor: name) }
      switch value {
      case .tensor(let tensor): tensors.append((name, tensor))
      case .dictionary(let index) where machine.dictionaries[index].contains(where: { isTensor($0.value) }):
        throw Failure(
          .unsupported, "pt.nested", "is a dictionary of tensors beside other tensors, so the names in it are not the model's",
          tensor: name, remedy: "Save only the model's state_dict().")
      // Numbers and lists beside the tensors are not part of a model.
      default: break
      }
    }
    guard !tensors.isEmpty else { throw none("a dictionary without tensors") }
    return tensors
  }

  private static func isTensor(_ value: PickleValue) -> Bool {
    if case .tensor = value { true } else { false }
  }

  private static func none(_ found: String) -> Failure {
    Failure(
      .unsupported, "pt.no-state-dict", "holds \(found), not a model's tensors by name",
      remedy: "Save the model's state_dict(), alone or under one of the keys \(modelKeys.joined(separator: ", ")).")
  }
}
