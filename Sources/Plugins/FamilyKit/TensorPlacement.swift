import QuantCore

/// Finds where formats hold the tensors of one block, or those outside the blocks.
struct TensorPlacement {
  /// Rows of the table, in their order.
  let names: [TensorName]
  let table: TensorNames
  /// Nil: outside the blocks.
  let block: Int?
  /// Put before the roles of tensors that belong to no block of the forward pass although their names number one.
  var rolePrefix: String?
  /// Dimensions of a head, and the number of key-value heads, for orders that depend on heads.
  let headSize: Int
  let keyValueHeads: Int

  /// A tensor of the model, perhaps with a bias.
  struct Member {
    var tensor: PartTensor
    var isOptional = false
    var bias = BiasPresence.never
  }

  /// - Returns: the tensors in the order of the table.
  func tensors(_ members: [Member]) -> [ModelTensor] {
    let rows = names.map { name in
      (name: name, members: members.filter { $0.tensor.role == name.role && ($0.tensor.expert != nil) == name.isOfExperts })
    }
    return rows.flatMap { name, own in
      own.flatMap { member in
        let biases = member.bias == .never ? [] : [tensor(member, name, rows, isBias: true)]
        return [tensor(member, name, rows, isBias: false)] + biases
      }
    }
  }

  private func tensor(
    _ member: Member, _ name: TensorName, _ rows: [(name: TensorName, members: [Member])], isBias: Bool
  ) -> ModelTensor {
    let tensor = member.tensor
    var places: [Naming: TensorPlace] = [:]
    for (naming, place) in name.places { places[naming] = self.place(tensor, place, naming, rows, isBias: isBias) }
    var result = ModelTensor(
      id: id(tensor, isBias: isBias),
      shape: isBias ? [tensor.shape[0]] : tensor.shape, kind: isBias ? .bias : tensor.kind, places: places,
      isOptional: isBias ? member.bias == .optional || member.isOptional : member.isOptional)
    for (naming, place) in name.places where !isBias {
      guard let name = place.nameOfCodes else { continue }
      let own = NamedPlace(name)
      result.placesOfCodes[naming] = TensorPlace(fullName(own, naming, tensor.expert) + own.suffix, tensor.shape)
    }
    return result
  }

  private func id(_ tensor: PartTensor, isBias: Bool) -> TensorID {
    guard let rolePrefix else { return TensorID(tensor.role, block: block, expert: tensor.expert, isBias: isBias) }
    return TensorID(TensorRole(rolePrefix + tensor.role.rawValue), expert: tensor.expert, isBias: isBias)
  }

  private func place(
    _ tensor: PartTensor, _ place: NamedPlace, _ naming: Naming, _ rows: [(name: TensorName, members: [Member])], isBias: Bool
  ) -> TensorPlace {
    // The rows that share a tensor of the format, in its order.
    let fused = rows.filter { row in
      guard let other = row.name.places[naming] else { return false }
      return other.name == place.name && other.suffix == place.suffix && !row.members.isEmpty
    }
    let lengths = fused.map { $0.members[0].tensor.shape[0] }
    let index = fused.firstIndex { $0.name.role == tensor.role } ?? 0
    let all = lengths.reduce(0, +)
    let own = tensor.shape[0]
    let isStacked = tensor.expert != nil && !place.name.contains("*")
    var layout = RowLayout(firstRow: isStacked ? (tensor.expert ?? 0) * all : 0, values: isBias ? .same : place.values)
    let turns: Int? =
      switch place.order {
      case .headsByTurns: keyValueHeads
      case .rowsByTurns: own
      case .piecesByTurns(let count): count
      case .same, .rotaryPairs, .unitsByTurns: nil
      }
    if let turns {
      layout.firstRow += lengths[..<index].reduce(0) { $0 + $1 / turns }
      layout.order = .spacedHeads(size: own / turns, stride: all / turns)
    } else {
      layout.firstRow += lengths[..<index].reduce(0, +)
      if case .unitsByTurns(let first, let size, let groups) = place.order {
        layout.order = .unitsByTurns(first: first, size: size, groups: groups)
      }
      if case .rotaryPairs = place.order { layout.order = .rotaryPairs(headCount: max(1, own / max(1, headSize))) }
    }
    var shape = [all]
    if tensor.shape.count == 2, !isBias {
      layout.isTransposed = place.isTransposed
      layout.columns = place.columns
      let stack = place.isStackedByHeads ? [keyValueHeads] : []
      let outputs = place.isStackedByHeads ? all / max(1, keyValueHeads) : all
      shape = stack + (place.isTransposed ? [tensor.shape[1], outputs] : [outputs, tensor.shape[1]])
    }
    if let dimensions = place.dimensions, !isBias { shape = dimensions }
    if let rows = place.heldRows { shape[0] = rows }
    if place.isRow, tensor.shape.count == 1 { shape = [1] + shape }
    if place.unusedRows > 0 {
      layout.firstRow += place.unusedRows
      shape[0] += place.unusedRows
    }
    if isStacked { shape = [fused.first?.members.count ?? 1] + shape }
    var result = TensorPlace(fullName(place, naming, tensor.expert) + (isBias ? place.biasSuffix : place.suffix), shape, layout)
    if !isBias {
      result.schemes = place.schemes
      result.dimensions = place.isFlat && isStacked ? [shape[0] * shape[1], shape[2]] : place.statedDimensions
    }
    return result
  }

  private func fullName(_ place: NamedPlace, _ naming: Naming, _ expert: Int?) -> String {
    var name = place.name
    if let expert { name = name.replacing("*", with: "\(expert)") }
    if let block, !place.isOutside { name = (table.blockPrefixes[naming] ?? "").replacing("*", with: "\(block)") + name }
    return (place.isOutside ? "" : table.prefixes[naming] ?? "") + name
  }
}

/// Whether a linear layer or a norm has a bias.
public enum BiasPresence: Sendable {
  case never
  case always
  /// If the checkpoint holds one.
  case optional
}
