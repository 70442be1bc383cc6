"""What answers of clouds mean that no request can change: there is no such bucket, no credentials, another region."""

from __future__ import annotations

import re

from pydoit_sc.store.cloudconfig import Config, said

#: Where the machines of the clouds tell their credentials; obstore asks there when it has found none elsewhere.
_MACHINES = ("//169.254.169.254/", "//metadata.google.internal/", "//metadata/")
_ELSEWHERE = (
    "incorrectly configured region",
    "<Code>AuthorizationHeaderMalformed<",
    "<Code>PermanentRedirect<",
)
_ABSENT = {"NoSuchBucket": "bucket", "ContainerNotFound": "container"}
#: What gives credentials, by kind of store.
_CREDENTIALS = {
    "s3": "`key` and `secret` in `storage_options`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`",
    "gs": "`token` in `storage_options`, or `GOOGLE_APPLICATION_CREDENTIALS`",
    "az": "`account_key` or `sas_token` in `storage_options`, or `AZURE_STORAGE_ACCOUNT_KEY`",
}
#: What a refused request was, and the error's code, or its status where it has none.
_REFUSED = re.compile(r"Error performing (\w+) .*?status code: (40[13])(?:.*?<Code>(\w+)</Code>)?", re.DOTALL)


def explain(text: str, config: Config) -> str:
    """Return why a request fails until the user has changed something, from the text of its error; else "".

    >>> explain("<Code>NoSuchBucket</Code>", Config("s3", "box", ""))
    'there is no bucket `box`'
    """
    for code, what in _ABSENT.items():
        if f"<Code>{code}</Code>" in text:
            return f"there is no {what} `{config.bucket}`"
    if "Account must be specified" in text:
        return (
            "expected `account_name` in `storage_options`, or `AZURE_STORAGE_ACCOUNT_NAME`, and found neither"
        )
    if any(machine in text for machine in _MACHINES):
        return (
            f"found no credentials, nor has this machine any; expected {_CREDENTIALS[config.kind]}; "
            "`storage_options = {anon = true}` reads a public bucket"
        )
    if config.kind == "s3" and any(sign in text for sign in _ELSEWHERE):
        given = ", ".join(f"{where} says `{value}`" for where, value in said("region", config.config).items())
        return (
            f"the bucket `{config.bucket}` is in another region; {given or 'no region is given, which means us-east-1'}: "
            "give its own by `AWS_REGION`, or by `client_kwargs = {region_name = …}` in `storage_options`"
        )
    if refused := _REFUSED.search(text):
        verb, status, code = refused.groups()
        return (
            f"the server refuses {verb.upper()} ({code or status}): the credentials are wrong, have expired, or do not allow it; "
            f"expected {_CREDENTIALS[config.kind]}"
        )
    return ""
