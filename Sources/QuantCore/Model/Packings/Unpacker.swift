/// Reads quantized folders: combines the stored tensors of a packing into logical tensors.
///
/// Implement `unpack`, and the other requirements if the packing describes rounded activations, or if a folder can be wrong in ways
/// that clients do not notice. The host calls `unpack` of every unpacker in the order of registration, even if a folder or single file
/// says nothing about quantization, and uses the first result that is not nil. The other requirements are called on that unpacker only.
public protocol Unpacker: PackingPlugin {
  /// The logical tensors of a folder that was written with this packing, or nil if `configuration` belongs to another packing.
  /// - Parameters:
  ///   - configuration: what the folder says about its quantization; null if it says nothing.
  ///   - stored: all stored tensors, in file order.
  ///   - metadata: the metadata of all files.
  /// - Throws: `Failure` if parts are missing or have the wrong shape.
  func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]?
  /// Parts of names that only tensors of such folders have, for folders that do not describe themselves.
  static var traces: [String] { get }
  /// How the folder's inputs, keys and values are rounded.
  /// - Throws: `Failure` if a stored scale is missing or is not a valid scale.
  func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord
  /// Whether clients expect a linear layer to be quantized because of the configuration alone; nil: they decide by its tensors.
  /// - Parameter module: name of its weight, without `.weight`.
  func expectsQuantized(_ module: String, configuration: JSON) -> Bool?
  /// Problems in the folder that clients would misread without a warning.
  func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding]
}

extension Unpacker {
  public static var traces: [String] { [] }
  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord { ActivationRecord() }
  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? { nil }
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] { [] }
}
