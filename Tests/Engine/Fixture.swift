import HuggingFace
import ModelFamilies
import QuantCore
import TestSupport

/// Models and expectations that the tests share.
enum Fixture {
  struct Broken: Error {}

  /// The tensors of a trusted safetensors file.
  static func tensors(_ path: String) throws -> [CheckpointTensor] {
    let found = storedTensors(path)
    guard !found.isEmpty else { throw Broken() }
    return found
  }

  /// The integers of a data tensor.
  static func integers(_ tensor: CheckpointTensor?) throws -> [Int] {
    guard let tensor, let bytes = tensor.storage.verbatim else { throw Broken() }
    return bytes.withUnsafeBytes { buffer in
      tensor.storage.schemeName == "i16"
        ? buffer.bindMemory(to: Int16.self).map { Int($0) } : buffer.bindMemory(to: Int32.self).map { Int($0) }
    }
  }

  /// A Hugging Face folder.
  static func folder(_ path: String) throws -> Checkpoint { try HuggingFaceFormat.open(path, options: OpenOptions()) }

  static func describe(_ checkpoint: Checkpoint) throws -> ModelDescription {
    let families: [any ModelFamily.Type] = [
      Llama.self, Mistral.self, Mixtral.self, Qwen2.self, Qwen3.self, Qwen2MoE.self, Qwen3MoE.self, Gemma3.self, DeepSeekV3.self,
      GptOss.self, OPT.self, GPT2.self, BLOOM.self, Granite.self, GraniteMoE.self, GraniteHybrid.self, Qwen3Next.self, Qwen35.self,
      Mamba2Model.self, MambaModel.self, Jamba.self, FalconH1.self, NemotronH.self, Bamba.self, Olmo2.self, LFM2.self, SmolLM3.self,
      SeedOSS.self, Exaone4.self, Ernie45.self, HunyuanDense.self, Gemma.self, Gemma2.self, Gemma3n.self, Gemma4.self, OLMoE.self,
      Cohere.self,
      GLM4MoE.self,
      Ernie45MoE.self, HunyuanMoE.self, MiniMaxM2.self, Llama4.self, Dots1.self, HYV3.self, ExaoneMoE.self, AFMoE.self, PhiMoE.self,
      Cohere2MoE.self,
      Phi3.self, GLM4.self, Phi2.self, GPTNeoX.self, StarCoder2.self, StableLM.self,
      Falcon.self, GPTBigCode.self, Olmo.self, Nemotron.self, Arcee.self, MPT.self, MiniCPM.self, MiniCPM3.self, Apertus.self,
      Mistral3.self, QwenVL.self, MiMoV2.self, KimiLinear.self, Laguna.self, DBRX.self, MiniMax01.self, LanguageParts.self, Bert.self,
      NomicBert.self, ModernBert.self, EuroBert.self,
    ]
    guard let configuration = checkpoint.configuration, let name = configuration.architecture,
      let family = families.first(where: { $0.architectures(checkpoint.naming).contains(name) })
    else { throw Broken() }
    return try PrefixedView.describe(checkpoint, configuration, by: family)
  }

  static func engine(_ checkpoint: Checkpoint, threads: Int = 2) throws -> Engine {
    try Engine(checkpoint, model: try describe(checkpoint), parallel: Parallel(threads: threads))
  }
}

extension Engine {
  /// Logits of whole sequences.
  func allLogits(_ tokens: [Int], sequenceLength: Int, observing block: Int? = nil, _ observer: (any SiteObserver)? = nil) throws
    -> Matrix
  {
    var hidden = try embed(tokens, sequenceLength: sequenceLength)
    for index in 0..<model.blocks.count {
      runBlock(loadBlock(index), hidden: &hidden, sequenceLength: sequenceLength, observer: index == block ? observer : nil)
    }
    return logits(hidden)
  }
}

/// The largest difference, relative to the largest value.
func relativeDifference(_ a: [Float], _ b: [Float]) -> Float {
  let scale = b.reduce(0) { max($0, abs($1)) }
  return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
}
