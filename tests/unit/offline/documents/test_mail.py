"""What is read of an e-mail."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.readers.mail import read_mail


def test_an_email_is_its_subject_and_its_text_and_names_what_is_attached() -> None:
    message = EmailMessage()
    message["Subject"] = "Grüße aus Köln"
    message.set_content("Plain text.\n")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="bill.pdf")
    message.add_attachment("x", subtype="csv")

    assert read_mail(message.as_bytes(), None) == Document(
        "Grüße aus Köln\n\nPlain text.", ("attachments not read: bill.pdf, text/csv",)
    )


def test_every_part_of_an_email_that_is_shown_as_text_is_read() -> None:
    message = EmailMessage()
    message["Subject"] = "Fwd"
    message.add_attachment("First part.\n", disposition="inline")
    message.add_attachment(message_from_bytes(b"Subject: old\n\nold", policy=default))
    message.add_attachment("From the list.\n", disposition="inline")
    alone = EmailMessage()
    alone.add_attachment(b"x", maintype="image", subtype="png", filename="a.png")

    assert read_mail(message.as_bytes(), None) == Document(
        "Fwd\n\nFirst part.\n\nFrom the list.", ("attachments not read: message/rfc822",)
    )
    with pytest.raises(DocumentError, match=r"only attachments: a\.png"):
        read_mail(alone.as_bytes(), None)


def test_an_email_of_html_alone_is_read_and_flowed_lines_are_joined() -> None:
    web = EmailMessage()
    web.set_content("<p>Only <b>HTML</b></p>", subtype="html")
    flowed = (
        b"Content-Type: text/plain; format=flowed\n\none \nline\nnext\n> quoted \n> text\n-- \nA\n"
    )
    japanese = "Content-Type: text/plain; charset=iso-2022-jp\n\n日本語\n".encode("iso-2022-jp")

    assert read_mail(web.as_bytes(), None).text == "Only HTML"
    assert read_mail(flowed, None).text == "one line\nnext\n> quoted\n> text\n--\nA"
    assert read_mail(japanese, None).text == "日本語"


def test_html_is_read_where_the_plain_text_beside_it_is_empty() -> None:
    message = EmailMessage()
    message["Subject"] = "News"
    message.set_content(" \n\u00a0\n")
    message.add_alternative("<p>All of it</p>", subtype="html")

    assert read_mail(message.as_bytes(), None) == Document("News\n\nAll of it")


@pytest.mark.parametrize(
    ("plain", "text"), [("Plain", "Plain"), (None, "Before it.\n\nBehind it.")]
)
def test_what_is_attached_inside_of_a_version_is_named_and_all_of_the_version_read(
    plain: str | None, text: str
) -> None:
    rich = EmailMessage()
    rich.make_mixed()
    for html in ("Before it.", None, "Behind it."):
        part = EmailMessage()
        if html is None:
            part.set_content(b"%PDF-", "application", "pdf", filename="bill.pdf")
        else:
            part.set_content(html, subtype="html")
        rich.attach(part)
    message = EmailMessage()
    message.make_alternative()
    if plain is not None:
        first = EmailMessage()
        first.set_content(plain)
        message.attach(first)
    message.attach(rich)

    assert read_mail(message.as_bytes(), None) == Document(
        text, ("attachments not read: bill.pdf",)
    )


def test_an_invitation_and_the_pictures_of_a_text_are_no_attachments() -> None:
    message = EmailMessage()
    message.set_content("Please come.")
    message.add_alternative("<p>Please come. <img src=cid:a></p>", subtype="html")
    message.add_alternative("BEGIN:VCALENDAR", subtype="calendar")
    html = message.get_body(("html",))
    assert html is not None
    html.add_related(b"x", "image", "png", cid="<a>")

    assert read_mail(message.as_bytes(), None) == Document("Please come.")


def test_lines_are_joined_as_their_sender_says_and_an_answer_is_no_part_of_a_quote() -> None:
    head = "Content-Type: text/plain; charset=utf-8; format=flowed"
    japanese = f"{head}; delsp=yes\n\n空白なしで \n続きます。\n".encode()
    answer = f"{head}\n\n> What do you think? \nI agree.\n".encode()

    assert read_mail(japanese, None).text == "空白なしで続きます。"
    assert read_mail(answer, None).text == "> What do you think?\nI agree."


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8"])
def test_a_subject_whose_bytes_are_not_escaped_is_in_the_encoding_of_the_text(
    encoding: str,
) -> None:
    written = f"Subject: Grüße\nContent-Type: text/plain; charset={encoding}\n\nSchöne Grüße\n"

    assert read_mail(written.encode(encoding), None).text == "Grüße\n\nSchöne Grüße"


def test_a_subject_in_no_encoding_costs_the_text_nothing() -> None:
    assert read_mail(b"Subject: a\xff\n\nThe text.\n", "utf-8").text == "a\ufffd\n\nThe text."


def test_a_part_is_in_the_encoding_that_it_says_and_else_in_the_one_that_is_asked_for() -> None:
    said = "Content-Type: text/plain; charset=utf-8\n\nnaïve\n".encode()
    not_said = "Content-Type: text/plain\n\nnaïve\n".encode("mac-roman")
    wide = b"Content-Type: text/plain; charset=utf-16le\n\n" + "naïve".encode("utf-16-le")

    for written in (said, not_said, wide):
        assert read_mail(written, "mac-roman").text == "naïve"
