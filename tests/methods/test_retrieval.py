import math

import pytest
import torch

from compositional.errors import ConfigError, ModelError
from compositional.methods.rag import tool_text
from compositional.methods.retrieval import (
    Bm25Retriever,
    DenseRetriever,
    TfidfRetriever,
    build_retriever,
    words,
)
from compositional.tasks.types import Skill


def skill(name: str, description: str, **parameters: str) -> Skill:
    properties = {key: {"type": "string", "description": d} for key, d in parameters.items()}
    return Skill(name, description, {"type": "object", "properties": properties})


SKILLS = [
    skill("getWeather", "Tells the weather.", city="the name of a city"),
    skill("play_song", "Plays a song."),
    skill("bank.transfer", "Sends money to a friend.", amount="how much"),
    skill("stop_song", "Stops the song."),
    skill("set_alarm", "Rings at a time."),
]
TEXTS = [tool_text(each) for each in SKILLS]


def test_names_are_split_into_words() -> None:
    assert words("getWeather2day bank.transfer_now, Über") == [
        "get", "weather2day", "bank", "transfer", "now", "über",
    ]  # fmt: skip
    assert tool_text(SKILLS[0]) == "getWeather Tells the weather. city the name of a city"


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("what is the weather in the city", "getWeather"),
        ("please PLAY something", "play_song"),
        ("transfer an amount to my bank", "bank.transfer"),
        ("alarm", "set_alarm"),
    ],
)
def test_words_find_the_tool_that_shares_rare_words(query, first) -> None:
    for retriever in (Bm25Retriever(TEXTS), TfidfRetriever(TEXTS)):
        assert SKILLS[retriever.top(query, 1)[0]].name == first


def test_bm25_order_by_hand() -> None:
    """Scores of BM25+ with k1 1.5, b 0.75 and delta 1 over three tools."""
    skills = [skill("red", "big dog"), skill("green", "big cat cat"), skill("blue", "bird")]
    documents = [["red", "big", "dog"], ["green", "big", "cat", "cat"], ["blue", "bird"]]
    query = ["cat", "dog", "red"]
    average = sum(map(len, documents)) / 3

    def score(document: list[str]) -> float:
        total = 0.0
        for word in query:
            containing = sum(word in d for d in documents)
            idf = math.log((3 + 1) / containing)
            times = document.count(word)
            scale = 1.5 * (0.25 + 0.75 * len(document) / average)
            total += idf * (1 + times * 2.5 / (times + scale))
        return total

    ranked = sorted(range(3), key=lambda place: -score(documents[place]))
    assert ranked == [0, 1, 2]
    assert Bm25Retriever([tool_text(s) for s in skills]).top("cat dog red", 3) == ranked


def test_tf_idf_order_by_hand() -> None:
    """Cosines of scikit-learn's smoothed TF-IDF: idf = ln((1 + n) / (1 + df)) + 1."""
    texts = ["red big dog", "green big cat cat", "blue bird"]
    documents = [text.split() for text in texts]
    vocabulary = sorted({word for document in documents for word in document})

    def vector(document: list[str]) -> list[float]:
        values = []
        for word in vocabulary:
            df = sum(word in d for d in documents)
            values.append(document.count(word) * (math.log(4 / (1 + df)) + 1))
        norm = math.sqrt(sum(value**2 for value in values)) or 1.0
        return [value / norm for value in values]

    query = vector(["cat", "big", "red"])
    cosines = [sum(a * b for a, b in zip(query, vector(d), strict=True)) for d in documents]
    ranked = sorted(range(3), key=lambda place: -cosines[place])
    assert TfidfRetriever(texts).top("cat big red", 3) == ranked


def test_a_word_of_one_of_two_tools_counts() -> None:
    assert Bm25Retriever([TEXTS[1], TEXTS[3]]).top("stop it", 1) == [1]


def test_ties_keep_the_order_taught() -> None:
    for retriever in (Bm25Retriever(TEXTS), TfidfRetriever(TEXTS)):
        assert retriever.top("zebra", 5) == [0, 1, 2, 3, 4]
        assert retriever.top("zebra", 2) == [0, 1]
        assert retriever.top("zebra", 99) == [0, 1, 2, 3, 4]
        assert retriever.top("", 1) == [0]


def test_one_tool_is_found() -> None:
    assert Bm25Retriever(TEXTS[:1]).top("weather", 3) == [0]


def test_an_unknown_retriever_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown retriever 'bm52'; did you mean 'bm25'"):
        build_retriever("bm52", TEXTS)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    """A tiny random sentence encoder: mean of the last hidden states of two words' BERT."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    known = sorted({word for s in SKILLS for word in words(tool_text(s))})
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=64
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def test_dense_ranks_by_cosine(encoder_folder) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    model = AutoModel.from_pretrained(encoder_folder).eval()

    def embed(text: str) -> torch.Tensor:
        with torch.no_grad():
            return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)

    retriever = build_retriever("dense", TEXTS, str(encoder_folder))
    for query in ("play a song", "the weather in a city", "money"):
        scores = [
            float(torch.cosine_similarity(embed(query), embed(tool_text(s)), dim=0)) for s in SKILLS
        ]
        expected = sorted(range(len(SKILLS)), key=lambda place: -scores[place])
        assert retriever.top(query, 3) == expected[:3]


def test_a_dense_model_that_cannot_be_had_is_one_line() -> None:
    with pytest.raises(ModelError, match="model 'no/where' is no folder and cannot be had"):
        DenseRetriever(TEXTS, "no/where")
