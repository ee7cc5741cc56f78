"""Each spelling of the service's name is replaced, and no name of the domain."""

import pytest

from deploy.rename import check_name, moves, renamer


@pytest.mark.parametrize("name", ["notes", "order-history", "a", "n8", "x" * 63])
def test_dns_label_is_accepted(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "Notes", "3d-notes", "-notes", "notes-", "my--notes", "my_notes", "notes\n", "nötes", "x" * 64],
)
def test_other_name_is_rejected_with_what_is_allowed(name: str) -> None:
    with pytest.raises(ValueError, match="a DNS label of at most 63 characters"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "notes", "shop"),
    [
        ("order-service migrate", "notes migrate", "shop-service migrate"),
        ("deployment/demo-order-service", "deployment/demo-notes", "deployment/demo-shop-service"),
        ('{{ include "order-service.name" . }}', '{{ include "notes.name" . }}', '{{ include "shop-service.name" . }}'),
        ("OrderServiceAbsent.md", "NotesAbsent.md", "ShopServiceAbsent.md"),
        ("# Order service", "# Notes service", "# Shop service"),
        ("the order service's pods", "the notes service's pods", "the shop service's pods"),
    ],
)  # fmt: skip
def test_every_spelling_is_replaced(text: str, notes: str, shop: str) -> None:
    assert renamer("order-service", "notes")(text) == notes
    assert renamer("order-service", "shop-service")(text) == shop


@pytest.mark.parametrize(
    "text",
    [
        "from backend.services.order_service import OrderService",
        "service: OrderServiceDep",
        'service_span("OrderService.list")',
        "SELECT * FROM orders",
        "an order, and a service",
    ],
)
def test_domain_keeps_its_names(text: str) -> None:
    assert renamer("order-service", "notes")(text) == text


def test_text_is_replaced_once_where_the_new_name_contains_the_old() -> None:
    assert renamer("order-service", "my-order-service")("order-service") == "my-order-service"


def test_name_of_several_words_is_replaced_again() -> None:
    again = renamer("order-history", "notes")
    assert again("order-history: OrderHistoryAbsent of the order history service") == (
        "notes: NotesAbsent of the notes service"
    )


def test_name_of_one_word_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="notes is one word"):
        renamer("notes", "orders")


def test_folder_is_moved_before_the_files_in_it() -> None:
    files = ["charts/order-service/order-service.yaml", "charts/order-service/values.yaml", "docs/api.md"]
    assert list(moves(files, renamer("order-service", "notes"))) == [
        ("charts/order-service", "charts/notes"),
        ("charts/notes/order-service.yaml", "charts/notes/notes.yaml"),
    ]
