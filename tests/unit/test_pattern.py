"""Patterns take linear time; what could not is refused when it is written."""

import pytest

from domain.pattern import MOST_CHARACTERS, Pattern

LENGTH = 10_000


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("(a+)+$", "a" * LENGTH + "!", False),
        ("(a+)+$", "a" * LENGTH, True),
        ("^(a|aa)+$", "a" * LENGTH + "b", False),
        ("^(a|a?)+$", "a" * LENGTH + "b", False),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * LENGTH, False),
        ("(.*)*x.*y.*z", "x" * LENGTH, False),
        ("(x+x+)+y", "x" * LENGTH, False),
        ("(x+x+)+y", "x" * LENGTH + "y", True),
        ("[ab]*a[ab]{20}c", "abbab" * (LENGTH // 5), False),
    ],
)
def test_a_pattern_that_takes_others_for_ever_gives_the_right_answer(
    pattern: str, text: str, *, expected: bool
) -> None:
    assert Pattern(pattern).is_found_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a", "bab", True),
        ("^a$", "a", True),
        ("^a$", "a\n", False),  # the end is the end, also before a line break
        ("^b", "a\nb", False),
        ("a.c", "a\nc", False),
        (r"^\d{3}$", "123", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"^\w$", "_", True),
        ("^(?:XOF|XAF)$", "XAF", True),
        ("^(a|b)$", "b", True),
        (r"a\(?", "a", True),
        (r"^\(?:$", "(:", True),
        (r"^[(?=+]\++$", "=++", True),
        (r"^[]a]$", "]", True),
        ("É", "é", False),
    ],
)
def test_a_pattern_is_found_where_it_fits(pattern: str, text: str, *, expected: bool) -> None:
    assert Pattern(pattern).is_found_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("abc", "xABCx"), ("a|^b", "B"), ("^B$", "b"), ("É", "é"), ("^[a-c]+$", "ABC"), ("^(get|put)$", "PUT")],
)
def test_case_is_ignored_where_that_is_asked_for(pattern: str, text: str) -> None:
    assert Pattern(pattern, ignores_case=True).is_found_in(text)
    assert not Pattern(pattern).is_found_in(text)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)b", "look-around"),
        ("(?!a)b", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?>a)", "look-around"),
        ("(?s)a.b", "flags"),
        ("(?i:a)b", "flags"),
        ("(?P<x>a)", "only"),
        (r"\\(?=a)", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"\k<x>", "back-reference"),
        ("a++", "possessive"),
        ("a*+a", "possessive"),
        (r"\d{2}+", "possessive"),
        ("[[:alpha:]]", "alpha"),
        (r"\p{Nd}", "are not taken"),
        (r"[^\P{Nd}]", "are not taken"),
        (r"\<a\>", "are not taken"),
        ("(", "error"),
        ("a)(?:b", "error"),
        ("[", "error"),
        ("a{2,1}", "error"),
        (r"\K", "error"),
        (r"\Qa\E", "error"),
        ("(a{1,100}){1,100}", "repeats too much"),
        ("a{100000}", "repeats too much"),
        ("[^a]{1,100}", "repeats too much"),
        ("a" * (MOST_CHARACTERS + 1), "200 characters"),
    ],
)
def test_a_pattern_that_is_not_taken_is_an_error_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Pattern(pattern)


