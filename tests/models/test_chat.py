import pytest

from compositional.errors import ModelError
from compositional.models.chat import ChatTemplate
from tests.toy import toy_tokenizer


def rendered(chat: ChatTemplate, query: str, system: str | None = None) -> str:
    text = chat.tokenizer.decode(chat.prompt_ids(query, system))
    assert isinstance(text, str)
    return text


def test_chatml_says_explicitly_that_there_is_no_system_message() -> None:
    chat = ChatTemplate(toy_tokenizer("chatml"))
    assert rendered(chat, "hi") == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "system\nBe brief<|im_end|>" in rendered(chat, "hi", "Be brief")
    assert chat.tokenizer.decode([chat.end_id]) == "<|im_end|>"
    assert chat.pad_id == chat.end_id


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "chatml",
            "<|im_start|>system\n<|im_end|>\n<|im_start|>user\none<|im_end|>\n"
            "<|im_start|>assistant\n1<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        (
            "gemma",
            "<bos><start_of_turn>user\none<end_of_turn>\n<start_of_turn>model\n1<end_of_turn>\n"
            "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n",
        ),
    ],
)
def test_earlier_turns_stand_before_the_query(style, expected) -> None:
    chat = ChatTemplate(toy_tokenizer(style))
    assert chat.tokenizer.decode(chat.prompt_ids("hi", turns=[("one", "1")])) == expected


def test_a_template_that_drops_earlier_turns_is_refused() -> None:
    tokenizer = toy_tokenizer("chatml")
    tokenizer.chat_template = "{{ messages[-1]['content'] }}<|im_end|>"
    with pytest.raises(ModelError, match="drops earlier turns"):
        ChatTemplate(tokenizer).prompt_ids("hi", turns=[("one", "1")])


def test_the_usual_system_message_can_be_set_and_overridden() -> None:
    chat = ChatTemplate(toy_tokenizer("chatml"), system_message="Be brief")
    assert "system\nBe brief<|im_end|>" in rendered(chat, "hi")
    assert "system\n<|im_end|>" in rendered(chat, "hi", "")


def test_llama3_begins_once_and_ends_a_turn_by_its_own_token() -> None:
    tokenizer = toy_tokenizer("llama3")
    chat = ChatTemplate(tokenizer)
    ids = chat.prompt_ids("hi")
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode([chat.end_id]) == "<|eot_id|>"
    assert chat.end_id != tokenizer.eos_token_id
    assert chat.pad_id == chat.end_id  # the tokenizer has none of its own
    assert rendered(chat, "hi").endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")


def test_a_date_in_a_template_never_changes() -> None:
    assert "Today: 26 Jul 2024\n" in rendered(ChatTemplate(toy_tokenizer("llama3")), "hi")


def test_gemma_gets_no_empty_system_message() -> None:
    chat = ChatTemplate(toy_tokenizer("gemma"))
    assert rendered(chat, "hi") == (
        "<bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n"
    )
    assert chat.tokenizer.decode([chat.end_id]) == "<end_of_turn>"
    assert chat.tokenizer.decode([chat.pad_id]) == "<pad>"


def test_gemma_refuses_a_system_message() -> None:
    with pytest.raises(ModelError, match="System role not supported"):
        ChatTemplate(toy_tokenizer("gemma")).prompt_ids("hi", "Be brief")
    with pytest.raises(ModelError, match="takes no system message"):
        ChatTemplate(toy_tokenizer("gemma"), system_message="Be brief")


def test_a_template_that_drops_the_system_message_is_refused() -> None:
    tokenizer = toy_tokenizer("chatml")
    tokenizer.chat_template = "{{ messages[-1]['content'] }}<|im_end|>"
    chat = ChatTemplate(tokenizer)
    assert rendered(chat, "hi") == "hi<|im_end|>"
    with pytest.raises(ModelError, match="drops the system message"):
        chat.prompt_ids("hi", "Be brief")


def test_a_template_that_takes_nothing_is_refused() -> None:
    tokenizer = toy_tokenizer("chatml")
    tokenizer.chat_template = "{{ raise_exception('tools are needed') }}"
    with pytest.raises(ModelError, match="takes no plain query: tools are needed"):
        ChatTemplate(tokenizer)


def test_without_a_template_the_query_stands_on_a_line() -> None:
    tokenizer = toy_tokenizer(None)
    chat = ChatTemplate(tokenizer)
    assert rendered(chat, "hi") == "hi\n"
    assert rendered(chat, "hi", "Be brief") == "Be brief\n\nhi\n"
    ids = chat.prompt_ids("hi", "Be brief", [("one", "1")])
    assert chat.tokenizer.decode(ids) == "Be brief\n\none\n1\n\nhi\n"
    assert chat.end_id == tokenizer.eos_token_id


def test_without_a_template_the_tokenizers_own_beginning_is_kept() -> None:
    tokenizer = toy_tokenizer("llama3")
    tokenizer.chat_template = None
    assert rendered(ChatTemplate(tokenizer), "hi") == "<|begin_of_text|>hi\n"


def test_a_template_without_end_tokens_falls_back() -> None:
    tokenizer = toy_tokenizer("chatml")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '\\n' }}{% endfor %}"
    assert ChatTemplate(tokenizer).end_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="eos_token"):
        ChatTemplate(tokenizer)


@pytest.mark.parametrize("template", ["chatml", "llama3", "gemma", None])
def test_targets_are_tokenised_on_their_own(template: str | None) -> None:
    tokenizer = toy_tokenizer(template)  # type: ignore[arg-type]
    ids = ChatTemplate(tokenizer).target_ids('{"city": "Zürich"}')
    assert len(ids) == len('{"city": "Zürich"}'.encode())
    assert tokenizer.decode(ids) == '{"city": "Zürich"}'
