import NibblesPlugin
import QConvertKit

QConvert.main(plugins: QConvert.builtIn + [NibblesPacking.self])
