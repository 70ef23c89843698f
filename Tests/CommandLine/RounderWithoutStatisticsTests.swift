import QConvertKit
import QuantCore
import TestSupport
import Testing

/// A method that needs only the weights: it clamps each row to a fraction of its largest magnitude. The fraction differs between
/// rows and experts, so that a mixed-up row is noticed.
struct ClampingMethod: QuantizationMethod {
  static let id = "clamping"
  static let summary = "Clamps rows, for tests."
  static let reference = "none"
  init(_ options: OptionValues) throws {}
  var stages: Set<MethodStage> { [.round] }
  func rounder(for task: RoundingTask) throws -> (any Rounder)? { Clamp(scheme: task.scheme, expert: task.id?.expert ?? 0) }

  private struct Clamp: Rounder {
    let scheme: any Scheme
    let expert: Int

    func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
      let columns = panel.columns
      let values = rows.indices.flatMap { index in
        ClampingMethod.clamped(Array(UnsafeBufferPointer(start: panel.row(index), count: columns)), row: rows[index], expert: expert)
      }
      Matrix(rows: rows.count, columns: columns, values: values).withPanel { scheme.encode($0, importance: nil, into: &result) }
    }
  }

  static func clamped(_ weights: [Float], row: Int, expert: Int) -> [Float] {
    let bound = (0.4 + 0.1 * Float(row % 5) - 0.05 * Float(expert)) * weights.reduce(0) { max($0, abs($1)) }
    return weights.map { min(max($0, -bound), bound) }
  }

  /// The weights that are read back from a matrix that the method rounded.
  static func rounded(_ matrix: Matrix, _ scheme: any Scheme, expert: Int = 0) -> [Float] {
    let values = (0..<matrix.rows).flatMap { row in
      clamped(Array(matrix.values[row * matrix.columns..<(row + 1) * matrix.columns]), row: row, expert: expert)
    }
    return Matrix(rows: matrix.rows, columns: matrix.columns, values: values).withPanel { scheme.roundTrip($0) }
  }
}

