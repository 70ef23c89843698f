/// Reads quantized folders: finds the weights behind the stored tensors of a packing.
///
/// Implement `unpack`; the rest where readers of the packing know rounded activations, or where a folder can be wrong in a way that
/// programs do not notice. The host asks every unpacker in the order of registration, also where a folder or lone file says
/// nothing of quantization, and takes the first answer. The other questions go to the unpacker that answered.
public protocol Unpacker: PackingPlugin {
  /// The logical tensors of a folder that was written with this packing, or nil where `configuration` is another's.
  /// - Parameters:
  ///   - configuration: what the folder says of its quantization; null where it says nothing.
  ///   - stored: all stored tensors, in file order.
  ///   - metadata: those of all files.
  /// - Throws: `Failure` where parts are missing or of the wrong shape.
  func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]?
  /// How the folder's inputs, keys and values are rounded.
  /// - Throws: `Failure` where a stored scale is missing or not a number of its kind.
  func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord
  /// Whether programs expect a linear layer to be quantized by the configuration alone; nil: they go by its tensors.
  /// - Parameter module: name of its weight, without `.weight`.
  func expectsQuantized(_ module: String, configuration: JSON) -> Bool?
  /// What is wrong in the folder: what programs would misread without a word.
  func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding]
}

extension Unpacker {
  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord { ActivationRecord() }
  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? { nil }
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] { [] }
}
