"""Which chat back end: its settings, which build it."""

from dataclasses import dataclass

from compositional.chat_backends.base import ChatBackend
from compositional.chat_backends.in_process import InProcessBackend
from compositional.chat_backends.ollama import OllamaBackend
from compositional.chat_backends.openai import OpenAiBackend
from compositional.errors import ConfigError, check_choice
from compositional.models.language_model import LanguageModel

IN_PROCESS, OPENAI, OLLAMA = "in_process", "openai", "ollama"


@dataclass(frozen=True)
class BackendSettings:
    """Which model answers conversations.

    Attributes:
        kind: `in_process` for the run's own model, `openai` for any server of that protocol
            (llama.cpp, vLLM and others), `ollama` for Ollama's own.
        url: The server's address, such as `http://127.0.0.1:8080/v1` or `http://127.0.0.1:11434`.
        model: The model's name at the server; empty for the first that it lists.
        timeout_seconds: The longest wait for one answer of a server, retries included.
        retries: Further tries where nobody listens or the server is overloaded.
        num_ctx: The window that Ollama is told to use.
    """

    kind: str = IN_PROCESS
    url: str = ""
    model: str = ""
    timeout_seconds: float = 120.0
    retries: int = 2
    num_ctx: int = 8192

    @property
    def is_server(self) -> bool:
        """Whether another program than this one answers."""
        return self.kind != IN_PROCESS

    def build(self, model: LanguageModel) -> ChatBackend:
        """Return the back end; nothing is asked yet.

        Args:
            model: The run's own model; its system message is every back end's.

        Raises:
            ConfigError: If a setting is wrong, or is for another kind.
        """
        check_choice("backend.kind", self.kind, (IN_PROCESS, OPENAI, OLLAMA))
        if not self.is_server:
            for name in ("url", "model"):
                if getattr(self, name):
                    raise ConfigError(
                        f"backend.{name} is {getattr(self, name)!r}, but backend.kind is "
                        f"{IN_PROCESS}: name a server's kind, {OPENAI} or {OLLAMA}, or leave it out"
                    )
            return InProcessBackend(model)
        system = model.chat.system_message
        server = (self.url, self.model, self.timeout_seconds, self.retries)
        if self.kind == OLLAMA:
            return OllamaBackend(*server, self.num_ctx, system)
        return OpenAiBackend(*server, system)
