"""Says which of the four functions a file defines, by reading it. It imports nothing of the model's and runs nothing of it."""

import ast
import json
import sys

NAMES = ("get_version", "get_inputs", "validate_inputs", "run_model")


def parameters(function):
    given = function.args
    if given.vararg is not None:
        return None
    names = [one.arg for one in getattr(given, "posonlyargs", []) + given.args]
    # Those without a value of their own.
    needed = len(names) - len(given.defaults)
    return {"least": needed, "most": len(names)}


def visit(body, found):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = {"line": node.lineno, "parameters": parameters(node)}
        elif isinstance(node, ast.ClassDef):
            found[node.name] = {"line": node.lineno, "parameters": None}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                found[name] = {"line": node.lineno, "parameters": None}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in getattr(target, "elts", [target]):
                    if isinstance(name, ast.Name):
                        found[name.id] = {"line": node.lineno, "parameters": None}
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            visit(node.body, found)
            visit(getattr(node, "orelse", []), found)
            visit(getattr(node, "finalbody", []), found)
            for handler in getattr(node, "handlers", []):
                visit(handler.body, found)


def read(path):
    with open(path, "rb") as file:
        source = file.read(4 << 20)
    try:
        tree = ast.parse(source, filename="functions.py")
    except SyntaxError as error:
        return {"error": {"line": error.lineno or 0, "message": str(error.msg)}}
    except (ValueError, RecursionError, MemoryError) as error:
        return {"error": {"line": 0, "message": str(error) or type(error).__name__}}
    found = {}
    visit(tree.body, found)
    star = "*" in found
    return {"functions": {name: found[name] for name in NAMES if name in found}, "star": star}


print(json.dumps(read(sys.argv[1])))
