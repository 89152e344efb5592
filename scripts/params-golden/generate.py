"""Asks ParamTools what it makes of random schemas and adjustments, and writes the answers down."""

import argparse
import collections
import datetime
import json
import pathlib
import random
import re
import warnings

import paramtools

TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/params/tests/golden"
WORDS = ["red", "green", "blue", "it's", 'say "hi"', "x y"]
YEARS = list(range(2018, 2024))


def plain(text):
    """Values inside lists without the names of their types."""
    text = re.sub(r"np\.(?:float64|int64|str_|bool_?)\(([^()]*)\)", r"\1", text)
    text = text.replace("np.True_", "True").replace("np.False_", "False")
    return re.sub(
        r"datetime\.date\((\d+), (\d+), (\d+)\)",
        lambda m: datetime.date(*map(int, m.groups())).isoformat(),
        text,
    )


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, p):
        return self.random.random() < p

    def scalar(self, kind):
        pick = self.random.choice
        return {
            "int": lambda: self.random.randint(-10, 30),
            "float": lambda: pick([self.random.randint(-10, 30), round(self.random.uniform(-10, 30), 2), 1e20, 9e99, 1e-7]),
            "bool": lambda: self.chance(0.5),
            "str": lambda: pick(WORDS),
            "date": lambda: f"20{self.random.randint(10, 29)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}",
        }[kind]()

    def odd_scalar(self, kind):
        """A value that may or may not convert."""
        odd = {
            "int": ["5", 5.0, True, 3.7, "five", {"a": 1}, None, 2**63],
            "float": ["5", "1e3", "1_000", True, "much", {"a": [1, "b"]}, None, " 7 ", "--1"],
            "bool": ["True", "yes", "off", 1, 0, 0.0, 2, "maybe", None, "1"],
            "str": [5, True, None, 1.5],
            "date": ["20200105", "2020-W05-2", "2020-02-30", "soon", 5, None, "2020-01-05T00:00:00Z", "2020-1-5"],
        }[kind]
        return self.random.choice(odd)

    def value(self, kind, dims, shape, odd=0.0):
        if dims == 0:
            return self.odd_scalar(kind) if self.chance(odd) else self.scalar(kind)
        if self.chance(odd / 3):
            return self.scalar(kind)
        return [self.value(kind, dims - 1, shape[1:], odd / 2) for _ in range(shape[0])]

    def bound(self, kind, names):
        if self.chance(0.3) and names:
            return self.random.choice(names)
        if self.chance(0.15):
            return "default"
        return self.scalar(kind)

    def range(self, kind, names):
        spec = {}
        if self.chance(0.8):
            spec["min"] = self.bound(kind, names)
        if self.chance(0.8):
            spec["max"] = self.bound(kind, names)
        if self.chance(0.25):
            spec["level"] = self.random.choice(["warn", "error"])
        return spec

    def choice(self, kind):
        count = self.random.choice([2, 3, 4, 22])
        if kind in ("bool", "str"):
            count = min(count, 4)
        choices = []
        for _ in range(count):
            value = self.scalar(kind)
            if value not in choices:
                choices.append(value)
        if kind == "str" and self.chance(0.3):
            choices += [f"word{i}" for i in range(20)]
        spec = {"choices": choices}
        if self.chance(0.25):
            spec["level"] = "warn"
        return spec

    def validators(self, kind, dims, others, nested=False):
        """`others`: earlier parameters as name -> (kind, dims)."""
        names = [name for name, (k, d) in others.items() if k == kind and (not nested or d == 0)]
        spec = {}
        if kind in ("int", "float", "bool", "date") and self.chance(0.6):
            spec["date_range" if kind == "date" and self.chance(0.5) else "range"] = self.range(kind, names)
        if kind not in ("date",) and self.chance(0.25):
            spec["choice"] = self.choice(kind)
        whens = [name for name, (k, d) in others.items() if k in ("int", "float", "bool", "str") and d in (0, dims)]
        if not nested and whens and self.chance(0.3):
            name = self.random.choice(whens)
            other = others[name][0]
            if other in ("int", "float") and self.chance(0.6):
                test = {self.random.choice(["less_than", "greater_than"]): self.scalar(other)}
            else:
                test = self.scalar(other)
                if self.chance(0.5):
                    test = {"equal_to": test}
            spec["when"] = {
                "param": name,
                "is": test,
                "then": self.validators(kind, dims, others, nested=True),
                "otherwise": self.validators(kind, dims, others, nested=True),
            }
        items = list(spec.items())
        self.random.shuffle(items)
        if dims == 0 and not nested:
            # ParamTools cannot sort the values of a scalar parameter with two validators.
            items = items[:1]
        return dict(items)

    def labels(self):
        labels = {}
        if self.chance(0.7):
            if self.chance(0.3):
                labels["year"] = {"type": "int", "validators": {"choice": {"choices": YEARS}}}
            else:
                labels["year"] = {"type": "int", "validators": {"range": {"min": YEARS[0], "max": YEARS[-1]}}}
        if self.chance(0.5):
            labels["state"] = {"type": "str", "validators": {"choice": {"choices": ["north", "south", "east"]}}}
        if self.chance(0.2):
            labels["day"] = {"type": "date", "validators": {"date_range": {"min": "2020-01-01", "max": "2020-01-05"}}}
        if self.chance(0.2):
            labels["full"] = {"type": "bool", "validators": {}}
        if self.chance(0.15):
            labels["share"] = {"type": "float", "validators": {"range": {"min": 0, "max": 1, "step": 0.25}}}
        return labels

    def label_value(self, name, odd=0.0):
        pick = self.random.choice
        if self.chance(odd):
            return pick({
                "year": ["2020", 2050, "soon", 2020.4, True],
                "state": ["west", 5],
                "day": ["2020-02-01", "x", "20200102"],
                "full": ["yes", 3, 1],
                "share": ["0.5", 3, "x", "nan"],
            }[name])
        return {
            "year": lambda: pick(YEARS),
            "state": lambda: pick(["north", "south", "east"]),
            "day": lambda: f"2020-01-0{self.random.randint(1, 5)}",
            "full": lambda: self.chance(0.5),
            "share": lambda: pick([0, 0.25, 0.5, 1]),
        }[name]()

    def schema(self, extend):
        labels = self.labels()
        operators = {"array_first": False, "label_to_extend": None, "uses_extend_func": False}
        if extend:
            labels.setdefault("year", {"type": "int", "validators": {"range": {"min": YEARS[0], "max": YEARS[-1]}}})
            operators["label_to_extend"] = "year"
            operators["uses_extend_func"] = self.chance(0.6)
        defaults = {"schema": {"labels": labels, "additional_members": {}, "operators": operators}}
        kinds, shapes = {}, {}
        for i in range(self.random.randint(1, 4)):
            name = f"p{i}"
            kind = self.random.choice(["int", "float", "float", "bool", "str", "date"])
            dims = 0 if extend else self.random.choice([0, 0, 0, 1, 2])
            shape = [self.random.choice([2, 3]), 2]
            used = [label for label in labels if self.chance(0.6) or (extend and label == "year")]
            values, seen = [], set()
            for _ in range(self.random.randint(1, 3) if used else 1):
                vo = {label: self.label_value(label) for label in used}
                key = json.dumps(vo, sort_keys=True)
                if key not in seen:
                    seen.add(key)
                    values.append({**vo, "value": self.value(kind, dims, shape)})
            validators = self.validators(kind, dims, dict(kinds))
            if dims == 0 and "choice" in validators:
                for vo in values:
                    vo["value"] = self.random.choice(validators["choice"]["choices"])
            parameter = {"title": name, "description": "", "type": kind, "number_dims": dims, "value": values, "validators": validators}
            if kind == "float" and self.chance(0.6):
                parameter["indexed"] = True
            defaults[name] = parameter
            kinds[name], shapes[name] = (kind, dims), shape
        return defaults, kinds, shapes

    def adjustment(self, defaults, kinds, shapes):
        labels = list(defaults["schema"]["labels"])
        adjustment = {}
        odd = self.random.choice([0.0, 0.0, 0.25])
        for name, (kind, dims) in kinds.items():
            if self.chance(0.4):
                continue
            shape = shapes[name]
            if self.chance(0.3):
                adjustment[name] = self.value(kind, dims, shape, odd)
                continue
            own = [label for label in defaults[name]["value"][0] if label != "value"]
            vos = []
            for _ in range(self.random.randint(1, 3)):
                used = [label for label in (own if self.chance(0.8) else labels) if self.chance(0.8)]
                vo = {label: self.label_value(label, odd) for label in used}
                vo["value"] = None if self.chance(0.1) else self.value(kind, dims, shape, odd)
                if self.chance(odd / 5):
                    vo["planet"] = "mars"
                vos.append(vo)
            adjustment[name] = vos
        if self.chance(odd / 3):
            adjustment["nobody"] = 1
        return adjustment


