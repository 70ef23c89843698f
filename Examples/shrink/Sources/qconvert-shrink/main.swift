import QConvertKit
import ShrinkPlugin

QConvert.main(plugins: QConvert.builtIn + [ShrinkMethod.self])
