/// What a checkpoint holds.
public enum CheckpointContent: String, Sendable {
  case model
  case adapter
}
