"""The only constructor: settings in, a house to work in out."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from syncsvc.flow.house import House, Shelf
from syncsvc.flow.refresh import Fetch
from syncsvc.flow.signing import Signer
from syncsvc.intake.callbacks import Address, Courier
from syncsvc.intake.dialects import Dialect, DialectOptions, Photos, dialect_class, dialect_names
from syncsvc.intake.fetching import PhotoFetcher
from syncsvc.library.base import FaceLibrary, LibraryOptions, account_for
from syncsvc.library.http import CONNECT_TIMEOUT, Door, make_client
from syncsvc.library.loading import library_class, vendor_names
from syncsvc.limits.redis_limiter import RedisLimiter, connect
from syncsvc.model.changes import Fetched
from syncsvc.model.erasures import Erasing
from syncsvc.model.errors import SettingsError
from syncsvc.model.guard import Limits
from syncsvc.model.listings import Caretaking
from syncsvc.model.people import LibraryName
from syncsvc.model.permits import Account, Limiter
from syncsvc.model.retention import Rule
from syncsvc.observe.metrics import Metrics
from syncsvc.settings import LibrarySettings, Settings, WebhookSettings, own_options
from syncsvc.store import Store
from syncsvc.store.links import Links
from syncsvc.store.vault import Vault

API_TIMEOUT = 15.0  # seconds for one call to an HR system's API; its answers are small
RUNG_SECONDS = 1.0  # how much work of a library's pace may be rung or under way at once
RUNG_AT_LEAST = 4
RUNG_UNLIMITED = 256  # for a library without any limit, or with one that workers do not reach


@dataclass(frozen=True, slots=True)
class Sender:
    """One configured HR system: how it speaks, and the door of its API where it has to be asked as well."""

    dialect: Dialect[Any]
    door: Door | None


@dataclass(frozen=True, slots=True)
class Service:
    """One process' house with everything its doors need."""

    settings: Settings
    house: House
    links: Links
    metrics: Metrics
    photos: Photos
    senders: Mapping[str, Sender]
    courier: Courier


def now() -> datetime:
    return datetime.now(UTC)


def open_store(settings: Settings) -> Store:
    """The database alone, for whoever upgrades or inspects it."""
    return Store(settings.database_url, Vault(settings.photo_keys))


def open_service(settings: Settings) -> Service:
    """Raises SettingsError with every mistake that only the vendors could see. Connects to nothing yet."""
    vault = Vault(settings.photo_keys)
    links = Links(vault, settings.service.public_url or "", now)
    limiter = RedisLimiter(connect(settings.redis_url))
    shelves = _shelves(settings, limiter, links)
    callbacks = frozenset(one.name for one in settings.callbacks)
    store = Store(settings.database_url, vault, watching=bool(callbacks), erasing=erasing(settings))
    return Service(
        settings=settings,
        house=House(
            store,
            shelves,
            limiter,
            now,
            callbacks,
            limits=limits(settings),
            caretaking=caretaking(settings),
            erasing=erasing(settings),
            signer=signer(settings),
            retention=retention(settings),
        ),
        links=links,
        metrics=Metrics(settings.state_dir / "metrics"),
        photos=PhotoFetcher(settings.intake.photo_hosts),
        senders=_senders(settings, limiter),
        courier=Courier([Address(one.name, one.url, one.secret.get_secret_value()) for one in settings.callbacks], now),
    )


def limits(settings: Settings) -> Limits:
    """The removal guard's."""
    guard = settings.reconcile
    return Limits(guard.max_removals, guard.max_removals_share, guard.min_removals)


def retention(settings: Settings) -> dict[str, Rule]:
    """What each source's people stay for."""
    return {
        one.source: Rule(_days(one.after_contract_end_days), _days(one.after_departure_days))
        for one in settings.retention
    }


