"""Filling in the admin's forms as a browser would: every input as the page has it, then what somebody types."""

from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponse


class _Inputs(HTMLParser):
    """The names and values of the inputs of a page's last form."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self.more: list[tuple[str, str]] = []
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name, value = found.get("name") or "", found.get("value")
        if tag == "input" and name:
            if found.get("type") == "checkbox" and "checked" in found and name in self.values:
                self.more.append((name, value or "on"))
            elif found.get("type") not in ("checkbox", "radio", "submit") or "checked" in found:
                self.values[name] = value or ("on" if found.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (self._select not in self.values or "selected" in found):
            self.values[self._select] = value or ""
        elif tag == "textarea" and name:
            self._textarea = name
            self.values[name] = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self.values[self._textarea] = self.values[self._textarea].removeprefix("\n")
            self._textarea = ""


def the_form(page: HttpResponse) -> dict[str, Any]:
    """What a browser would send for `page` if nobody typed anything."""
    inputs = _Inputs()
    inputs.feed(page.content.decode())
    for name, value in inputs.more:
        # Several ticks of one name, such as the clinic's languages.
        inputs.values[name] = [*([known] if isinstance(known := inputs.values[name], str) else known), value]
    # The search of the sidebar and the buttons are other forms.
    return {name: value for name, value in inputs.values.items() if name not in ("s", "q", "_addanother")}


def write(form: dict[str, Any], field: str, **texts: str) -> dict[str, Any]:
    """`form` with something else in the inputs of a text by language."""
    written = dict(form)
    for language, text in texts.items():
        [name] = [name for name in form if name.startswith(field) and name.endswith(language)]
        written[name] = text
    return written


def errors_on(page: HttpResponse) -> dict[str, str]:
    """Each field with its errors, as the page shows them; `options-1-key` is a field of an inline."""
    context: dict[str, Any] = page.context_data or {}
    shown = {name: str(errors) for name, errors in context["adminform"].form.errors.items()}
    for inline in context["inline_admin_formsets"]:
        for form in inline.formset.forms:
            shown |= {f"{form.prefix}-{name}": str(errors) for name, errors in form.errors.items()}
    return shown
