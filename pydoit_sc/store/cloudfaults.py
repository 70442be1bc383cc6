"""What answers of clouds mean that no request can change: there is no such bucket, no credentials, another region."""

from __future__ import annotations

from pydoit_sc.store.cloudconfig import Config, said

#: Where the machines of the clouds tell their credentials; obstore asks there when it has found none elsewhere.
_MACHINES = ("//169.254.169.254/", "//metadata.google.internal/", "//metadata/")
_ELSEWHERE = (
    "incorrectly configured region",
    "<Code>AuthorizationHeaderMalformed<",
    "<Code>PermanentRedirect<",
)
#: What gives credentials, by kind of store.
_CREDENTIALS = {
    "s3": "`key` and `secret` in `storage_options`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`",
    "gs": "`token` in `storage_options`, or `GOOGLE_APPLICATION_CREDENTIALS`",
    "az": "`account_key` or `sas_token` in `storage_options`, or `AZURE_STORAGE_ACCOUNT_KEY`",
}


def explain(text: str, config: Config) -> str:
    """Return why a request fails until the user has changed something, from the text of its error; else "".

    >>> explain("<Code>NoSuchBucket</Code>", Config("s3", "box", ""))
    'there is no bucket `box`'
    """
    if "<Code>NoSuchBucket</Code>" in text:
        return f"there is no bucket `{config.bucket}`"
    if "<Code>ContainerNotFound</Code>" in text:
        return f"there is no container `{config.bucket}`"
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
    return ""
