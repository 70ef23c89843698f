import FamilyKit
import Glibc
public import QuantCore

/// Apertus: Llama with norms of queries and keys, and a feed-forward network without a gate whose function has four learned numbers in
/// every block (xIELU).
///
/// The traps: a folder stores these numbers as tensors, a GGUF as lists under keys without the name of the architecture; two of them are
/// stored before a softplus. Without a key, `config.json` means a scaled rotary embedding.
public enum Apertus: ModelFamily {
  /// Id of the family.
  public static let id = "apertus"
  /// One sentence for lists.
  public static let summary = "Apertus, all sizes"
  /// Report.
  public static let reference = "arXiv:2509.14233"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["apertus"] : ["ApertusForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionNorm, "attention_layernorm", "attn_norm"), TensorName(.feedForwardNorm, "feedforward_layernorm", "ffn_norm"))
    return names
  }()
  /// The learned numbers of the function, as both formats call them.
  private static let learned = ["alpha_n", "alpha_p", "beta", "eps"]

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, activation: "xielu", tensors: tensors)
    let statesRotation = ["rope_scaling", "rope_parameters"].contains { configuration.json?[$0] != nil }
    guard keys.isStored || statesRotation else { throw keys.missing("rope_scaling", "") }
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 12_000_000, factors: tensors[RopeFactors.name])
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let numbers = try learned.map { (name) throws(Failure) in try values(name, keys, n.blockCount, tensors) }
    var attention = n.attention(rope: rope)
    (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
    let query = attention
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let function = numbers.map { $0[block] }
      let activation = Activation.xielu(
        negative: function[2] + softplus(function[0]), positive: softplus(function[1]), linear: function[2], bound: function[3])
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), query),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(activation, isGated: false)),
      ]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    decoder.tabulatedRope = rope
    decoder.furtherTensors = keys.isStored ? [] : places(n.blockCount, tensors)
    var model = try decoder.describe()

    if n.tiesEmbeddings || hasBiases {
      model.obstacles[.gguf] = "llama.cpp needs an output matrix and no biases in 'apertus', but this model has other tensors"
    } else {
      var stored = GGUFKeys("apertus")
      for (name, list) in zip(learned, numbers) { stored.set(withoutArchitecture: "xielu." + name, .f32s(list)) }
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.setRotation(n, rope)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("ApertusForCausalLM", modelType: "apertus")
    guard stated.setCommon(n, rope: rope, activation: "xielu", statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    model.configurations[.huggingFace] = stated.configuration
    if keys.isStored { model.constants[.huggingFace] = constants(numbers, n.blockCount) }
    return model
  }

  private static func name(_ name: String, _ block: Int) -> String { "model.layers.\(block).mlp.act_fn.\(name)" }

  private static func softplus(_ x: Float) -> Float { Float(log1p(exp(Double(x)))) }

  /// One number of every block.
  private static func values(_ name: String, _ keys: ConfigurationKeys, _ blocks: Int, _ tensors: Checkpoint) throws(Failure) -> [Float] {
    if keys.isStored {
      let key = "xielu." + name
      guard case .f32s(let list)? = keys.configuration.keyValues?[key], list.count == blocks else {
        throw keys.bad(key, "is not a list of \(blocks) numbers")
      }
      return list
    }
    return try (0..<blocks).map { (block) throws(Failure) in
      let name = self.name(name, block)
      guard let tensor = tensors[name], tensor.storage.isNumeric, tensor.shape.reduce(1, *) == 1, let value = tensor.matrix().values.first
      else { throw Failure(.data, "model.tensor-missing", "this is not a number of the activation", file: keys.path, tensor: name) }
      return value
    }
  }

  /// The tensors of a folder that is made from a GGUF.
  private static func constants(_ numbers: [[Float]], _ blocks: Int) -> [ConstantTensor] {
    (0..<blocks).flatMap { block in
      zip(learned, numbers).map { learned, values in
        // Its class trains the first two as lists of one number and keeps the others as numbers.
        ConstantTensor(name(learned, block), [values[block]], shape: learned.hasPrefix("alpha") ? [1] : [])
      }
    }
  }

  /// The tensors of a folder that hold these numbers.
  private static func places(_ blocks: Int, _ tensors: Checkpoint) -> [ModelTensor] {
    (0..<blocks).flatMap { block in
      learned.map { learned in
        let (name, shape) = (name(learned, block), tensors[name(learned, block)]?.shape ?? [1])
        return ModelTensor(
          id: TensorID(TensorRole("activation." + learned), block: block), shape: [1], kind: .constant,
          places: [.huggingFace: TensorPlace(name, shape)], isOptional: true)
      }
    }
  }
}
