"""Image denoisers: one that ships with the package, others by name, and the average over symmetries."""

from .default import default_denoiser as default_denoiser
from .ensemble import DenoisingFunction as DenoisingFunction
from .ensemble import SelfEnsemble as SelfEnsemble
from .ensemble import self_ensemble as self_ensemble
from .names import NAMES as NAMES
from .names import named_denoiser as named_denoiser
from .network import Denoiser as Denoiser
