"""Local servers that speak the providers' protocols, so that tests run the real plugins."""

from tests.providers.cartesia import CartesiaServer
from tests.providers.deepgram import DeepgramServer
from tests.providers.openai import OpenAIServer, Reply
from tests.providers.server import Mode, ProviderServer

__all__ = ["CartesiaServer", "DeepgramServer", "Mode", "OpenAIServer", "ProviderServer", "Reply"]
