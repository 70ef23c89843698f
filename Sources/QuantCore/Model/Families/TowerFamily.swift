/// Describes the towers of models of several classes: the parts that turn images or sound into hidden states of the language model, with
/// the projectors to its width. Written and registered like a family, on an axis of its own, because a class can have both.
///
/// The description has tensors with their places and the configurations of outputs that hold the towers alone. Its `otherParts` are the
/// names of the language model; every tensor that is in neither is an error.
public protocol TowerFamily: ModelFamily {}

extension TowerFamily { public static var axis: PluginAxis { .tower } }
