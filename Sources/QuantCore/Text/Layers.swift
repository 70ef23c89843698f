// The layers below are exported, so that the files of this one and everything above see them without an import.
@_exported public import QuantBase
@_exported public import QuantNumbers
