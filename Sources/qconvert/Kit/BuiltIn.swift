import AWQ
import AWQContainer
import BitsAndBytes
import Clients
import CompressedTensors
import Float8
import GGUF
import GPTOSS
import GPTQ
import GPTQContainer
import HQQ
import HalfQuadratic
import HuggingFace
import LowRank
import MLX
import ModelFamilies
import ModelOpt
import PyTorch
public import QuantCore
import RTN
import Rotation
import SmoothQuant
import TorchAO
import ZeroQuant

extension QConvert {
  /// The plug-ins of the `qconvert` binary, axis by axis: the only such list. Custom programs add to it.
  public static let builtIn: [any Plugin.Type] = [
    // Methods
    RTN.self, AWQ.self, GPTQ.self, APTQ.self, SmoothQuant.self, Rotate.self, ZeroQuant.self, HalfQuadratic.self, LoRC.self, LQER.self,
    EoRA.self, LQLoRA.self,
    // Schemes and presets
    FloatSchemes.self, IntegerSchemes.self, AffineSchemes.self, Float8Schemes.self, MicroscalingSchemes.self, BitsAndBytesSchemes.self,
    HQQSchemes.self, GroupedFloatSchemes.self,
    GGUFBlocks.self,
    GGUFGrids.self,
    WeightPresets.self, ZeroQuantPresets.self, GGUFMixes.self,
    // Packings, the most preferred first: those that store the exponent of a scale before those that store it as a float
    PlainPacking.self, GGUFBlockPacking.self, GGUFFloatPacking.self, PackQuantized.self, IntQuantized.self, MXFP8Quantized.self,
    FloatQuantized.self,
    GPTQVersion1.self, GPTQVersion2.self, AWQGEMM.self, NVFP4PackQuantized.self, MXFP4PackQuantized.self,
    NativeFloat8.self, BlockFloat8.self, ModelOptFloat8.self, ModelOptNVFP4.self, GPTOSSExperts.self, BitsAndBytes.self, HQQ.self,
    MLX.self, TorchAO.self, ValuesPacking.self,
    // Formats
    GGUFFormat.self, PEFTFormat.self, HuggingFaceFormat.self, SafetensorsFormat.self, PyTorchFormat.self,
    // Importance formats; the last has no signature, so it is tried last
    ImportanceMatrix.self, LegacyImportanceMatrix.self,
    // Clients
    VLLM.self, Transformers.self, LlamaCpp.self, GPTQModel.self, MLXLM.self,
    // Families
    Llama.self, Mistral.self, Mixtral.self, Qwen2.self, Qwen3.self, Qwen2MoE.self, Qwen3MoE.self, Gemma3.self, Gemma3n.self, Gemma4.self,
    DeepSeekV3.self,
    GptOss.self, OPT.self, GPT2.self, BLOOM.self, Granite.self, GraniteMoE.self, GraniteHybrid.self, Qwen3Next.self, Qwen35.self,
    Mamba2Model.self, MambaModel.self, Jamba.self, FalconH1.self, NemotronH.self, Bamba.self, Olmo2.self, LFM2.self, SmolLM3.self,
    SeedOSS.self, Exaone4.self, Ernie45.self, HunyuanDense.self, Gemma.self, Gemma2.self, OLMoE.self, Cohere.self, GLM4MoE.self,
    Ernie45MoE.self, HunyuanMoE.self, MiniMaxM2.self, Llama4.self, Dots1.self, HYV3.self, ExaoneMoE.self, AFMoE.self, PhiMoE.self,
    Cohere2MoE.self,
    Phi3.self, GLM4.self, Phi2.self, GPTNeoX.self, StarCoder2.self, StableLM.self, Falcon.self, GPTBigCode.self,
    Olmo.self, Nemotron.self, Arcee.self, MPT.self, MiniCPM.self, MiniCPM3.self, Apertus.self, Mistral3.self, QwenVL.self, Qwen3VLMoE.self,
    Jais2.self, Mellum.self, MiMoV2.self, KimiLinear.self, Laguna.self, DBRX.self, T5.self, MiniMax01.self,
    LanguageParts.self, Bert.self, NomicBert.self, ModernBert.self, EuroBert.self,
    // Towers
    Gemma3Tower.self, QwenVLTower.self, Qwen3VLTower.self, LlavaTower.self, PixtralTower.self, Idefics3Tower.self, InternVLTower.self,
    LFM2VLTower.self, Llama4Tower.self, GLM4VTower.self, Gemma3nTower.self, Gemma4Tower.self, Gemma4UnifiedTower.self, Qwen2AudioTower.self,
    VoxtralTower.self,
    UltravoxTower.self,
  ]
}