@pytest.mark.parametrize("ignores_case", [False, True])
@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$",
        "^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$",
        "^[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?$",
        r"^SN\d{2}[A-Z]{2}\d{22}$",
        "^SN08 ?SN",
        r"^FR\d{2} ?\d{5} ?\d{5} ?[A-Z0-9]{11} ?\d{2}$",
        "^[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$",
        r"^[\w.+-]+@[\w-]+\.[\w.]+$",
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$",
        r"@(?:example|partner)\.(?:com|org)$",
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
        "^merchant-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "^[0-9a-f]{64}$",
        "^[0-9a-fA-F]{64}$",
        "^0x[0-9a-fA-F]{40}$",
        "^(?:sha256:)?[0-9a-f]{64}$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$",
        r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})$",
        "^(?:XOF|XAF)$",
        "^(?:XOF|XAF|EUR|USD|GBP|NGN|GHS|KES|ZAR|MAD)$",
        (
            "^(?:AED|AUD|BRL|CAD|CHF|CNY|DKK|EGP|EUR|GBP|GHS|HKD|INR|JPY|KES|MAD"
            "|MXN|NGN|NOK|NZD|PLN|RUB|SEK|SGD|TND|TRY|UGX|USD|XAF|XOF|ZAR|ZMW)$"
        ),
        r"^merchant[-_]\d+$",
        "^(?:mer|acc|cus|pay)_[A-Za-z0-9]{8,32}$",
        "^acct_[A-Za-z0-9]{16}$",
        r"^ACC-\d{6,12}$",
        r"^\+221\d{9}$",
        r"^\+[1-9]\d{1,14}$",
        r"^\+?\d{1,3}[ -]?\(?\d{2,4}\)?(?:[ -]?\d{2,4}){2,4}$",
        r"^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|3[47]\d{13})$",
        r"^\d{13,19}$",
        r"^-?\d+(?:\.\d{1,2})?$",
        r"^\d{1,3}(?:,\d{3})*\.\d{2}$",
        "^(?:PAUSE|FREEZE|REFUND|BLOCK)_[A-Z_]+$",
        "^(?:FREEZE|UNFREEZE)_",
        "_PAYOUT$",
        "test|sandbox|staging|demo",
        "(?:^|[^a-z])urgent(?:[^a-z]|$)",
        "fraud|chargeback|dispute|suspicious|stolen|scam",
        r"^(?:\d{1,3}\.){3}\d{1,3}$",
        r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$",
        r"^https://[a-z0-9.-]+\.example\.com/",
        "^[0-9A-HJKMNP-TV-Z]{26}$",
        r"^INV-20\d{2}-(?:Q[1-4]|[01]\d)-\d{4,8}$",
        "^[A-Z0-9]{18}[0-9]{2}$",
        r"^\S+$",
        r"\s{2,}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        r"\b\d{16}\b",
        "^.{2,10}$",
        "^.+@.+$",
        "^[^,]+,[^,]+$",
        "fraud.*stolen|chargeback.*dispute",
    ],
)
def test_patterns_that_people_write_are_within_the_bounds(pattern: str, *, ignores_case: bool) -> None:
    assert not Pattern(pattern, ignores_case=ignores_case).is_found_in("")


@pytest.mark.parametrize(
    ("taken", "refused"),
    [
        ("[ab]*a[ab]{36}c", "[ab]*a[ab]{37}c"),
        ("^[ab]{100}c", "[ab]{100}c"),
        ("^[ab]{100}c", "^[ab]{100}c|d"),
        ("^(?:[ab]{100}|d(?:e|f))$", "^(?:[ab]{100})|d(?:e|f)$"),
        ("^[ab]{100}c", "(?:^|x)[ab]{100}c"),
        ("^[ab]{100}c", "^?[ab]{100}c"),
        ("^[ab]{100}c", "^{0,1}[ab]{100}c"),
        ("^[ab]{100}c", "^[ab]{100}c*d"),
        ("^[ab]{100}c", "^[ab]{100}c+"),
        ("^[ab]{100}c", "^[ab]{100}c{2,}"),
        (r"^[ab*+|]{100}\*\+\|\(", r"^[ab*+|]{100}\*\+\|\(*"),
        ("(?:[ab]{18}|[cd]{18})e+", "(?:[ab]{18}|[cd]{18}|[ef]{18})e+"),
        (".{14}x", ".{15}x"),
        (f"({'[ab]' * 15}|{'[bc]' * 15})x", f"({'[ab]' * 15}|{'[bc]' * 15}|{'[cd]' * 15})x"),
    ],
)
def test_a_pattern_that_may_be_busy_all_along_a_text_may_have_fewer_places(taken: str, refused: str) -> None:
    Pattern(taken)
    with pytest.raises(ValueError, match="begins with"):
        Pattern(refused)
