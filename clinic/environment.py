"""The environment variables that the system reads, typed. A wrong one stops the start, with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """Each field is one variable; README lists them."""

    model_config = SettingsConfigDict(env_prefix="CLINIC_", extra="ignore")

    mode: Literal["demo", "production"] = "demo"
    data_dir: Path = Field(default=Path("var"), description="Database, keys, prompt cache, mail.")
    secret_key: str = ""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost"]
    database_url: str = ""
    redis_url: str = ""
    phone_page: bool = Field(default=False, description="Offer the phone page outside the demo.")
