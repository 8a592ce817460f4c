"""TeluCodec, the platform's neural speech codec."""

from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError, export_codec, load_codec
from ml.codec.config import CodecConfig, ConfigError
from ml.codec.model import CodecInputError, CodecState, TeluCodec

__all__ = [
    "WEIGHTS_DIR",
    "CheckpointError",
    "CodecConfig",
    "CodecInputError",
    "CodecState",
    "ConfigError",
    "TeluCodec",
    "export_codec",
    "load_codec",
]
