"""The templates' texts: each has its Telugu, and the compiled catalogue is that of the source."""

import gettext
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"
LOCALES = [folder / "locale" / "te" / "LC_MESSAGES" for folder in (FRONTEND, *sorted((ROOT / "apps").iterdir()))]
CATALOGUES = [folder for folder in LOCALES if folder.is_dir()]
TELUGU = re.compile(r"[\u0c00-\u0c7f]")
ENTRY = re.compile(r'^msgid "(.+)"\nmsgstr "(.*)"$', re.MULTILINE)


def texts_of_templates() -> set[str]:
    pattern = re.compile(r"""\{% translate (?:"([^"]+)"|'([^']+)') %\}""")
    block = re.compile(r"{% blocktranslate\b[^%]*%}(.*?){% endblocktranslate %}", re.DOTALL)
    found = set()
    for path in (FRONTEND / "templates").rglob("*.html"):
        text = path.read_text()
        found |= {double or single for double, single in pattern.findall(text)}
        if path.parent.name != "admin":  # there they are Django's own
            singular = [words.split("{% plural %}")[0] for words in block.findall(text)]
            found |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", words) for words in singular}
    return found


def test_every_text_has_its_telugu() -> None:
    texts = texts_of_templates()
    assert len(texts) > 25
    known = [compiled(folder) for folder in CATALOGUES]
    missing = {text for text in texts if not any(TELUGU.search(told(catalogue, text)) for catalogue in known)}
    assert not missing, f"add them to {CATALOGUES[0] / 'django.po'} and compile it"


def told(catalogue: gettext.GNUTranslations, text: str) -> str:
    """Its Telugu, or that of one of them where the text counts things."""
    found = catalogue.gettext(text)
    return found if found != text else catalogue.ngettext(text, text, 1)


def compiled(folder: Path) -> gettext.GNUTranslations:
    with (folder / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    for folder in CATALOGUES:
        catalogue = compiled(folder)
        entries = ENTRY.findall((folder / "django.po").read_text())
        stale = {text for text, telugu in entries if telugu and catalogue.gettext(text) not in (telugu, text)}
        assert not stale, "python manage.py compilemessages -l te"


def test_every_scripted_text_is_escaped_by_using_textcontent() -> None:
    """The page writes text, never markup: what a server or a name contains cannot become code."""
    for path in [*(FRONTEND / "static" / "voice").glob("*.js"), *(FRONTEND / "static" / "lab").glob("*.js")]:
        assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", path.read_text()), (
            path.name
        )


def test_templates_have_no_inline_script_or_style() -> None:
    """The content security policy would drop them silently."""
    for path in (FRONTEND / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style\b", text), path.name
        assert all(" src=" in tag for tag in re.findall(r"<script\b[^>]*>", text)), path.name
