import pytest

from compositional.tasks.schema import parameter_schema, tool_schema, type_schema, union_schema


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ("dict", {"type": "object"}),
        ("HashMap", {"type": "object"}),
        ("float", {"type": "number"}),
        ("double", {"type": "number"}),
        ("long", {"type": "integer"}),
        ("int", {"type": "integer"}),
        ("str", {"type": "string"}),
        ("String", {"type": "string"}),
        ("boolean", {"type": "boolean"}),
        ("tuple", {"type": "array"}),
        ("Array", {"type": "array"}),
        ("ArrayList", {"type": "array"}),
        ("any", {}),
        ("Union[int, str]", {}),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("List[Dict[str, int]]", {"type": "array", "items": {"type": "object"}}),
        ("Dict[str, float]", {"type": "object"}),
        ("Optional[float]", {"type": "number"}),
    ],
)
def test_written_types_map_to_json_schema(written: str, schema: dict) -> None:
    assert type_schema(written) == schema


def test_xlam_parameters_are_required_unless_marked_optional() -> None:
    schema = tool_schema(
        {
            "city": {"type": "str", "description": "Where", "default": "Bonn"},
            "days": {"type": "int, optional"},
            "pairs": {"type": "Dict[str, int], optional"},
            "rate": {"type": "Optional[float]"},
        }
    )
    assert schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where", "default": "Bonn"},
            "days": {"type": "integer"},
            "pairs": {"type": "object"},
            "rate": {"type": "number"},
        },
        "required": ["city"],
    }


def test_nested_definitions_are_mapped_all_the_way_down() -> None:
    schema = tool_schema(
        {
            "type": "dict",
            "properties": {
                "body": {
                    "type": "dict",
                    "properties": {"ids": {"type": "array", "items": {"type": "long"}}},
                    "required": ["ids"],
                }
            },
            "required": ["body"],
        }
    )
    body = schema["properties"]["body"]
    assert body["type"] == "object"
    assert body["required"] == ["ids"]
    assert body["properties"]["ids"] == {"type": "array", "items": {"type": "integer"}}
    assert tool_schema(schema) == schema


def test_an_xlam_parameter_may_be_called_type() -> None:
    schema = tool_schema({"type": {"type": "str"}, "properties": {"type": "int"}})
    assert schema["properties"] == {"type": {"type": "string"}, "properties": {"type": "integer"}}


def test_json_schema_lists_of_types_are_kept() -> None:
    assert parameter_schema({"type": ["string", "null"]}) == {"type": ["string", "null"]}


@pytest.mark.parametrize(
    "parameters",
    [[], {"city": "str"}, {"city": {"type": 1}}, {"type": "object", "properties": []}],
)
def test_malformed_parameters_are_refused(parameters: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        tool_schema(parameters)


def test_union_requires_what_every_row_requires() -> None:
    one = tool_schema({"city": {"type": "str"}, "days": {"type": "int"}})
    other = tool_schema({"city": {"type": "str"}, "unit": {"type": "str"}})
    united = union_schema([one, other])
    assert list(united["properties"]) == ["city", "days", "unit"]
    assert united["required"] == ["city"]


def test_union_of_types_and_allowed_values() -> None:
    def united(*definitions: dict) -> dict:
        schemas = [tool_schema({"x": definition}) for definition in definitions]
        return union_schema(schemas)["properties"]["x"]

    assert united({"type": "int"}, {"type": "float"}) == {"type": "number"}
    assert united({"type": "int"}, {"type": "str"}) == {}
    assert united({"type": "str", "enum": ["a"]}, {"type": "str", "enum": ["b", "a"]}) == {
        "type": "string",
        "enum": ["a", "b"],
    }
    assert united({"type": "str", "enum": ["a"]}, {"type": "str"}) == {"type": "string"}
    assert united({"type": "List[int]"}, {"type": "List[float]"}) == {
        "type": "array",
        "items": {"type": "number"},
    }
