import HeronPlugin
import QConvertKit

QConvert.main(plugins: QConvert.builtIn + [HeronFamily.self])