def has_scalar_list(kinds, adjustment):
    """A list where a float is expected is written by NumPy in its own way."""
    for name, given in adjustment.items():
        kind, dims = kinds.get(name, ("", 0))
        values = [vo["value"] for vo in given] if isinstance(given, list) and given and isinstance(given[0], dict) else [given]
        if kind == "float" and dims == 0 and any(isinstance(value, list) for value in values):
            return True
    return False


def only_text(messages):
    return all(isinstance(message, str) for kind in messages.values() for texts in kind.values() for message in texts)


def answer(defaults, rates, adjustment, ignore_warnings):
    class Params(paramtools.Parameters):
        pass

    Params.defaults = json.loads(json.dumps(defaults))
    try:
        params = Params(index_rates=rates)
    except Exception:
        return None
    try:
        if adjustment is not None:
            params.adjust(json.loads(json.dumps(adjustment)), ignore_warnings=ignore_warnings)
        dump = params.dump()
        json.dumps(dump, allow_nan=False)
    except paramtools.ValidationError as error:
        found = json.loads(str(error))
        if not only_text(found):
            return None
        return {kind: {name: [plain(text) for text in texts] for name, texts in messages.items()} for kind, messages in found.items()}
    except Exception:
        return None
    return {"values": {name: data["value"] for name, data in dump.items() if name != "schema"}}


