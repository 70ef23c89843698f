import QuantCore

extension Setting {
  private static let anyInput: Set<CheckpointContent> = [.model, .adapter]

  /// Every setting, in the order of a recipe. Options, recipes, `--dump-recipe`, the settings that outputs record, and the refusal of
  /// settings without effect all use this list. A new option is a property of `ConversionOptions` and a row here.
  static let all: [Setting] = [
    Setting("input", "IN", \.input, \.conversion.input, .text, for: anyInput, .local),
    Setting("output", "OUT", \.output, \.conversion.output, .text, for: anyInput, .local),
    Setting("from", "--from", \.source.from, \.conversion.fromFormat, .text, for: anyInput, .local),
    Setting("to", "--to", \.target.to, \.conversion.toFormat, .text, for: anyInput),
    Setting("scheme", "--scheme", \.rounding.scheme, \.conversion.scheme, .scheme, for: anyInput),
    Setting("output_scheme", "--output-scheme", \.rounding.outputChoice, \.conversion.outputScheme, .scheme),
    Setting("embedding_scheme", "--embedding-scheme", \.rounding.embeddingScheme, \.conversion.embeddingScheme, .scheme),
    Setting("target_size", "--target-size", \.size.targetSize, \.conversion.size.bytes, .size),
    Setting("target_bpw", "--target-bpw", \.size.targetBpw, \.conversion.size.bitsPerWeight, .positive),
    Setting("target_kld", "--target-kld", \.size.targetKld, \.conversion.size.divergence, .positive),
    Setting("prefer", "--prefer", \.size.prefer, \.conversion.size.preferred, .names),
    Setting("analysis", "--analysis", \.size.analysis, \.conversion.size.analysisPath, .text, .local),
    Setting("packing", "--packing", \.target.packing, \.conversion.packing, .text, .recorded, .packing),
    Setting("mmproj", "--mmproj", \.target.mmproj, \.conversion.writesTowers, .flag),
    Setting("mtp", "--mtp", \.target.mtp, \.conversion.predictions, .oneOf(PredictionsChoice.self) { $0.value }),
    Setting("client", "--for", \.target.client, \.conversion.client, .text),
    Setting("activations", "--activations", \.rounding.activations, \.conversion.activations, .text, .recorded, .activations),
    Setting("kv_cache", "--kv-cache", \.rounding.kvCache, \.conversion.keyValueCache, .text),
    Setting("calibrator", "--calibrator", \.rounding.calibrator, \.conversion.calibrator, .calibrator, .recorded, .calibrator),
    Setting("pure", "--pure", \.rounding.pure, \.conversion.isPure, .flag, .recorded, .pure),
    Setting("search", "--search", \.rounding.search, \.conversion.search, .oneOf(SearchChoice.self) { $0.value }, .recorded, .search),
    Setting("methods", "--plugin", \.rounding.plugin, \.conversion.methods, .methods, .recorded, .methods),
    Setting("quality", "--quality", \.rounding.quality, \.quality, .oneOf(QualityChoice.self) { $0.value }, .recorded, .quality),
    Setting("drop_blocks", "--drop-blocks", \.source.dropBlocks, \.conversion.droppedBlocks, .someNumbers),
    Setting("adapters", "--lora", \.source.lora, \.conversion.adapters, .adapters, .local),
    Setting("base", "--base", \.source.base, \.conversion.basePath, .text, for: [.adapter], .local, .base),
    Setting("tensors", "--tensor", \.rounding.tensor, \.conversion.tensorRules, .tensorRules),
    Setting("keep", "--keep", \.rounding.keep, \.conversion.keptTensors, .texts, .recorded, .keep),
    Setting("drop", "--drop", \.source.drop, \.conversion.droppedTensors, .texts),
    Setting("tensor_types", "--tensor-type", \.rounding.tensorType, \.conversion.tensorTypes, .texts),
    Setting("metadata.set", "--set-meta", \.target.metadataValues, \.conversion.metadataValues, .texts),
    Setting("metadata.drop", "--drop-meta", \.target.dropMeta, \.conversion.droppedMetadata, .texts),
    Setting(
      "calibration.files", "--calibration", \.observation.text.calibration, \.conversion.calibration.files,
      .texts, .local, .observation),
    Setting(
      "calibration.samples", "--samples", \.observation.text.samples, \.conversion.calibration.samples,
      .wholeNumber(1...1_000_000), .recorded, .mannerOfObservation),
    Setting(
      "calibration.context", "--context", \.observation.text.context, \.conversion.calibration.context,
      .wholeNumber(2...1_048_576), .recorded, .mannerOfObservation),
    Setting("calibration.seed", "--seed", \.observation.text.seed, \.conversion.calibration.seed, .seed, .recorded, .mannerOfObservation),
    Setting(
      "calibration.bos", "--bos", \.observation.text.bos, \.conversion.calibration.bos,
      .oneOf(BOSChoice.self) { $0.value }, .recorded, .beginning),
    Setting(
      "calibration.propagate", "--propagate", \.observation.propagate, \.conversion.propagation,
      .oneOf(StreamChoice.self) { $0.value }, .recorded, .mannerOfObservation),
    Setting(
      "calibration.true_sequential", "--true-sequential", \.observation.trueSequential, \.conversion.isTrueSequential,
      .flag, .recorded, .observation),
    Setting(
      "calibration.products", "--products", \.observation.products, \.conversion.calibration.precision,
      .oneOf(ProductsChoice.self) { $0.value }, .recorded, .products),
    Setting("calibration.stats", "--stats", \.observation.stats, \.conversion.statisticsPath, .text, .local),
    Setting("importance", "--importance", \.rounding.importance, \.conversion.importancePath, .text, .local, .importance),
    Setting("include_weights", "--include-weights", \.rounding.includeWeights, \.conversion.includedImportance, .someTexts),
    Setting("exclude_weights", "--exclude-weights", \.rounding.excludeWeights, \.conversion.excludedImportance, .someTexts),
    Setting("config", "--config", \.source.config, \.conversion.configPath, .text, for: anyInput, .local, .base),
    Setting("tokenizer", "--tokenizer", \.source.tokenizer, \.conversion.tokenizerPath, .text, .local, .tokenizer),
    Setting("pre_tokenizer", "--pre", \.source.pre, \.conversion.preTokenizer, .text, .recorded, .preTokenizer),
    Setting("allow_nonfinite", "--allow-nonfinite", \.rounding.allowNonfinite, \.conversion.allowNonfinite, .flag, for: anyInput),
    Setting("allow_requantize", "--allow-requantize", \.rounding.allowRequantize, \.conversion.allowRequantize, .flag),
    Setting("shard_size", "--shard-size", \.target.shardSize, \.conversion.shardSize, .size, for: anyInput, .recorded, .shardSize),
    Setting("keep_split", "--keep-split", \.target.keepSplit, \.conversion.keepsSplit, .flag, .recorded, .keepSplit),
    Setting("force", "--force", \.target.force, \.conversion.force, .flag, for: anyInput, .none),
    Setting("resume", "--resume", \.target.resume, \.conversion.resumes, .flag, for: anyInput, .none),
    Setting("evaluation.text", "--eval-text", \.quality.evalText, \.evaluation.text, .texts, .none, .evaluationText),
    Setting(
      "evaluation.context", "--eval-context", \.quality.evalContext, \.evaluation.context,
      .wholeNumber(2...1_048_576), .none, .evaluation),
    Setting(
      "evaluation.windows", "--eval-windows", \.quality.evalWindows, \.evaluation.windows,
      .wholeNumber(1...1_000_000_000), .none, .evaluation),
    Setting("gates", "--fail-if", \.quality.failIf, \.gates, .gates, for: anyInput, .none),
    Setting("keep_rejected", "--keep-rejected", \.quality.keepRejected, \.keepsRejected, .flag, for: anyInput, .none, .keepRejected),
    Setting("report", "--report", \.target.reportPlace, \.report, .reportPlace, for: anyInput, .none),
  ]
}