def _days(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(days=count)


def caretaking(settings: Settings) -> Caretaking:
    chosen = settings.reconcile
    return Caretaking(
        full_every=timedelta(days=chosen.full_every_days),
        verify_within=timedelta(days=chosen.verify_within_days),
        spare_share=chosen.spare_share,
    )


def erasing(settings: Settings) -> Erasing:
    chosen = settings.erasure
    return Erasing(
        due=timedelta(hours=chosen.due_hours),
        warn_before=timedelta(hours=chosen.warn_hours),
        second_look=timedelta(hours=chosen.second_look_hours),
        forget_after=timedelta(days=chosen.forget_after_days),
    )


def signer(settings: Settings) -> Signer | None:
    """None without a `receipt_key`."""
    key = settings.service.receipt_key
    return None if key is None else Signer(key.get_secret_value())


def check_sections(settings: Settings) -> None:
    """Raises SettingsError for what vendors and dialects find wrong with their own sections."""
    _configured(settings)
    _spoken(settings)


def fetches(service: Service) -> dict[str, Fetch]:
    """How to ask each HR system about an employee, for those that have to be asked."""
    doors = {name: sender.door for name, sender in service.senders.items() if sender.door is not None}
    return {name: partial(_fetch, service, service.senders[name].dialect, door) for name, door in doors.items()}


def _fetch(service: Service, dialect: Dialect[Any], door: Door, employee: str, deadline: float) -> Fetched:
    return dialect.fetch(employee, door.for_errand(deadline), service.photos, now())


def declare_libraries(service: Service) -> None:
    """Tell the database which libraries there are now; repeated at every start, and harmless."""
    shelves = service.house.shelves
    vendors = {LibraryName(one.name): one.vendor for one in service.settings.libraries}
    with service.house.store.transaction() as tx:
        tx.libraries.declare({name: (vendors[name], shelf.policy) for name, shelf in shelves.items()}, now())


def _configured(settings: Settings) -> list[tuple[LibrarySettings, type[FaceLibrary[Any]], LibraryOptions]]:
    mistakes: list[tuple[str, str]] = []
    found: list[tuple[LibrarySettings, type[FaceLibrary[Any]], LibraryOptions]] = []
    for number, library in enumerate(settings.libraries):
        key = f"library[{number}]"
        if library.vendor not in vendor_names():
            mistakes.append((f"{key}.vendor", f"no such vendor; known are {', '.join(vendor_names())}"))
            continue
        kind = library_class(library.vendor)
        options, wrong = own_options(kind.Options, library.options, key)
        mistakes += wrong
        if kind.capabilities.fetches_photos and not settings.service.public_url:
            words = (
                f"is needed: {library.name} fetches photos from this service, so it must reach it under some address"
            )
            mistakes.append(("service.public_url", words))
        if options is not None:
            found.append((library, kind, options))
    if mistakes:
        raise SettingsError(mistakes)
    return found


def _senders(settings: Settings, limiter: Limiter) -> dict[str, Sender]:
    senders = {}
    for webhook, kind, options in _spoken(settings):
        dialect = kind(webhook.name, options)
        senders[webhook.name] = Sender(dialect, _api_door(webhook.dialect, dialect, limiter))
    return senders


def _api_door(spoken: str, dialect: Dialect[Any], limiter: Limiter) -> Door | None:
    url = dialect.api_url()
    if url is None:
        return None
    credential = hashlib.sha256(dialect.credential_id().encode()).hexdigest()[:12]
    account = Account(
        key=f"{spoken}:{credential}:{urlsplit(url).netloc}",
        rates=dialect.rates,
        longest_call=CONNECT_TIMEOUT + API_TIMEOUT + 2.0,
    )
    return Door(make_client(API_TIMEOUT), url.rstrip("/"), account, limiter, timeout=API_TIMEOUT)


def _spoken(settings: Settings) -> list[tuple[WebhookSettings, type[Dialect[Any]], DialectOptions]]:
    mistakes: list[tuple[str, str]] = []
    found: list[tuple[WebhookSettings, type[Dialect[Any]], DialectOptions]] = []
    for number, webhook in enumerate(settings.webhooks):
        key = f"webhook[{number}]"
        if webhook.dialect not in dialect_names():
            mistakes.append((f"{key}.dialect", f"no such dialect; known are {', '.join(dialect_names())}"))
            continue
        kind = dialect_class(webhook.dialect)
        given = {**webhook.options, "secrets": list(webhook.secrets)} if webhook.secrets else webhook.options
        options, wrong = own_options(kind.Options, given, key)
        mistakes += wrong
        if options is not None:
            found.append((webhook, kind, options))
    if mistakes:
        raise SettingsError(mistakes)
    return found


def _shelves(settings: Settings, limiter: Limiter, links: Links) -> dict[LibraryName, Shelf]:
    shelves: dict[LibraryName, Shelf] = {}
    for library, kind, options in _configured(settings):
        account = replace(
            account_for(kind, _account_key(library, kind, options), library.rate, library.concurrency),
            longest_call=CONNECT_TIMEOUT + library.timeout + 2.0,
        )
        door = Door(make_client(library.timeout), library.base_url, account, limiter, timeout=library.timeout)
        name = LibraryName(library.name)
        shelves[name] = Shelf(
            name=name,
            library=kind(door, options, partial(links.url, library=name)),
            policy=library.policy,
            owned=library.owned,
            allowance=_allowance(account),
            reactions=library.all_reactions,
        )
    return shelves


def _account_key(library: LibrarySettings, kind: type[FaceLibrary[Any]], options: LibraryOptions) -> str:
    """(vendor, credential id, host): what shares a limit. The credential's id is hashed, for it shows up in Redis."""
    credential = hashlib.sha256(kind.credential_id(options).encode()).hexdigest()[:12]
    return f"{library.vendor}:{credential}:{urlsplit(library.base_url).netloc}"


def _allowance(account: Account) -> int:
    """Errands rung or under way at once: enough to keep the library busy, too few to fill the workers."""
    rates = [*account.rates, *(rate for each in account.operation_rates.values() for rate in each)]
    bounds = [math.ceil(rate.permits / rate.period * RUNG_SECONDS) for rate in rates]
    if account.concurrency is not None:
        bounds.append(2 * account.concurrency)
    return max(RUNG_AT_LEAST, min([*bounds, RUNG_UNLIMITED]))
