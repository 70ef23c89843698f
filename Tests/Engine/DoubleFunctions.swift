import QuantPlatform

/// The C library's functions, as an independent reference.
func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }
