"""The contract of the four functions: what a model may return, and the JSON and bytes that are made of it.

Pure functions, standard library only, Python 3.8 and later. What breaks the contract raises ContractError, whose text
is a sentence for the model's author.
"""

import base64
import binascii
import collections.abc
import json
import os
import sys

CHUNK = 1 << 20
BINARY_TYPES = ("PNG", "JPEG", "MP3", "MP4", "HDF5", "PDF")
MEDIA_TYPES = ("bokeh", "table", "CSV", "PNG", "JPEG", "MP3", "MP4", "HDF5", "PDF", "Markdown", "Text")


class ContractError(Exception):
    """The model's answer breaks the contract."""


# ---- JSON ---------------------------------------------------------------------------------------------------------


def encode_text(text):
    """UTF-8. Half a surrogate pair, which UTF-8 can't hold, becomes the replacement character."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def to_json(value, place, keep_nul=True):
    """JSON of what a model returned, as UTF-8. NaN and infinity become null, and what Python's libraries use for
    numbers, times and lists becomes what a reader would write by hand."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if keep_nul or "\\u0000" not in text:
            return encode_text(text)
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        plain = _plain(value, place, keep_nul, [])
        return encode_text(json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except RecursionError:
        raise ContractError("%s is nested too deeply for JSON" % place) from None


def _plain(value, place, keep_nul, above):
    kind = type(value)
    if value is None or kind is bool:
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        return text if keep_nul else text.replace("\0", "\ufffd")
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else None
    known = _well_known(value)
    if known is not _UNKNOWN:
        return known if known is None or isinstance(known, (str, int, float)) else _plain(known, place, keep_nul, above)
    if id(value) in above:
        raise ContractError("%s contains itself, which JSON can't hold" % place)
    above.append(id(value))
    try:
        if isinstance(value, collections.abc.Mapping):
            return {
                _key(key, place, keep_nul): _plain(item, "%s.%s" % (place, key), keep_nul, above)
                for key, item in value.items()
            }
        if isinstance(value, (set, frozenset)):
            value = _ordered(value)
        if isinstance(value, (list, tuple, range, collections.abc.Sequence, collections.abc.ValuesView,
                              collections.abc.KeysView, collections.abc.ItemsView)) or kind.__name__ == "deque":
            return [_plain(item, "%s[%d]" % (place, i), keep_nul, above) for i, item in enumerate(value)]
    finally:
        above.pop()
    raise ContractError("%s is of the type `%s`, which JSON can't hold" % (place, _type_name(value)))


_UNKNOWN = object()


def _well_known(value):
    """The JSON of scalars beyond JSON's own, of arrays and frames; or _UNKNOWN."""
    if _is_a(value, "enum", "Enum"):
        return value.value
    if _is_a(value, "datetime", "date", "time"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if _is_a(value, "datetime", "timedelta"):
        value = value.total_seconds()
        return value if value - value == 0 else None
    if _is_a(value, "decimal", "Decimal") or _is_a(value, "fractions", "Fraction"):
        number = float(value)
        return number if number - number == 0 else None
    if _is_a(value, "uuid", "UUID") or isinstance(value, os.PathLike):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, complex):
        return _UNKNOWN
    name = type(value).__name__
    if name in ("NAType", "NaTType", "MaskedConstant"):
        return None
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "tolist"):
        if getattr(dtype, "kind", "") in "mM" and hasattr(value, "astype") and not hasattr(value, "to_list"):
            # Days, weeks, months and years are dates without a time.
            whole_days = str(dtype).endswith(("[D]", "[W]", "[M]", "[Y]"))
            times = "datetime64[D]" if whole_days else "datetime64[us]"
            value = value.astype(times if dtype.kind == "M" else "timedelta64[us]")
        found = value.tolist()
        return _UNKNOWN if found is value else found
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("records")
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {field: getattr(value, field) for field in value.__dataclass_fields__}
    if hasattr(type(value), "__int__") and hasattr(type(value), "__index__"):
        return int(value)
    return _UNKNOWN


def _is_a(value, module, *names):
    """Whether it is an instance of classes that whoever made it must have imported: importing them here costs more
    than most runs."""
    found = sys.modules.get(module)
    return found is not None and isinstance(value, tuple(getattr(found, name) for name in names))


def _key(key, place, keep_nul):
    if isinstance(key, str):
        return _plain(key, place, keep_nul, [])
    plain = _plain(key, place + ": a key", keep_nul, [])
    if isinstance(plain, (dict, list)):
        raise ContractError("%s has a key of the type `%s`; keys of JSON are text" % (place, _type_name(key)))
    return plain if isinstance(plain, str) else json.dumps(plain)


def _ordered(values):
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _type_name(value):
    kind = type(value)
    return kind.__name__ if kind.__module__ in ("builtins", None) else "%s.%s" % (kind.__module__, kind.__name__)


# ---- the contract -------------------------------------------------------------------------------------------------


def _expect_keys(answer, function, needed, optional=()):
    if not isinstance(answer, dict):
        given = "nothing" if answer is None else "a value of the type `%s`" % _type_name(answer)
        keys = " and ".join("`%s`" % key for key in needed)
        raise ContractError("`%s` returned %s; expected a dictionary with %s" % (function, given, keys))
    missing = [key for key in needed if key not in answer]
    unknown = [key for key in answer if key not in needed and key not in optional]
    if not missing and not unknown:
        return
    parts = []
    if missing:
        parts.append("without %s" % ", ".join("`%s`" % key for key in missing))
    if unknown:
        parts.append("with the unknown key %s" % ", ".join("`%s`" % (key,) for key in unknown))
    allowed = ", ".join("`%s`" % key for key in tuple(needed) + tuple(optional))
    raise ContractError(
        "`%s` returned a dictionary %s; its keys are %s" % (function, " and ".join(parts), allowed)
    )


