"""The entry point of `nerfsem-data`.

nerfstudio loads it while its own list of data parsers is being built, so nothing here may reach a trainer, a pipeline
or a data manager: the circular import would break every ns-* command of the environment.
"""

from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig

nerfsem_data = DataParserSpecification(
    config=ObjectVideoDataParserConfig(),
    description="A video of one static object (or its scene folder, or a .nsem bundle): frames, mattes and cameras.",
)
