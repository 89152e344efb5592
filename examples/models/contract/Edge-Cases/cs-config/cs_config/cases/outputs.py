"""Cases about what `run_model` returns."""

import base64
import datetime
import decimal
import struct
import zlib

from cs_config.cases.register import case, output, result, said


def _png(width=2, height=2, colour=(200, 60, 60)):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# One grey pixel.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////"
    "////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
# One silent frame: MPEG 1 layer III, 128 kbit/s, 44.1 kHz.
MP3 = b"\xff\xfb\x90\x00" + bytes(413)
MP4 = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 512, b"isom", b"mp41") + struct.pack(
    ">I4s", 8, b"mdat"
)
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)


def _pdf():
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >>",
    ]
    text, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(text))
        text += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        text
        + b"xref\n0 4\n0000000000 65535 f \n"
        + table
        + b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(text)
    )


def _bokeh(**more):
    """Make a bokeh item: an empty document, which BokehJS draws as nothing."""
    doc = {
        "version": "3.3.0",
        "title": "",
        "roots": [{"type": "object", "name": "Spacer", "id": "p1", "attributes": {}}],
    }
    return {"target_id": None, "root_id": "p1", "doc": doc, **more}


def _every_type(text):
    return [
        output("bokeh", "Bokeh", _bokeh()),
        output("table", "Table", f"<table class='table'><tr><td>{text or 'cell'}</td></tr></table>"),
        output("CSV", "CSV", "name,value\none,1\n"),
        output("PNG", "PNG", _png()),
        output("JPEG", "JPEG", JPEG),
        output("MP3", "MP3", MP3),
        output("MP4", "MP4", MP4),
        output("HDF5", "HDF5", HDF5),
        output("PDF", "PDF", _pdf()),
        output("Markdown", "Markdown", "# Heading\n\nA *word* and a [link](https://example.com/).\n"),
        output("Text", "Text", "a line of text: naïve, 数, 🙂\n"),
    ]


@case("all-media-types")
def all_media_types(want):
    """Return one output of each of the eleven media types, both shown and downloadable."""
    return result(*_every_type(want.text), downloadable=_every_type(want.text))


@case("base64-bytes")
def base64_bytes(want):
    """Return pictures as base64 text, which old models do."""
    return result(output("PNG", "Picture", base64.b64encode(_png()).decode()))


@case("bytes-like")
def bytes_like(want):
    """Return bytes in their other guises, and text as bytes."""
    return result(
        output("PNG", "bytearray", bytearray(_png())),
        output("PNG", "memoryview", memoryview(_png())),
        output("Text", "text as bytes", b"these bytes are UTF-8\n"),
    )


@case("nan")
def nan(want):
    """Return numbers that JSON does not know."""
    odd = [float("nan"), float("inf"), float("-inf")]
    return result(
        output("bokeh", "Plot", _bokeh(numbers=odd)),
        downloadable=[output("CSV", "Numbers", "number\nnan\ninf\n-inf\n")],
    )


@case("numpy-scalars")
def numpy_scalars(want):
    """Return NumPy's numbers and arrays where JSON is expected, if NumPy is there."""
    try:
        import numpy
    except ImportError:
        return said("NumPy is not installed\n")
    odd = {
        "integer": numpy.int64(3),
        "float": numpy.float32(0.5),
        "boolean": numpy.bool_(True),
        "array": numpy.arange(3),
        "nan": numpy.float64("nan"),
    }
    return result(output("bokeh", "Plot", {**_bokeh(), **odd}))


@case("dates")
def dates(want):
    """Return dates, times, decimals, sets, tuples and keys that are no text where JSON is expected."""
    odd = {
        "date": datetime.date(2026, 11, 24),
        "time": datetime.datetime(2026, 11, 24, 12, 30),
        "decimal": decimal.Decimal("1.50"),
        "tuple": (1, 2),
        "set": {1},
        1: "a key that is a number",
    }
    return result(output("bokeh", "Plot", {**_bokeh(), **odd}))


@case("not-json")
def not_json(want):
    """Return an object that nothing can write down."""
    return result(output("bokeh", "Plot", _bokeh(thing=object())))


@case("circular")
def circular(want):
    """Return data that contains itself."""
    data = _bokeh()
    data["itself"] = data
    return result(output("bokeh", "Plot", data))