def _expect_dictionary(value, place):
    if not isinstance(value, collections.abc.Mapping):
        raise ContractError("%s must be a dictionary, not `%s`" % (place, _type_name(value)))


def checked_version(answer):
    if not isinstance(answer, str):
        raise ContractError("`get_version` must return a text, not `%s`" % _type_name(answer))
    text = answer.strip()
    if not text:
        raise ContractError("`get_version` returned an empty text")
    return text


def checked_defaults(answer):
    _expect_keys(answer, "get_inputs", ("meta_parameters", "model_parameters"))
    for key in ("meta_parameters", "model_parameters"):
        _expect_dictionary(answer[key], "`get_inputs`: `%s`" % key)
    for section, dump in answer["model_parameters"].items():
        _expect_dictionary(dump, "`get_inputs`: the section `%s` of `model_parameters`" % (section,))
    # Here already, so that the error names the place and is the model's.
    return {key: json.loads(to_json(answer[key], "`get_inputs`: %s" % key, keep_nul=False).decode("utf-8"))
            for key in ("meta_parameters", "model_parameters")}


def checked_parse(answer):
    _expect_keys(answer, "validate_inputs", ("errors_warnings",), ("custom_adjustment",))
    _expect_dictionary(answer["errors_warnings"], "`validate_inputs`: `errors_warnings`")
    for section, found in answer["errors_warnings"].items():
        _expect_dictionary(found, "`validate_inputs`: `errors_warnings` of the section `%s`" % (section,))
    return {key: json.loads(to_json(value, "`validate_inputs`: %s" % key, keep_nul=False).decode("utf-8"))
            for key, value in answer.items()}


def checked_outputs(answer):
    """The outputs of a result, in order, as (kind, position, output). All are looked at before one is sent."""
    _expect_keys(answer, "run_model", ("renderable", "downloadable"))
    found = []
    for kind in ("renderable", "downloadable"):
        outputs = answer[kind]
        if not isinstance(outputs, (list, tuple)):
            raise ContractError(
                "`run_model`: `%s` must be a list of outputs, not `%s`" % (kind, _type_name(outputs))
            )
        for position, output in enumerate(outputs):
            _check_output(output, "`run_model`: %s[%d]" % (kind, position))
            found.append((kind, position, output))
    return found


def _check_output(output, place):
    if not isinstance(output, dict):
        raise ContractError(
            "%s must be a dictionary with `media_type`, `title` and `data`, not `%s`" % (place, _type_name(output))
        )
    title = output.get("title")
    if isinstance(title, str):
        place = '%s "%s"' % (place, title[:120])
    allowed = ("media_type", "title", "data", "id")
    unknown = [key for key in output if key not in allowed]
    if unknown:
        keys = ", ".join("`%s`" % (key,) for key in unknown)
        raise ContractError("%s has the unknown key %s; the keys of an output are `media_type`, `title` and `data`"
                            % (place, keys))
    for key in allowed[:3]:
        if key not in output:
            raise ContractError("%s has no `%s`" % (place, key))
    if not isinstance(title, str):
        raise ContractError("%s: its title must be text, not `%s`" % (place, _type_name(title)))
    if output["media_type"] not in MEDIA_TYPES:
        raise ContractError("%s is of the unknown media type `%s`; there are %s"
                            % (place, output["media_type"], ", ".join(MEDIA_TYPES)))


def body(output, place):
    """The bytes of an output, in parts of at most a megabyte."""
    media, data = output["media_type"], output["data"]
    if media == "bokeh":
        return _slices(_bokeh(data, place))
    if media in BINARY_TYPES:
        return _slices(_binary(data, place))
    if isinstance(data, str):
        return (encode_text(data[at : at + CHUNK // 4]) for at in range(0, len(data), CHUNK // 4))
    if isinstance(data, (bytes, bytearray, memoryview)):
        content = memoryview(data).cast("B")
        try:
            bytes(content).decode("utf-8")
        except UnicodeDecodeError as problem:
            raise ContractError("%s: its data are bytes that are no UTF-8 (%s)" % (place, problem)) from None
        return _slices(content)
    raise ContractError("%s: the data of the media type %s must be text, not `%s`" % (place, media, _type_name(data)))


def _slices(content):
    view = memoryview(content)
    return (view[at : at + CHUNK] for at in range(0, len(view), CHUNK))


def _bokeh(data, place):
    if isinstance(data, (str, bytes, bytearray)):
        try:
            data = json.loads(data)
        except ValueError as problem:
            raise ContractError("%s: its data is text that is no JSON (%s)" % (place, problem)) from None
    _expect_dictionary(data, "%s: the data of the media type bokeh" % place)
    missing = [key for key in ("root_id", "doc") if key not in data]
    if missing:
        raise ContractError("%s: its data has no `%s`; it is what `bokeh.embed.json_item` returns"
                            % (place, "`, `".join(missing)))
    return to_json(data, "%s: data" % place)


def _binary(data, place):
    if isinstance(data, (bytes, bytearray)):
        return data
    if isinstance(data, memoryview):
        return data.cast("B") if data.contiguous else data.tobytes()
    if isinstance(data, str):
        text = data.partition("base64,")[2] if data.startswith("data:") else data
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as problem:
            raise ContractError("%s: its data is text that is no base64 (%s)" % (place, problem)) from None
    raise ContractError("%s: its data must be bytes, or base64 text, not `%s`" % (place, _type_name(data)))
