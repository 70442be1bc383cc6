"""What obstore cannot ask of S3, asked with botocore: names that obstore refuses, and uploads that nobody completes.

A client takes half a second to make, so it is made only where one of these is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pydoit_sc.store.blobs import Blob, is_path, leave_alone
from pydoit_sc.store.cloudconfig import Config


class AwsClient:
    """A bucket, as botocore reaches it. Every method raises what botocore raises."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._root = f"{config.prefix}/" if config.prefix else ""

    def list(self, folder: str, after: str) -> Iterator[Blob]:
        """Yield the objects below a folder, after a path if one is given; names that are no paths are left out, and told."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._config.bucket,
            Prefix=f"{self._root}{folder}/" if folder else self._root,
            StartAfter=f"{self._root}{after}" if after else "",
        )
        for page in pages:
            for item in page.get("Contents", ()):
                path = item["Key"][len(self._root) :]
                if is_path(path):
                    yield Blob(path, item["Size"], item["ETag"], item["LastModified"].timestamp())
                elif path:  # `a//b`, or `a/`
                    leave_alone(f"s3://{self._config.bucket}/{self._config.prefix}", path)

    def abort(self, path: str) -> None:
        """Abort the uploads in parts of one object."""
        bucket, key = self._config.bucket, f"{self._root}{path}"
        for item in self._client.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", ()):
            if item["Key"] == key:
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=item["UploadId"])

    @cached_property
    def _client(self) -> Any:
        import botocore.session  # noqa: PLC0415 (slow)
        from botocore import UNSIGNED  # noqa: PLC0415
        from botocore.config import Config as ClientConfig  # noqa: PLC0415

        config = self._config
        known = {**config.config, **(config.credentials() if config.credentials else {})}
        return botocore.session.Session().create_client(
            "s3",
            region_name=known.get("region"),
            endpoint_url=known.get("endpoint"),
            aws_access_key_id=known.get("access_key_id"),
            aws_secret_access_key=known.get("secret_access_key"),
            aws_session_token=known.get("token"),
            config=ClientConfig(
                signature_version=UNSIGNED if known.get("skip_signature") else None,
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
                retries={"max_attempts": config.retries},
            ),
        )
