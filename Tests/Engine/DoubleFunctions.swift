import QuantPlatform

/// The C library's functions, as oracles of our own.
func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }
