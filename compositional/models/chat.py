"""Prompts by the model's own chat template, and the token that ends the answer.

A prompt and its target are tokenised apart, so where one ends and the other begins never depends
on what stands there: prompt ids, target ids and `end_id` are concatenated.
"""

from collections.abc import Sequence

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from compositional.errors import ModelError

# Some templates print today's date. A run that is resumed tomorrow must see the same prompts.
_FIXED_DATE = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}"
_PROBE = "COMPOSITIONAL"
Turn = tuple[str, str]
"""What the user said and what the assistant answered."""


class ChatTemplate:
    """Turns queries into prompts.

    Where the tokenizer has no chat template, a prompt is the system message and an empty line (if
    there is one), each earlier turn on lines of its own with an empty line behind, the query, and a
    newline, after the tokenizer's own beginning-of-text token.

    Attributes:
        tokenizer: The tokenizer.
        system_message: System message of every prompt that names no other.
        end_id: Token that ends the assistant's turn.
        pad_id: Token to fill up batches with. It may equal `end_id`: mask by length, never by it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, system_message: str = "") -> None:
        """Take a tokenizer and see how its conversations end.

        Args:
            tokenizer: The tokenizer.
            system_message: System message of every prompt that names no other; may be empty.

        Raises:
            ModelError: If the template does not take the system message, or no token ends a turn.
        """
        self.tokenizer = tokenizer
        self.system_message = system_message
        template = tokenizer.get_chat_template() if tokenizer.chat_template else None
        self._template = None if template is None else _FIXED_DATE + template
        self.end_id = self._find_end_id()
        self.pad_id = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def prompt_ids(
        self, query: str, system: str | None = None, turns: Sequence[Turn] = ()
    ) -> list[int]:
        """Return the tokens of a prompt, up to where the assistant's answer begins.

        Args:
            query: What the user says.
            system: System message; None for the usual one. An empty one is passed on as such
                (some templates put words of their own where none is given), unless the template
                takes no system message at all.
            turns: What was said and answered before.

        Raises:
            ModelError: If the template does not take a system message that is not empty, or drops
                earlier turns.
        """
        system = self.system_message if system is None else system
        if self._template is None:
            head = f"{system}\n\n" if system else ""
            before = "".join(f"{said}\n{answered}\n\n" for said, answered in turns)
            return self._begin_ids() + self.target_ids(f"{head}{before}{query}\n")
        messages = [message for turn in turns for message in _messages(*turn)]
        text = self._render([*messages, *_messages(query)], system)
        if not all(part.strip() in text for turn in turns for part in turn):
            raise ModelError(
                "the model's chat template drops earlier turns of a conversation: use no "
                "demonstrations"
            )
        return self.target_ids(text)

    def target_ids(self, text: str) -> list[int]:
        """Return the tokens of a text on its own, without any that the tokenizer would add."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def text_ids(self, text: str) -> list[int]:
        """Return the tokens of a text that nothing stands before, as the model was trained on."""
        return self._begin_ids() + self.target_ids(text)

    def _render(self, messages: list[dict[str, str]], system: str) -> str:
        """Return a conversation as text, up to an answer where the user spoke last."""
        answer_is_due = messages[-1]["role"] == "user"
        try:
            text = self._apply([{"role": "system", "content": system}, *messages], answer_is_due)
        except TemplateError as error:
            if system:
                raise ModelError(
                    f"the model's chat template takes no system message ({error}); leave it empty"
                ) from error
        else:
            if system.strip() in text:
                return text
            raise ModelError("the model's chat template drops the system message; leave it empty")
        try:
            return self._apply(messages, answer_is_due)
        except TemplateError as error:
            raise ModelError(f"the model's chat template takes no plain query: {error}") from error

    def _apply(self, messages: list[dict[str, str]], prompt: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            messages,
            chat_template=self._template,
            add_generation_prompt=prompt,
            tokenize=False,
            enable_thinking=False,  # templates that can ask for a chain of thought: none is wanted
        )
        assert isinstance(text, str)
        return text

    def _begin_ids(self) -> list[int]:
        """Return the beginning-of-text token in a list, if the tokenizer puts one by itself."""
        begin = self.tokenizer.bos_token_id
        return [begin] if begin is not None and begin in self.tokenizer("")["input_ids"][:1] else []

    def _find_end_id(self) -> int:
        """Return the first special token after an assistant's answer, else the tokenizer's end."""
        if self._template is not None:
            text = self._render(_messages("", _PROBE), self.system_message)
            tail = self.target_ids(text.rpartition(_PROBE)[2])
            special = set(self.tokenizer.all_special_ids) | {
                id_ for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special
            }
            for id_ in tail:
                if id_ in special:
                    return id_
        end = self.tokenizer.eos_token_id
        if end is None:
            raise ModelError("the tokenizer names no token that ends an answer (eos_token)")
        assert isinstance(end, int)
        return end


def _messages(said: str, answered: str | None = None) -> list[dict[str, str]]:
    """Return a turn as the messages that templates take; without an answer, the user's alone."""
    messages = [{"role": "user", "content": said}]
    return messages if answered is None else [*messages, {"role": "assistant", "content": answered}]
