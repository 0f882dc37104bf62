"""The sections of the caretaker: when libraries are compared, how much may go, how erasures end, who expires."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from syncsvc.settings.section import Name, Section


class ReconcileSettings(Section):
    at: dt.time = Field(default=dt.time(2, 30), description='a time of day like "02:30"')
    time_zone: str = Field(default="UTC", description='a time zone like "Asia/Shanghai"')
    max_removals: int = Field(default=50, ge=0, description="a whole number, 0 or more")
    max_removals_share: float = Field(default=0.05, ge=0, le=1, description="a share from 0 to 1")
    min_removals: int = Field(default=5, ge=0, description="a whole number, 0 or more: so many may always go")
    full_every_days: int = Field(default=7, ge=1, le=366, description="1 to 366: listed although the count agrees")
    verify_within_days: int = Field(default=30, ge=1, le=366, description="1 to 366: each face is verified within them")
    spare_share: float = Field(default=0.5, gt=0, le=1, description="a share of the permits, above 0 and up to 1")

    @field_validator("at", mode="before")
    @classmethod
    def _of_day(cls, value: object) -> object:
        if isinstance(value, dt.time):
            return value
        if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise ValueError('must be a time of day like "02:30"')
        return dt.time.fromisoformat(value)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, LookupError):
            raise ValueError('is no known time zone; write one like "Asia/Shanghai"') from None
        return value


class ErasureSettings(Section):
    """By when the departed must be verified absent, and how that goes on."""

    due_hours: int = Field(default=72, ge=1, le=8760, description="1 to 8760: hours after the departure")
    warn_hours: int = Field(default=24, ge=0, le=8760, description="0 to 8760: hours before it is due")
    second_look_hours: int = Field(default=24, ge=1, le=720, description="1 to 720: hours after the first verification")
    forget_after_days: int = Field(default=90, ge=0, le=3660, description="0 to 3660: days until the id is forgotten")


class RetentionSettings(Section):
    """When a source's people depart by themselves."""

    source: Name = Field(description="the name of a [[webhook]], or of a roster's --source")
    after_contract_end_days: int | None = Field(default=None, ge=0, le=36600, description="days, 0 or more")
    after_departure_days: int | None = Field(default=None, ge=0, le=36600, description="days, 0 or more")