def group(seed, extend):
    maker = Maker(seed)
    defaults, kinds, shapes = maker.schema(extend)
    rates = {year: round(0.01 * (i + 1), 3) for i, year in enumerate(YEARS)} if extend else {}
    requests = []
    for _ in range(12):
        adjustment = maker.adjustment(defaults, kinds, shapes)
        ignore_warnings = maker.chance(0.3)
        if has_scalar_list(kinds, adjustment):
            continue
        result = answer(defaults, rates, adjustment, ignore_warnings)
        if result is None or any(r["adjustment"] == adjustment for r in requests):
            continue
        requests.append({"adjustment": adjustment, "ignore_warnings": ignore_warnings, "result": result})
    return {"defaults": defaults, "index_rates": {str(k): v for k, v in rates.items()}, "requests": requests}


def write(path, groups):
    groups = [g for g in groups if g["requests"]]
    kinds = collections.Counter("values" if "values" in r["result"] else "messages" for g in groups for r in g["requests"])
    path.write_text("[\n" + ",\n".join(json.dumps(g, separators=(",", ":")) for g in groups) + "\n]\n")
    print(path.name, path.stat().st_size, dict(kinds))


def real_group(seed, defaults):
    """Random adjustments of a schema that was not made up: values near the bounds, wrong types, wrong labels."""
    maker = Maker(seed)
    parameters = {name: data for name, data in defaults.items() if name != "schema"}
    requests = []
    for _ in range(40):
        adjustment = {}
        odd = maker.random.choice([0.0, 0.0, 0.2])
        for name in maker.random.sample(sorted(parameters), min(len(parameters), 4)):
            data = parameters[name]
            kind, dims = data["type"], data.get("number_dims", 0)
            vos = []
            for vo in maker.random.sample(data["value"], 1):
                vo = dict(vo)
                if maker.chance(0.3) and "year" in vo:
                    vo["year"] += maker.random.randint(-3, 8)
                choices = data.get("validators", {}).get("choice", {}).get("choices")
                current = vo["value"]
                if maker.chance(odd):
                    vo["value"] = maker.value(kind, dims, [2, 2], 1.0)
                elif choices and dims == 0 and maker.chance(0.7):
                    vo["value"] = maker.random.choice(choices)
                elif kind == "float" and dims == 0 and isinstance(current, (int, float)):
                    vo["value"] = current * maker.random.choice([-1, 0.5, 1.1, 10])
                else:
                    vo["value"] = maker.value(kind, dims, [2, 2])
                if maker.chance(0.15):
                    vo = {"value": vo["value"]}
                vos.append(vo)
            adjustment[name] = vos
        if has_scalar_list({name: (d["type"], d.get("number_dims", 0)) for name, d in parameters.items()}, adjustment):
            continue
        result = answer(defaults, {}, adjustment, False)
        if result is not None:
            requests.append({"adjustment": adjustment, "ignore_warnings": False, "result": result})
    return {"defaults": defaults, "index_rates": {}, "requests": requests}


def real_groups(folder):
    for path in sorted(pathlib.Path(folder).glob("*/inputs.*.json")):
        inputs = json.loads(path.read_text())
        for seed, defaults in enumerate([inputs["meta_parameters"], *inputs["model_parameters"].values()]):
            if any(name != "schema" for name in defaults):
                yield real_group(seed, defaults)


def register_types_of_models(folder):
    """Types that models registered themselves: any value passes."""
    from marshmallow import fields
    from paramtools.schema import ALLOWED_TYPES, register_custom_type

    for path in pathlib.Path(folder).glob("*/inputs.*.json"):
        inputs = json.loads(path.read_text())
        for defaults in [inputs["meta_parameters"], *inputs["model_parameters"].values()]:
            for member in defaults.get("schema", {}).get("additional_members", {}).values():
                if member["type"] not in ALLOWED_TYPES:
                    register_custom_type(member["type"], fields.Raw())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help="folder of real schemas to use instead of made-up ones; needs --out")
    parser.add_argument("--out", help="file for the answers about real schemas, outside the repository")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.models:
        register_types_of_models(arguments.models)
        write(pathlib.Path(arguments.out).resolve(), list(real_groups(arguments.models)))
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    write(TARGET / "adjust.json", [group(seed, extend=False) for seed in range(75)])
    write(TARGET / "extend.json", [group(seed, extend=True) for seed in range(1000, 1044)])


if __name__ == "__main__":
    main()
