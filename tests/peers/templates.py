"""Compares the renderings of `bit-axon template` with those of Jinja.

Usage: templates.py PROGRAM. Every template of tests/peers/templates renders every conversation of
tests/peers/conversations.json. Exits with 1 if a rendering differs.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import jinja2
import original

HERE = pathlib.Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def run_program(program, template, conversation, folder):
    command = [program, "template", "--chat-template", str(template), "--json"]
    for key in ("messages", "tools", "documents"):
        if key in conversation:
            file = folder / f"{key}.json"
            file.write_text(json.dumps(conversation[key], ensure_ascii=False))
            command += [f"--{key}", str(file)]
    for name, value in {**TOKENS, **conversation.get("variables", {})}.items():
        command += ["--set", f"{name}={json.dumps(value)}"]
    if not conversation.get("add_generation_prompt", True):
        command += ["--no-generation-prompt"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return {"text": json.loads(done.stdout)["text"]}
    lines = done.stderr.strip().split("\n")
    fine = done.returncode == 1 and len(lines) == 1
    return {"error": lines[-1]} if fine else {"broken": f"exit {done.returncode}: {done.stderr}"}


def main(program):
    conversations = json.loads((HERE / "conversations.json").read_text())
    templates = sorted((HERE / "templates").glob("*.jinja"))
    texts = errors = differences = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for template in templates:
            for number, conversation in enumerate(conversations):
                expected = original.render(template.read_text(), conversation, TOKENS)
                got = run_program(program, template, conversation, folder)
                if "text" in expected:
                    same = got == expected
                    texts += 1
                else:
                    # The text of raise_exception is for the user; other messages are Python's own.
                    same = "error" in got and (not expected["raised"]
                                               or expected["error"] in got["error"])
                    errors += 1
                if not same:
                    differences += 1
                    print(f"{template.name}, conversation {number}:\n"
                          f"  expected {expected}\n  got      {got}")
    print(f"templates: {len(templates)} templates, {len(conversations)} conversations, "
          f"{texts} texts, {errors} errors, {differences} differences "
          f"(Jinja {jinja2.__version__})")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
