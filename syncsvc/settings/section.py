"""What every section of the configuration has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", description="1 to 40 of a-z, 0-9 and -")]


class Section(BaseModel):
    """Frozen; an unknown key is a mistake; no value appears in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
