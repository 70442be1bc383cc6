"""What the AWS tools are configured to use, region, endpoint and credentials, as botocore resolves it.

obstore reads the environment, but no profiles. botocore does: roles, SSO, `credential_process`, `services` sections and
the order of all these. It takes 0.25 s to import, so it is left out where there is nothing for it to read: no profile
is named, and the AWS tools have no files here. That is how most workers run.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from pydoit_sc.errors import UserError

#: Where the files of the AWS tools are, by the variable that says so.
_FILES = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
#: Variables that obstore does not know.
_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")

#: How long obstore may use credentials before it asks again: botocore renews them 10 minutes before their end.
_VALID = timedelta(minutes=10)


class AwsError(UserError):
    """The configuration of the AWS tools lacks something; the text says what."""


class Credentials:
    """Credentials that botocore has found, as obstore asks for them; botocore renews them when they expire."""

    def __init__(self, session: Any) -> None:
        self._found = session.get_credentials()
        if self._found is None:
            raise AwsError(
                f"found no credentials for profile `{session.profile or 'default'}`, in the environment or of this "
                "machine; `storage_options = {anon = true}` reads a public bucket"
            )
        self()  # a role or a login that fails is reported now, not by the first request

    def __call__(self) -> dict[str, Any]:
        """Return valid credentials in obstore's words; raises what botocore raises."""
        keys = self._found.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(timezone.utc) + _VALID,
        }


def has_configuration() -> bool:
    """Return whether there is something to read that obstore does not read itself."""
    files = (os.environ.get(variable) or usual for variable, usual in _FILES.items())
    return any(os.environ.get(name) for name in _VARIABLES) or any(
        os.path.exists(os.path.expanduser(file)) for file in files
    )


def open_session(profile: str | None) -> Any:
    """Return botocore's session with a profile, or with that of the environment; raises what botocore raises."""
    import botocore.session  # noqa: PLC0415 (an extra, and slow)
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    session = botocore.session.Session(profile=profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound:
        there = ", ".join(f"`{name}`" for name in session.available_profiles) or "none"
        raise AwsError(
            f"{_who_names(profile)}: there is no profile `{session.profile}`, found {there}"
        ) from None
    if region := os.environ.get("AWS_REGION"):  # read by all AWS tools but botocore
        session.set_config_variable("region", region)
    return session


def _who_names(profile: str | None) -> str:
    named = next(
        (name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name)), "AWS_PROFILE"
    )
    return "`profile` in `storage_options`" if profile else f"`{named}`"


def resolve(session: Any) -> dict[str, str]:
    """Return the region and the endpoint of S3 in obstore's words, as far as they are configured.

    A client of botocore would know them, too, but it takes 0.2 s to make one.
    """
    region = session.get_config_variable("region")
    found = {"region": region, "endpoint": _endpoint(session, region)}
    return {name: value for name, value in found.items() if value}


def _endpoint(session: Any, region: str | None) -> str | None:
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        # Without one, obstore would take that of the environment.
        client = session.create_client("s3", region_name=region or "us-east-1")
        return str(client.meta.endpoint_url)
    profile, services = session.get_scoped_config(), session.full_config.get("services", {})
    section = profile.get("services")
    if section and section not in services:
        raise AwsError(
            f"profile `{session.profile or 'default'}`: there is no section `[services {section}]`"
        )
    return (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or services.get(section, {}).get("s3", {}).get("endpoint_url")
        or profile.get("endpoint_url")
    )
