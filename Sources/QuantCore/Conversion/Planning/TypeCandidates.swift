/// The tensors of an output whose types are chosen one by one, and what each may become.
struct TypeCandidates {
  /// Tensors that get one type: a tensor of the output, or several that clients compute with together.
  struct Group {
    /// Indices of drafts.
    var drafts: [Int]
    /// Types that all of them can have, with the bytes of all of them together.
    var options: [(scheme: any Scheme, bytes: Int)]

    /// Whether a scheme is among the options.
    func has(_ name: String) -> Bool { options.contains { $0.scheme.name == name } }
  }

  let planner: Planner
  let opened: Checkpoint
  let passes: Planner.Passes
  let model: ModelDescription
  let groups: [Group]

  var request: ConversionRequest { passes.request }

  /// - Parameter preferred: names of the schemes to choose from; empty: all that the output can hold.
  /// - Throws: `Failure` if no family knows the model, and for a name that means no scheme.
  init(_ planner: Planner, _ passes: Planner.Passes, opened: Checkpoint, preferred: [String]) throws {
    self.planner = planner
    self.passes = passes
    self.opened = opened
    guard let model = passes.shaped.model else {
      throw Failure(
        .unsupported, "sizes.family", "types can be chosen one by one only in a model whose family is known",
        file: passes.request.input,
        remedy: "Give a \(setting: "scheme").")
    }
    self.model = model
    groups = try TypeCandidates.groups(passes, preferred)
  }

  /// The model's tensors in a group.
  func pieces(of group: Group) -> [TensorPiece] { group.drafts.flatMap { passes.drafts[$0].pieces } }

  /// Whether all of a group belongs to blocks.
  func isInBlocks(_ group: Group) -> Bool { group.drafts.allSatisfy { passes.drafts[$0].id?.block != nil } }

  /// The plan with one type for each group.
  /// - Parameter choice: names of schemes by group; nil: the group is not quantized.
  func plan(_ choice: [String?]) throws -> ConversionPlan {
    var schemes: [String: String] = [:]
    for (group, name) in zip(groups, choice) {
      for draft in group.drafts { schemes[passes.drafts[draft].name] = name }
    }
    return try planner.plan(request, passes, opened, mix: OrderedMix(schemes: schemes))
  }

  private static func groups(_ passes: Planner.Passes, _ preferred: [String]) throws -> [Group] {
    let (request, drafts) = (passes.request, passes.drafts)
    let free = try passes.choice(mix: OrderedMix(schemes: [:])).free(drafts)
    var gathered: [(key: String, drafts: [Int])] = []
    var places: [String: Int] = [:]
    for index in free {
      let key = passes.target.jointKey(drafts[index].id) ?? drafts[index].name
      if let place = places[key] {
        gathered[place].drafts.append(index)
      } else {
        places[key] = gathered.count
        gathered.append((key, [index]))
      }
    }
    let names = try names(passes, preferred)
    let sealing = passes.sealing
    let inputs = try InputChoice(request.activations)
    let observes = passes.chain.methods.contains { $0.roundsByStatistics }
    func planned(_ index: Int, _ scheme: any Scheme) -> Int? {
      let draft = drafts[index]
      let isInBlock = draft.id?.block != nil
      let isRounded = request.importancePath != nil || observes && isInBlock
      if !isRounded, scheme.importanceNeed == .everything || scheme.importanceNeed == .layers && isInBlock { return nil }
      var chosen = ChosenDraft(draft)
      chosen.scheme = scheme
      if inputs.isGiven, isInBlock, scheme.grid.kind != .float { chosen.activations = inputs.scheme }
      return (try? sealing.seal(chosen))?.storedBytes
    }
    return try gathered.map { _, indices in
      var options: [(scheme: any Scheme, bytes: Int)] = []
      let floats = preferred.isEmpty ? Set(indices.map { passes.unquantized(drafts[$0]) }) : []
      for name in names + (floats.count == 1 ? Array(floats) : []) {
        let scheme = try passes.target.registry.scheme(name, modelType: passes.shaped.source.modelType)
        let bytes = indices.map { planned($0, scheme) }
        if !bytes.contains(nil) { options.append((scheme, bytes.reduce(0) { $0 + ($1 ?? 0) })) }
      }
      return Group(drafts: indices, options: options)
    }.filter { !$0.options.isEmpty }
  }

  /// Lengths of groups that are tried where a scheme takes any.
  private static let groupLengths = [32, 64, 128]

  /// Every quantized scheme of the registry, or those that were asked for.
  private static func names(_ passes: Planner.Passes, _ preferred: [String]) throws -> [String] {
    let registry = passes.target.registry
    let modelType = passes.shaped.source.modelType
    guard preferred.isEmpty else {
      let names = preferred.map { $0.lowercased() }
      for name in names { _ = try registry.scheme(name, modelType: modelType) }
      return names
    }
    let all = registry.schemeProviders.flatMap { $0.schemeNames }.flatMap { name in
      name.contains("N") ? groupLengths.map { name.replacing("N", with: "\($0)") } : [name]
    }
    var seen: Set<String> = []
    return all.filter { name in
      guard seen.insert(name).inserted, let scheme = try? registry.scheme(name, modelType: modelType), scheme.name == name else {
        return false
      }
      return scheme.grid.kind != .float && passes.target.packings.contains { $0.holds($0.stored(scheme).grid) }
    }
  }
}
