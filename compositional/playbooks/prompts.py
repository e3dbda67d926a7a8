"""What is said to the generator, the reflector and the curator."""

GENERATOR = """\
Answer the task below. The playbook holds what was learned so far: use what helps.
Reply with one JSON object:
"reasoning": a short thought,
"bullet_ids": the ids of the playbook's entries that you used,
"final_answer": the answer alone.

Playbook:
{playbook}
{reflection}
Task: {question}"""

REFLECTION = """
An earlier answer to this task was {answer}, and it is wrong. Advice: {approach} {insight}
"""

REFLECTOR = """\
A model answered a task wrongly. Find out why, so that it does better next time.
Reply with one JSON object:
"reasoning": a short thought,
"error_identification": what is wrong with the answer,
"root_cause_analysis": why the model went wrong,
"correct_approach": how to get the right answer,
"key_insight": the one thing to remember, true without this page at hand,
"bullet_tags": for each entry that the model used, whether it was helpful, harmful or neutral.

Task: {question}
Source: {passage}
The model's reasoning: {reasoning}
The model's answer: {answer}
The right answer: {right}
Entries that the model used:
{used}"""

CURATOR = """\
You keep a playbook for a model that answers tasks without their sources at hand. Decide what to
change in it after the lesson below. Reply with one JSON object:
"reasoning": a short thought,
"operations": a list of
ADD (a new entry in section facts, strategies or mistakes),
UPDATE (a better text for an entry),
MERGE (one text for several entries that say the same),
DELETE (an entry that harmed).
An entry is one self-contained sentence that names whom or what it is about. Do not repeat what the
playbook says; an empty list changes nothing.

Playbook:
{playbook}

Task: {question}
Source: {passage}
The right answer: {right}
What went wrong: {error} {cause}
Lesson: {approach} {insight}
With this lesson in mind the model then answered {outcome}."""

EMPTY = "(empty)"
