/// What a checkpoint is.
public enum CheckpointContent: String, Sendable {
  case model
  case adapter
}