/// A method without calibration really rounds the tensors that are recorded as its own, for every way of writing them.
@Suite struct RounderWithoutStatisticsTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn + [ClampingMethod.self]) }

  private static let clamping: [(id: String, options: [String: String])] = [(ClampingMethod.id, [:])]

  /// The weights of a checkpoint as its family describes them.
  private func weights(_ path: String) throws -> (model: ModelDescription, weights: ModelWeights) {
    let opening = Opening(registry), checkpoint = try opening.open(path)
    let model = try opening.describe(checkpoint)
    return (model, try ModelWeights(checkpoint, model: model))
  }

  /// Compares every quantized matrix of an output with what the method makes of the source's.
  private func check(_ plan: ConversionPlan, roundedFrom source: String, atLeast count: Int) throws {
    let parallel = Parallel(threads: 2)
    let (before, after) = (try weights(source), try weights(plan.request.output))
    var checked = 0
    for tensor in plan.tensors where tensor.scheme.grid.kind != .float {
      for piece in tensor.pieces {
        let original = try #require(before.weights.matrix(piece.id, parallel: parallel))
        let found = try #require(after.weights.matrix(piece.id, parallel: parallel)).values
        #expect(found == ClampingMethod.rounded(original, tensor.scheme, expert: piece.id.expert ?? 0), "\(tensor.name) \(piece.id)")
        #expect(found != original.withPanel { tensor.scheme.roundTrip($0) }, "\(tensor.name) \(piece.id)")
        checked += 1
      }
    }
    #expect(checked >= count)
  }

  /// Rows in rotary pairs (llama), transposed matrices (gpt2), and stacks of experts (mixtral).
  @Test(arguments: [("llama-biases", 10), ("gpt2", 8), ("mixtral", 20)])
  func rearrangedTensorsAreRoundedByTheMethod(_ name: String, _ count: Int) throws {
    let source = SharedData.fixture("engine/" + name)
    let plan = try plan(RandomModel.copy(name, into: folder), "model.gguf") {
      $0.scheme = "q4_0"
      $0.isPure = true
      $0.methods = Self.clamping
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    try check(plan, roundedFrom: source, atLeast: count)
    #expect(plan.tensors.contains { $0.id?.block == nil && $0.scheme.grid.kind != .float }, "the embedding is among them")
  }

  /// In place, in the format's own order of rows and with its stacks.
  @Test(arguments: ["llama-biases", "mixtral"]) func blocksInPlaceAreRoundedByTheMethod(_ name: String) throws {
    let source = try convert(RandomModel.copy(name, into: folder), "source.gguf") { $0.scheme = "f32" }
    let plan = try plan(source, "model.gguf") {
      $0.scheme = "q4_0"
      $0.isPure = true
      $0.methods = Self.clamping
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    try check(plan, roundedFrom: source, atLeast: 10)
  }

  @Test func stacksWithoutAFamilyAreRoundedMatrixByMatrix() throws {
    let known = try convert(RandomModel.copy("mixtral", into: folder), "known.gguf") { $0.scheme = "f32" }
    let source = try convert(known, "source.gguf") {
      $0.scheme = "keep"
      $0.metadataValues = ["general.architecture=str:unheard-of", "unheard-of.block_count=u32:2"]
    }
    let plan = try plan(source, "model.gguf") {
      $0.scheme = "q4_0"
      $0.isPure = true
      $0.methods = Self.clamping
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    let (before, after) = (try Opening(registry).open(source), try Opening(registry).open(plan.request.output))
    var stacks = 0
    for tensor in plan.tensors where tensor.scheme.grid.kind != .float {
      let original = try #require(before[tensor.name]).matrix(), rows = tensor.shape[tensor.shape.count - 2]
      stacks += tensor.shape.count > 2 ? 1 : 0
      let expected = stride(from: 0, to: original.rows, by: rows).flatMap { first in
        let values = Array(original.values[first * original.columns..<(first + rows) * original.columns])
        return ClampingMethod.rounded(Matrix(rows: rows, columns: original.columns, values: values), tensor.scheme)
      }
      #expect(after[tensor.name]?.matrix().values == expected, "\(tensor.name)")
      #expect(expected != original.withPanel { tensor.scheme.roundTrip($0) }, "\(tensor.name)")
    }
    #expect(stacks == 4)
  }

  @Test func layersWithoutAFamilyAreRoundedByTheMethod() throws {
    var edited = try EditedFolder(RandomModel.copy("qwen2", into: folder))
    edited.set("architectures", to: .array([.string("UnheardOfForCausalLM")]))
    edited.set("model_type", to: .string("unheard-of"))
    edited.save()
    let plan = try plan(edited.path, "model") {
      $0.scheme = "int4-g16"
      $0.methods = Self.clamping
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    let (before, after) = (try Opening(registry).open(edited.path), try Opening(registry).open(plan.request.output))
    let quantized = plan.tensors.filter { $0.scheme.grid.kind != .float }
    #expect(quantized.count == 2 * 7)
    for tensor in quantized {
      let original = try #require(before[tensor.name]).matrix()
      let expected = ClampingMethod.rounded(original, tensor.scheme)
      #expect(after[tensor.name]?.matrix().values == expected, "\(tensor.name)")
      #expect(expected != original.withPanel { tensor.scheme.roundTrip($0) }, "\(tensor.name)")
    }
  }

  /// Blocks are observed for the first method; it changes weights, and the last method rounds the result.
  @Test func blocksThatAnotherMethodObservesAreRoundedByTheMethod() throws {
    let source = try RandomModel.copy("llama-biases", into: folder)
    writeFile(folder.file("text.txt"), Array(RandomModel.text.utf8))
    func smoothed(_ output: String, _ scheme: String, then methods: [(id: String, options: [String: String])]) throws -> ConversionPlan {
      let plan = try self.plan(source, output) {
        $0.scheme = scheme
        $0.isPure = true
        $0.methods = [("smoothquant", [:])] + methods
        $0.calibration.files = [folder.file("text.txt")]
      }
      try Converter(registry).run(plan, progress: SilentProgress())
      return plan
    }
    let scaled = try smoothed("scaled.gguf", "f32", then: [])
    let plan = try smoothed("model.gguf", "q4_0", then: Self.clamping)
    try check(plan, roundedFrom: scaled.request.output, atLeast: 10)
  }

  @Test func ofTwoMethodsThatRoundTheFirstIsRefused() throws {
    func refused(_ methods: [String]) -> Failure? {
      do {
        _ = try plan(model, "out") {
          $0.scheme = "int4-g32"
          $0.methods = methods.map { (id: $0, options: [:]) }
        }
      } catch { return error as? Failure }
      return nil
    }
    for chain in [["gptq", "awq"], ["gptq", "clamping"], ["clamping", "gptq"], ["smoothquant", "gptq", "awq"], ["gptq", "gptq"]] {
      let failure = refused(chain)
      #expect(failure?.id == "method.overruled" && failure?.kind == .usage && failure?.remedy?.description.isEmpty == false, "\(chain)")
    }
    #expect(refused(["gptq", "awq"])?.remedy?.description.contains("'awq' first") == true)
    #expect(refused(["awq", "gptq"]) == nil)
    #expect(refused(["smoothquant", "awq"]) == nil)
    #expect(refused(["awq", "clamping"]) == nil)
    #expect(refused(["rtn", "gptq"]) == nil)
  }
}
