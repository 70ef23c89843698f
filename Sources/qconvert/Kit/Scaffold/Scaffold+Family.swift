/// A family: a decoder like Llama with two differences.
extension Scaffold {
  var family: String {
    """
    import FamilyKit
    public import QuantCore

    /// \(camel): Llama with two differences. Some blocks have no rotary embedding, and a folder stores the gains of norms minus 1.
    public enum \(camel)Family: ModelFamily {
      public static let id = "\(name)"
      public static let summary = "\(camel), a decoder like Llama in which some blocks have no rotary embedding."
      public static let reference = "the paper or model card that describes it"

      /// The class of transformers that computes the model, and what llama.cpp calls the architecture.
      public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["\(name)"] : ["\(camel)ForCausalLM"] }

      /// Llama's names. The norms of a folder hold `gain - 1`; those of a GGUF hold the gain.
      private static let names: TensorNames = {
        var names = TensorNames.llama
        names.rename(
          TensorName(.attentionNorm, NamedPlace("input_layernorm").storing(.plus(1)), "attn_norm"),
          TensorName(.feedForwardNorm, NamedPlace("post_attention_layernorm").storing(.plus(1)), "ffn_norm"))
        names.back[0] = TensorName(.outputNorm, NamedPlace("norm").storing(.plus(1)), "output_norm")
        return names
      }()

      public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
        // Every number is read by its key in a config.json and its key in a GGUF.
        let keys = ConfigurationKeys(configuration, path: tensors.path)
        var n = try keys.decoderNumbers(tensors: tensors)
        n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
        n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
        // What the family does not compute is refused.
        try keys.refuseActivations(otherThan: "silu")
        let numbers = n
        let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
        let interval = try keys.size("no_rope_interval", "attention.no_rope_interval") ?? 4
        guard interval > 0 else { throw keys.bad(keys.name("no_rope_interval", "attention.no_rope_interval"), "is 0") }

        // What a block is made of, by its number.
        var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block throws(Failure) in
          let hasRope = !(block + 1).isMultiple(of: interval)
          return [
            Branch(norm: numbers.rootMeanSquareNorm(.attentionNorm), numbers.attention(rope: hasRope ? rope : nil)),
            Branch(norm: numbers.rootMeanSquareNorm(.feedForwardNorm), numbers.feedForward(.silu)),
          ]
        }
        decoder.names = names
        var model = try decoder.describe()

        // What a GGUF and a config.json say of this model. Without one of them, that format cannot be written.
        var stored = GGUFKeys("\(name)")
        stored.setCommon(n, rope: rope, statesHeadSize: true)
        stored.set("attention.no_rope_interval", interval)
        model.configurations[.gguf] = stored.configuration
        var stated = HuggingFaceKeys("\(camel)ForCausalLM", modelType: "\(name)")
        if stated.setCommon(n, rope: rope, statesHeadSize: true) {
          stated.set("no_rope_interval", interval)
          model.configurations[.huggingFace] = stated.configuration
        }
        return model
      }
    }

    """
  }

  var familyTests: String {
    """
    import \(camel)Plugin
    import QConvertKit
    import QuantCore
    import Testing

    /// A model with random weights as a folder holds it.
    /// - Parameter gain: what is added to the stored numbers of norms.
    private func randomModel(_ architecture: String, blocks: Int, interval: Int = 4, gain: Float = 0) throws -> Checkpoint {
      let (hidden, inner, vocabulary) = (32, 48, 64)
      var shapes: [(name: String, shape: [Int])] = [("embed_tokens", [vocabulary, hidden])]
      for block in 0..<blocks {
        shapes += [("input_layernorm", [hidden]), ("post_attention_layernorm", [hidden])].map { ("layers.\\(block).\\($0)", $1) }
        shapes += ["q", "k", "v", "o"].map { ("layers.\\(block).self_attn.\\($0)_proj", [hidden, hidden]) }
        shapes += [("gate", [inner, hidden]), ("up", [inner, hidden]), ("down", [hidden, inner])].map {
          ("layers.\\(block).mlp.\\($0)_proj", $1)
        }
      }
      shapes.append(("norm", [hidden]))
      var state: UInt64 = 1
      let tensors = shapes.map { name, shape in
        let values = (0..<shape.reduce(1, *)).map { _ -> Float in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          let random = Float(state >> 40) / Float(1 << 24) - 0.5
          return shape.count == 1 ? random * 0.2 + gain : random
        }
        let bytes = NumberConversion.bytes(of: values, as: .f32)
        return CheckpointTensor(name: "model.\\(name).weight", shape: shape, storage: PlainStorage(.f32, ByteView(bytes)))
      }
      let configuration = JSON.object([
        .init("hidden_size", .int(hidden)), .init("intermediate_size", .int(inner)), .init("num_hidden_layers", .int(blocks)),
        .init("num_attention_heads", .int(4)), .init("vocab_size", .int(vocabulary)), .init("rms_norm_eps", .double(1e-5)),
        .init("tie_word_embeddings", .bool(true)), .init("no_rope_interval", .int(interval)),
      ])
      return Checkpoint(
        path: "random", format: "huggingface", tensors: tensors, naming: Naming(rawValue: "huggingFace"),
        configuration: Configuration(configuration, architecture: architecture), files: [])
    }

    /// Logits of the last of some tokens.
    private func logits(_ checkpoint: Checkpoint, _ tokens: [Int]) throws -> [Float] {
      let model = try Opening(Registry(\(entry).builtIn + [\(camel)Family.self])).describe(checkpoint)
      let engine = try Engine(checkpoint, model: model, parallel: Parallel(threads: 2))
      var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
      for block in model.blocks.indices { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: tokens.count) }
      return engine.logits(hidden).values.suffix(model.vocabularySize)
    }

    @Test func withRotaryEmbeddingEverywhereItIsALlamaWithOtherGains() throws {
      let tokens = [3, 41, 7, 7, 60, 12]
      let own = try logits(randomModel("\(camel)ForCausalLM", blocks: 3), tokens)
      #expect(try own == logits(randomModel("LlamaForCausalLM", blocks: 3, gain: 1), tokens))
    }

    @Test func blocksWithoutRotaryEmbeddingDoNotSeeTheOrderOfTokens() throws {
      func change(_ interval: Int) throws -> Float {
        let model = try randomModel("\(camel)ForCausalLM", blocks: 1, interval: interval)
        let (a, b) = (try logits(model, [3, 41, 7, 60, 12]), try logits(model, [60, 7, 3, 41, 12]))
        return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
      }
      #expect(try change(1) < 1e-5)
      #expect(try change(2) > 1e-3)
    }

    @Test func everyTensorHasAPlaceInBothFormats() throws {
      let checkpoint = try randomModel("\(camel)ForCausalLM", blocks: 2)
      let model = try \(camel)Family.describe(#require(checkpoint.configuration), tensors: checkpoint)
      let stored = Set(model.tensors.filter { !$0.isOptional }.compactMap { $0.name(checkpoint.naming) })
      #expect(stored == Set(checkpoint.tensors.map(\\.name)))
      #expect(model.tensors.allSatisfy { $0.name(Naming(rawValue: "gguf")) != nil })
    }

    """
  }
}
