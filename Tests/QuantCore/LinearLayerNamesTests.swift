import Testing

@testable import QuantModel

/// Which tensors of a folder without a family are quantized by default, tested with names from checkpoints that people convert.
@Suite struct LinearLayerNamesTests {
  private func isLinear(_ name: String, shape: [Int] = [256, 256], _ configuration: JSON? = nil) -> Bool {
    var tensor = PresetTensor(name: name, shape: shape, isQuantizable: true, id: nil)
    tensor.configuration = configuration.map { Configuration($0, architecture: nil) }
    return tensor.isBlockLinear(of: nil)
  }

  @Test(arguments: [
    "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.qkv_proj.weight",
    "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
    "model.layers.0.self_attn.kv_b_proj.weight", "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.gate_up_proj.weight",
    "model.layers.0.mlp.experts.7.gate_proj.weight", "model.layers.0.mlp.shared_expert.gate_proj.weight",
    "model.layers.0.mlp.shared_experts.down_proj.weight", "model.layers.0.block_sparse_moe.experts.3.w1.weight",
    "transformer.h.0.attn.c_attn.weight", "transformer.h.0.mlp.fc_in.weight", "gpt_neox.layers.0.attention.query_key_value.weight",
    "gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "model.decoder.layers.0.fc1.weight", "model.layers.0.attention.wqkv.weight",
    "model.layers.0.feed_forward.w2.weight", "transformer.blocks.0.attn.Wqkv.weight", "model.layers.0.mlp.up_gate_proj.weight",
    "backbone.layers.0.mixer.in_proj.weight", "backbone.layers.0.mixer.out_proj.weight",
    "model.layers.0.linear_attn.in_proj_qkvz.weight",
    "language_model.model.layers.0.self_attn.o_proj.weight", "model.language_model.layers.0.mlp.down_proj.weight",
    "blk.0.ffn_gate.weight", "transformer.blocks.0.norm_attn_norm.attn.Wqkv.weight",
    "model.layers.0.cross_attn.k_proj.weight",
  ])
  func namesOfLinearLayersAreRecognized(_ name: String) { #expect(isLinear(name)) }

  @Test(arguments: [
    // Routers and gates.
    "model.layers.0.mlp.gate.weight", "model.layers.0.block_sparse_moe.gate.weight", "model.layers.0.mlp.gate.wg.weight",
    "model.layers.0.feed_forward.router.weight", "model.layers.0.block_sparse_moe.router.layer.weight",
    "model.layers.0.mlp.router.weight",
    "transformer.blocks.0.ffn.router.layer.weight", "model.layers.0.mlp.shared_expert_gate.weight", "blk.0.ffn_gate_inp.weight",
    "blk.0.ffn_gate_inp_shexp.weight",
    "model.mtp.0.fc.weight", "medusa_head.0.0.linear.weight", "mtp_layers.0.mtp_proj.weight",
    // Vision and audio.
    "visual.blocks.0.attn.qkv.weight", "model.visual.blocks.3.mlp.down_proj.weight", "visual.merger.mlp.0.weight",
    "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight", "model.vision_tower.encoder.layers.0.mlp.fc1.weight",
    "vision_model.model.layers.0.self_attn.k_proj.weight", "audio_tower.layers.0.fc1.weight",
    "model.audio_tower.conformer.0.ffw.weight",
    "multi_modal_projector.linear_1.weight", "model.mm_projector.0.weight", "model.mm_projector.2.weight", "mlp1.1.vision.weight",
    "model.connector.modality_projection.0.proj.weight", "resampler.attn.0.in_proj.weight",
    "vpm.encoder.layers.0.self_attn.q_proj.weight",
    "model.embed_vision.0.projection.weight", "model.vision_embed_tokens.img_processor.layers.0.fc1.weight",
    // Layers for multi-token prediction.
    "model.layers.61.eh_proj.weight", "model.layers.61.shared_head.head.weight", "model.layers.61.embed_tokens.weight",
    // Tables, norms and convolutions.
    "model.layers.0.input_layernorm.weight", "transformer.h.0.ln_1.weight", "transformer.blocks.0.norm_attn_norm.norm_1.weight",
    "model.layers.0.embed.proj.weight",
    "model.layers.0.pos_table.weight",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "model.layers.0.short_conv.conv1d.weight",
    "model.layers.0.conv.conv.weight", "lm_heads.0.lm_head.weight", "model.embed_tokens.weight", "lm_head.weight",
    // Small matrices of state spaces and linear attention.
    "backbone.layers.0.mixer.x_proj.weight", "backbone.layers.0.mixer.dt_proj.weight",
    "model.layers.0.linear_attn.in_proj_ba.weight",
    "model.layers.0.self_attn.f_a_proj.weight", "model.layers.0.self_attn.indexer.weights_proj.weight",
    "model.layers.0.altup.router.weight",
    "model.layers.0.per_layer_input_gate.weight",
    // Not the weight of a single layer.
    "model.layers.0.mixer.A_log", "model.layers.0.mixer.D", "model.layers.0.mlp.experts.gate_up_proj",
  ])
  func otherNamesAreNotLinearLayers(_ name: String) { #expect(!isLinear(name)) }

  @Test func shapesCanExcludeALayerToo() {
    let name = "model.layers.0.mlp.mixture.weight"
    let experts = JSON.object([.init("num_experts", .int(64))])
    let nested = JSON.object([.init("text_config", .object([.init("n_routed_experts", .int(64))]))])
    #expect(isLinear(name, shape: [64, 256]))
    #expect(!isLinear(name, shape: [64, 256], experts) && !isLinear(name, shape: [64, 256], nested))
    #expect(isLinear(name, shape: [128, 256], experts))
    // The number of outputs equals that of experts by chance.
    #expect(isLinear("model.layers.0.self_attn.k_proj.weight", shape: [64, 256], experts))
    #expect(!isLinear(name, shape: [1, 256]) && !isLinear(name, shape: [2, 64, 256]) && !isLinear(name, shape: [256]))
  }

  /// Clients build linear layers from these, and must be told that they are not quantized.
  @Test func layersThatClientsBuildAreLinear() {
    func isNamed(_ name: String) -> Bool { QuantizedModule.isLinear(name, shape: [8, 8], id: nil, model: nil) }
    for name in [
      "model.layers.0.mlp.gate.weight", "visual.blocks.0.attn.qkv.weight", "model.embed_vision.embedding_projection.weight",
      "embed_out.weight",
    ] {
      #expect(isNamed(name), "\(name)")
    }
    for name in ["model.embed_tokens.weight", "model.layers.0.q_norm.weight", "vision.embeddings.position_embedding.weight"] {
      #expect(!isNamed(name), "\(name)")
    }
  }
}
