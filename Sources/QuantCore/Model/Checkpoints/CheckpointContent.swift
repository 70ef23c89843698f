/// What can lie in a container.
public enum CheckpointContent: String, Sendable {
  case model
  case adapter
}
