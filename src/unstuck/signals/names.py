"""Names of series as a message shows them."""

LONGEST = 40  # characters: two names and their numbers must fit in a message of 120


def shown(name: str, longest: int = LONGEST) -> str:
    """A name cut in its middle where it is too long for a message; control characters replaced.

    >>> shown("loss/train"), shown("a" * 30 + "b" * 30, longest=11)
    ('loss/train', 'aaaaa~bbbbb')
    """
    printable = "".join(c if c.isprintable() else "?" for c in name)
    if len(printable) <= longest:
        return printable
    half = (longest - 1) // 2
    return f"{printable[:half]}~{printable[-half:]}"


def where_of(series_name: str) -> str:
    """The place a series belongs to: `activation/net.conv1/std` -> `net.conv1`."""
    parts = series_name.split("/")
    return parts[1] if len(parts) > 2 else "/".join(parts[1:])