@case("surrogate")
def surrogate(want):
    """Return text that no UTF-8 can hold."""
    return said("half a character: \ud800\n")


@case("number-as-text")
def number_as_text(want):
    """Return a number, a list and nothing where text is expected."""
    return result(
        output("Text", "Number", 3),
        output("table", "List", ["<td>"]),
        output("Markdown", "Nothing", None),
    )


@case("none")
def none(want):
    """Return nothing."""
    return None


@case("list")
def a_list(want):
    """Return the outputs without saying which are shown."""
    return [output("Text", "Text", "text\n")]


@case("wrong-keys")
def wrong_keys(want):
    """Return a result under other names."""
    return {"renderables": [], "downloads": []}


@case("one-key")
def one_key(want):
    """Return a result with no downloadable part."""
    return {"renderable": [output("Text", "Text", "text\n")]}


@case("extra-key")
def extra_key(want):
    """Return an output that says more than is asked."""
    return result({**output("Text", "Text", "text\n"), "colour": "red"})


@case("no-title")
def no_title(want):
    """Return an output without a title."""
    return result({"media_type": "Text", "data": "text\n"})


@case("no-data")
def no_data(want):
    """Return an output without data."""
    return result({"media_type": "Text", "title": "Text"})


@case("unknown-media-type")
def unknown_media_type(want):
    """Return an output of a type that does not exist."""
    return result(output("HTML", "Page", "<p>no such type</p>"))


@case("not-a-dictionary")
def not_a_dictionary(want):
    """Return an output that is only text."""
    return result("text\n")


@case("empty")
def empty(want):
    """Return no output at all, in the right form."""
    return result()


@case("same-title")
def same_title(want):
    """Return outputs that share a title, which must all be found in the download."""
    return result(
        output("Text", "Twice", "first\n"),
        output("Text", "Twice", "second\n"),
        downloadable=[
            output("CSV", "Twice", "n\n1\n"),
            output("CSV", "Twice", "n\n2\n"),
            output("CSV", "twice", "n\n3\n"),
            output("CSV", "Twice.csv", "n\n4\n"),
        ],
    )


TITLES = (
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\system32",
    "a/b/c",
    "table.csv",
    "Revenue (2026): total, in $ & %",
    "quote \" and ' and <b>bold</b>",
    "naïve 数 🙂",
    "line\nbreak\tand\x00nul\u202eesrever",
    "CON",
    "x" * 150,
    "数" * 150,
)


@case("titles")
def titles(want):
    """Return outputs with titles that are dangerous or awkward as file names."""
    return result(
        *(output("Text", title, f"{title!r}\n") for title in TITLES),
        downloadable=[output("CSV", title, "n\n1\n") for title in TITLES],
    )


@case("title-not-text")
def title_not_text(want):
    """Return outputs whose titles are a number and nothing."""
    return result(output("Text", 5, "five\n"), output("Text", None, "nothing\n"))


@case("scripts")
def scripts(want):
    """Return markup that tries to run script in the reader's page."""
    attack = (
        "<script>top.document.title='owned'</script>"
        "<img src=x onerror=\"top.document.title='owned'\">"
        "<a href=\"javascript:top.document.title='owned'\">link</a>"
        "<iframe srcdoc=\"<script>top.document.title='owned'</script>\"></iframe>"
        "<form action='/users/delete/' method='post'><button>Click</button></form>"
    )
    return result(
        output("table", attack, f"<table><tr><td>{attack}</td></tr></table>"),
        output("Markdown", "Markdown", f"{attack}\n\n[x](javascript:alert(1)) ![x](//example.com/x)\n"),
        output("Text", "Text", attack),
        output("PNG", "Picture", b"<svg onload=alert(1)>"),
    )


@case("big-output")
def big_output(want):
    """Return one text of so many megabytes."""
    line = "0123456789abcdef" * 4
    return result(downloadable=[output("Text", "Big", f"{line[:-1]}\n" * (want.megabytes << 14))])


@case("big-bytes")
def big_bytes(want):
    """Return so many megabytes of bytes that do not compress."""
    import os

    return result(downloadable=[output("HDF5", "Big", os.urandom(want.megabytes << 20))])


@case("many-outputs")
def many_outputs(want):
    """Return `count` small outputs."""
    return result(*(output("Text", f"Output {number}", f"{number}\n") for number in range(want.count)))
